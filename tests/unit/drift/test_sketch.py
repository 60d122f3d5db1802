import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retrain.drift import statistics
from retrain.drift.sketch import POINTS, QuantileSketch, cells, merge_all, shared_grid

values = st.lists(st.floats(-1e300, 1e300, allow_nan=False), max_size=60)


def distance(sketch, data):
    data = np.sort(data)
    left, upto = sketch.cumulative(data)
    return max(
        np.abs(left - np.searchsorted(data, data, side="left")).max(),
        np.abs(upto - np.searchsorted(data, data, side="right")).max(),
    ) / len(data)


def test_few_distinct_values_are_kept_exactly():
    data = np.repeat(np.arange(POINTS, dtype=float), 3)
    sketch = QuantileSketch.of(data)
    assert sketch.exact
    assert sketch.rows == len(data)
    assert distance(sketch, data) == 0


@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "exponential"])
def test_large_columns_are_off_by_at_most_the_stated_error(draw):
    data = getattr(np.random.default_rng(0), draw)(size=40_000)
    sketch = QuantileSketch.of(data)
    assert len(sketch.values) <= POINTS + 1
    assert sketch.rows == len(data)
    assert distance(sketch, data) <= 1 / (POINTS - 1)


def test_a_value_that_many_rows_share_stays_a_jump():
    generator = np.random.default_rng(1)
    data = np.concatenate([np.zeros(20_000), generator.normal(size=20_000)])
    left, upto = QuantileSketch.of(data).cumulative(np.array([-1e-9, 0.0, 1e-9]))
    assert upto[0] == pytest.approx((data < 0).sum(), abs=40)
    assert left[1] == (data < 0).sum()
    assert upto[1] == (data <= 0).sum()


@pytest.mark.parametrize("parts", [2, 12])
def test_merged_sketches_stay_close_to_the_sketch_of_everything(parts):
    generator = np.random.default_rng(2)
    data = [generator.normal(part / 5, 1, 8_000) for part in range(parts)]
    merged = QuantileSketch()
    for part in data:
        merged = merged.merge(QuantileSketch.of(part))
    everything = np.concatenate(data)
    assert merged.rows == len(everything)
    assert distance(merged, everything) <= 2 * parts / (POINTS - 1)
    assert distance(merge_all([QuantileSketch.of(part) for part in data]), everything) <= 2 / (POINTS - 1)


@given(values, values)
@settings(max_examples=60, deadline=None)
def test_merging_small_sketches_is_sketching_both(a, b):
    merged = QuantileSketch.of(np.array(a)).merge(QuantileSketch.of(np.array(b)))
    assert merged == QuantileSketch.of(np.array(a + b))


@given(values, values)
@settings(max_examples=60, deadline=None)
def test_cells_hold_every_row_once(a, b):
    sketches = [QuantileSketch.of(np.array(side)) for side in (a, b)]
    grid = shared_grid(sketches)
    for sketch, side in zip(sketches, (a, b), strict=True):
        rows = cells(sketch, grid)
        assert rows.sum() == len(side)
        assert (rows >= 0).all()


@pytest.mark.parametrize("draw", ["normal", "lognormal", "standard_cauchy"])
def test_p_values_from_sketches_are_within_a_factor_of_two_of_the_exact_ones(draw):
    generator = np.random.default_rng(3)
    reference, current = (getattr(generator, draw)(size=30_000) for _ in range(2))
    current = current + 0.02 * np.subtract(*np.quantile(reference, (0.75, 0.25)))
    found = []
    for points in (POINTS, len(reference)):
        sketches = [QuantileSketch.of(side, points=points) for side in (reference, current)]
        sides = [cells(sketch, shared_grid(sketches)) for sketch in sketches]
        found.append([test(*sides).p_value for test in (statistics.ks, statistics.location, statistics.scale)])
    assert found[1][0] == pytest.approx(stats.ks_2samp(reference, current, method="asymp").pvalue)
    assert np.abs(np.log2(np.array(found[0]) / np.array(found[1]))).max() < 1
