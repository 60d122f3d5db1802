"""Our effect sizes and tests beside Evidently's own functions on the same data: nothing of theirs is written anew."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrain import drift
from retrain.drift.effects import effects
from retrain.drift.sketch import cells, shared_grid
from retrain.drift.statistics import ks

pytestmark = pytest.mark.integration
# Up to 1,024 different values a sketch holds all of them, and agreement is exact.
EXACT = 1_000


@pytest.fixture(scope="module")
def theirs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently.legacy.calculations.stattests import registry
        from evidently.legacy.calculations.stattests.tvd_stattest import _total_variation_distance
        from evidently.legacy.core import ColumnType

    def ask(name: str, reference: pd.Series, current: pd.Series, *, numeric: bool) -> float:
        if name == "tvd":
            return float(_total_variation_distance(reference, current))
        kind = ColumnType.Numerical if numeric else ColumnType.Categorical
        test = registry.get_stattest(reference, current, kind, name)
        return float(test(reference.copy(), current.copy(), kind, None).drift_score)

    return ask


def ours(reference: pd.Series, current: pd.Series, **options: object) -> dict[str, float]:
    sides = [drift.profile(pd.DataFrame({"x": side}), **options).columns["x"] for side in (reference, current)]
    return effects(*sides)


NAMES = {"wasserstein": "wasserstein", "psi": "psi", "kl": "kl_div", "jensen_shannon": "jensenshannon"}


def draw(seed: int, rows: int, shape: str, shift: float, scale: float) -> pd.Series:
    generator = np.random.default_rng(seed)
    values = {
        "normal": generator.normal(size=rows),
        "lognormal": generator.lognormal(size=rows),
        "heavy": generator.standard_t(3, size=rows),
        "uniform": generator.random(rows),
    }[shape]
    return pd.Series(values * scale + shift)


sizes = st.integers(25, EXACT // 2)
shapes = st.sampled_from(["normal", "lognormal", "heavy", "uniform"])


@given(st.integers(0, 10**6), sizes, sizes, shapes, st.floats(-2, 2), st.floats(0.3, 3))
# Of 64 rows: 7 bins, or 8 by rounding.
@example(seed=485, rows=25, other=39, shape="normal", shift=1.375, scale=0.91796875)
@settings(max_examples=60, deadline=None)
def test_measures_of_numbers_are_evidentlys(theirs, seed, rows, other, shape, shift, scale):
    reference, current = draw(seed, rows, shape, 0.0, 1.0), draw(seed + 1, other, shape, shift, scale)
    found = ours(reference, current)
    for name, named in {**NAMES, "hellinger": "hellinger"}.items():
        assert found[name] == pytest.approx(theirs(named, reference, current, numeric=True), rel=1e-6, abs=1e-6), name


@given(st.integers(0, 10**6), st.integers(20, 2_000), st.integers(2, 60), st.floats(0.2, 5))
@settings(max_examples=60, deadline=None)
def test_measures_of_levels_are_evidentlys(theirs, seed, rows, levels, concentration):
    generator = np.random.default_rng(seed)
    names = np.array([f"level {number}" for number in range(levels)])
    sides = [
        pd.Series(generator.choice(names, size, p=generator.dirichlet(np.full(levels, concentration))))
        for size in (rows, rows // 2 + 10)
    ]
    found = ours(*sides, categorical=["x"])
    asked = {"psi": "psi", "kl": "kl_div", "jensen_shannon": "jensenshannon"}
    for name, named in {**asked, "hellinger": "hellinger", "total_variation": "tvd"}.items():
        assert found[name] == pytest.approx(theirs(named, *sides, numeric=False), rel=1e-6, abs=1e-6), name


@pytest.mark.parametrize("shape", ["normal", "lognormal", "heavy", "uniform"])
def test_measures_of_many_rows_are_evidentlys_within_the_sketches_error(theirs, shape):
    reference, current = draw(1, 60_000, shape, 0.0, 1.0), draw(2, 40_000, shape, 0.1, 1.2)
    found = ours(reference, current)
    for name in ("psi", "kl", "jensen_shannon", "hellinger"):
        named = NAMES.get(name, name)
        assert found[name] == pytest.approx(theirs(named, reference, current, numeric=True), rel=0.1, abs=0.01), name
    expected = theirs("wasserstein", reference, current, numeric=True)
    # In the values' unit the outermost cells, 0.1% of the rows, count with their width.
    ends = [drift.profile(pd.DataFrame({"x": side})).columns["x"].sketch.values for side in (reference, current)]
    width = max(points[-1] - points[-2] + points[1] - points[0] for points in ends) / reference.std()
    assert found["wasserstein"] == pytest.approx(expected, rel=0.02, abs=width / 1023)


@given(st.integers(0, 10**6), st.integers(100, EXACT // 2), shapes, st.floats(-0.3, 0.3))
@settings(max_examples=40, deadline=None)
def test_the_kolmogorov_smirnov_test_is_evidentlys(theirs, seed, rows, shape, shift):
    reference, current = draw(seed, rows, shape, 0.0, 1.0), draw(seed + 1, rows, shape, shift, 1.0)
    sketches = [drift.profile(pd.DataFrame({"x": side})).columns["x"].sketch for side in (reference, current)]
    grid = shared_grid(sketches)
    found = ks(*(cells(sketch, grid) for sketch in sketches))
    # Theirs is exact for samples of this size, ours is the limit for large ones.
    assert found.p_value == pytest.approx(theirs("ks", reference, current, numeric=True), abs=0.05)
