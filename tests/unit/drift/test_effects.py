import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from retrain import drift
from retrain.drift.effects import MEASURES, effects
from retrain.drift.thresholds import Thresholds
from retrain.exceptions import DeclarationError

numbers = st.lists(st.floats(-1e6, 1e6, allow_nan=False, width=32), min_size=2, max_size=200)
levels = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 500), min_size=2)


def of(reference, current, **options):
    sides = [drift.profile(pd.DataFrame({"x": side}), **options).columns["x"] for side in (reference, current)]
    return effects(*sides)


def in_bins(reference, current):
    """What Evidently does with numbers, written down once more."""
    if len(np.unique(reference)) <= 20:
        values = np.unique(np.concatenate([reference, current]))
        return [np.array([np.mean(side == value) for value in values]) for side in (reference, current)]
    edges = np.histogram_bin_edges(np.concatenate([reference, current]), bins="sturges")
    return [np.histogram(side, edges)[0] / len(side) for side in (reference, current)]


@given(numbers, numbers)
@settings(max_examples=80, deadline=None)
def test_measures_of_numbers_are_those_of_scipy(reference, current):
    reference, current = np.array(reference), np.array(current)
    found = of(reference, current)
    assert found["ks_d"] == pytest.approx(stats.ks_2samp(reference, current, method="asymp").statistic)
    spread = max(np.std(reference), 0.001)
    expected = stats.wasserstein_distance(reference, current) / spread
    assert found["wasserstein"] == pytest.approx(expected, rel=1e-6, abs=1e-9)
    before, after = in_bins(reference, current)
    assert found["jensen_shannon"] == pytest.approx(np.nan_to_num(distance.jensenshannon(before, after)), abs=1e-7)
    assert found["total_variation"] == pytest.approx(0.5 * np.abs(before - after).sum())
    assert found["hellinger"] == pytest.approx(math.sqrt(max(0, 1 - np.sqrt(before * after).sum())), abs=1e-7)


@given(levels, levels)
@settings(max_examples=60, deadline=None)
def test_measures_of_levels_are_those_of_scipy(reference, current):
    sides = [np.repeat(list(side), list(side.values())) for side in (reference, current)]
    found = of(*sides, categorical=["x"])
    names = sorted({*reference, *current})
    before, after = (np.array([side.get(name, 0) for name in names]) for side in (reference, current))
    before, after = before / before.sum(), after / after.sum()
    assert found["jensen_shannon"] == pytest.approx(np.nan_to_num(distance.jensenshannon(before, after)), abs=1e-7)
    assert found["total_variation"] == pytest.approx(0.5 * np.abs(before - after).sum())
    assert set(found) == set(MEASURES) - {"ks_d", "wasserstein"}
    if all(before) and all(after):
        assert found["kl"] == pytest.approx(stats.entropy(before, after))
        assert found["psi"] == pytest.approx(stats.entropy(before, after) + stats.entropy(after, before))


@pytest.mark.parametrize("draw", ["normal", "lognormal", "standard_t", "exponential"])
def test_measures_of_many_rows_stay_within_the_sketches_errors(draw):
    generator = np.random.default_rng(5)
    arguments = {"df": 3} if draw == "standard_t" else {}
    reference, current = (getattr(generator, draw)(size=30_000, **arguments) for _ in range(2))
    current = current * 1.2 + 0.1
    found, (before, after) = of(reference, current), in_bins(reference, current)
    error = 2 / 1023
    assert found["ks_d"] == pytest.approx(stats.ks_2samp(reference, current).statistic, abs=error)
    # Half the sum over the bins, each of which is off by two edges at most.
    assert found["total_variation"] == pytest.approx(0.5 * np.abs(before - after).sum(), abs=error * len(before) / 2)
    assert found["jensen_shannon"] == pytest.approx(distance.jensenshannon(before, after), abs=0.01)
    expected = stats.wasserstein_distance(reference, current) / np.std(reference)
    # In value, the error of the outermost cells is as large as they are wide.
    assert found["wasserstein"] == pytest.approx(expected, rel=0.1)


def test_no_measure_is_made_of_nothing_or_of_two_kinds():
    assert of([1.0, np.nan], [np.nan, np.nan]) == {}
    assert of([1.0, 2.0], ["a", "b"]) == {}
    assert of([1.0, 2.0], [1.0, 2.0], pii=["x"]) == {}


def test_every_column_reports_all_measures(make_table):
    verdict = drift.compare(make_table(300, 0), make_table(300, 1))
    assert set(verdict.columns["normal"].effects) == set(MEASURES)
    assert verdict.to_dict()["columns"]["of5"]["effects"]["psi"] >= 0


@pytest.fixture
def shifted():
    generator = np.random.default_rng(0)
    return [
        pd.DataFrame({"x": generator.normal(shift, 1, 4000), "y": generator.normal(size=4000)}) for shift in (0, 0.3)
    ]


def test_a_chosen_measure_stands_in_place_of_the_floors(shifted):
    assert drift.compare(*shifted).status == "drift"
    assert drift.compare(*shifted, thresholds=Thresholds(effects={"psi": 0.5})).status == "ok"
    verdict = drift.compare(*shifted, thresholds=Thresholds(effects={"psi": 0.05, "ks_d": 0.9}))
    assert (verdict.status, verdict.drivers) == ("drift", ("x",))
    assert "psi" in verdict.columns["x"].reason
    assert verdict.columns["x"].effects["psi"] >= 0.05


def test_a_measure_below_significance_is_no_alarm():
    generator = np.random.default_rng(1)
    sides = [pd.DataFrame({"x": generator.normal(size=60)}) for _ in range(2)]
    assert drift.compare(*sides, thresholds=Thresholds(effects={"psi": 0.01})).status == "ok"


@pytest.mark.parametrize("chosen", [{"ps1": 0.2}, {"psi": 0.0}])
def test_a_measure_that_is_not_known_or_has_no_limit_is_refused(chosen):
    with pytest.raises(DeclarationError):
        Thresholds(effects=chosen)
