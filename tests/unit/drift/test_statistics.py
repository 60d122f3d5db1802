import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retrain.drift import statistics
from retrain.drift.sketch import QuantileSketch, cells, shared_grid

numbers = st.lists(
    st.one_of(st.integers(-5, 5), st.floats(-1e6, 1e6, allow_nan=False, width=32)), min_size=2, max_size=200
)


def in_cells(reference, current):
    sketches = [QuantileSketch.of(np.asarray(side, dtype=float)) for side in (reference, current)]
    grid = shared_grid(sketches)
    return [cells(sketch, grid) for sketch in sketches]


@given(numbers, numbers)
@settings(max_examples=60, deadline=None)
def test_ks_of_small_columns_is_that_of_scipy(reference, current):
    found = statistics.ks(*in_cells(reference, current))
    expected = stats.ks_2samp(reference, current, method="asymp")
    assert found.effect == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_ks_of_large_columns_is_that_of_scipy_within_the_stated_error(seed):
    generator = np.random.default_rng(seed)
    reference, current = generator.normal(size=50_000), generator.standard_t(3, 30_000)
    found = statistics.ks(*in_cells(reference, current))
    assert abs(found.effect - stats.ks_2samp(reference, current, method="asymp").statistic) <= 2 / 1023


def test_location_without_ties_is_van_der_waerden_and_agrees_with_mann_whitney():
    generator = np.random.default_rng(1)
    reference, current = generator.normal(size=900), generator.normal(0.2, 1, 900)
    found = statistics.location(*in_cells(reference, current))
    pooled = np.concatenate([reference, current])
    scores = stats.norm.ppf((stats.rankdata(pooled) - 0.5) / len(pooled))
    expected = (scores[900:].mean() - scores[:900].mean()) / scores.std(ddof=1)
    assert found.effect == pytest.approx(expected, rel=1e-9)
    assert np.log10(found.p_value) == pytest.approx(np.log10(stats.mannwhitneyu(reference, current).pvalue), abs=0.8)


def test_rank_tests_do_not_change_under_a_monotone_transformation():
    generator = np.random.default_rng(2)
    reference, current = generator.normal(size=400), generator.normal(0, 1.5, 400)
    for test in (statistics.location, statistics.scale):
        plain, transformed = test(*in_cells(reference, current)), test(*in_cells(np.exp(reference), np.exp(current)))
        assert plain == transformed


@given(st.integers(0, 50), st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_increase_of_a_share_is_the_one_sided_fisher_test(before, now):
    found = statistics.share_increase((before, 50), (now, 60))
    expected = stats.fisher_exact([[now, 60 - now], [before, 50 - before]], alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-7)


def test_outlier_test_holds_its_level_with_fences_from_the_reference():
    generator = np.random.default_rng(3)
    p_values = [
        statistics.outliers(*in_cells(generator.standard_t(2, 300), generator.standard_t(2, 200))).p_value
        for _ in range(300)
    ]
    assert np.mean(np.asarray(p_values) < 0.05) <= 0.08


def test_shift_and_spread_in_the_columns_own_unit_are_those_of_scipy_on_clipped_values():
    generator = np.random.default_rng(3)
    reference, current = generator.standard_t(4, 700), generator.standard_t(4, 500) * 1.2 + 0.1
    sketches = [QuantileSketch.of(side) for side in (reference, current)]
    grid = shared_grid(sketches)
    shift, spread = statistics.units(*[cells(sketch, grid) for sketch in sketches], grid)
    pooled = np.sort(np.concatenate([reference, current]))
    before, after = (np.clip(side, pooled[11], pooled[-13]) for side in (reference, current))
    assert shift.p_value == pytest.approx(stats.ttest_ind(before, after, equal_var=False).pvalue, rel=0.02)
    assert spread.effect == pytest.approx(np.log(after.var() / before.var()), abs=0.01)


def out_of_range(reference, current):
    sketches = [QuantileSketch.of(np.asarray(side, dtype=float)) for side in (reference, current)]
    grid = shared_grid(sketches)
    return statistics.out_of_range(*[cells(sketch, grid) for sketch in sketches], grid)


def test_out_of_range_holds_its_level_on_a_tail_without_a_mean():
    generator = np.random.default_rng(4)
    found = [out_of_range(*(1 / generator.random((2, 200)))).p_value for _ in range(1000)]
    for level in (0.1, 0.03, 0.01):
        assert np.mean(np.asarray(found) <= level) <= level + 3 * np.sqrt(level / 1000)


def test_a_few_rows_in_a_wrong_unit_are_out_of_range():
    generator = np.random.default_rng(5)
    reference, current = np.exp(generator.normal(size=(2, 200)))
    assert out_of_range(reference, current).p_value == 1
    current[:8] *= 1000
    assert out_of_range(reference, current).p_value < 1e-4
    assert out_of_range(-reference, -current).p_value < 1e-4


def test_adjusted_p_values_with_equal_weights_are_holms():
    assert statistics.adjust([0.01, 0.04, 0.03], [1, 1, 1]) == pytest.approx([0.03, 0.06, 0.06])


def test_a_heavier_test_is_adjusted_less():
    assert statistics.adjust([0.01, 0.5], [3, 1])[0] < statistics.adjust([0.01, 0.5], [1, 3])[0]


@given(st.dictionaries(st.integers(-40, 40), st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
@settings(max_examples=60, deadline=None)
def test_distance_with_slack_is_that_of_the_shifted_distribution_functions(counts):
    sides = [np.repeat(list(counts), [pair[side] for pair in counts.values()]).astype(float) for side in (0, 1)]
    if not all(side.size for side in sides):
        return
    grid = shared_grid([QuantileSketch.of(side) for side in sides])
    both = [cells(QuantileSketch.of(side), grid) for side in sides]
    everywhere = np.arange(-50, 50, 0.25)
    reference, current = (stats.ecdf(side).cdf.evaluate for side in sides)
    expected = max(
        np.max(current(everywhere) - reference(everywhere + 1.5)),
        np.max(reference(everywhere) - current(everywhere + 1.5)),
    )
    assert statistics.ks_beyond(*both, grid, 1.5) == pytest.approx(max(0.0, expected))
    assert statistics.ks_beyond(*both, grid, 0.0) == pytest.approx(statistics.ks_distance(*both))


def test_a_sentinel_on_both_sides_does_not_make_the_unit_large():
    generator = np.random.default_rng(1)
    sides = [np.where(generator.random(1000) < 0.03, -9999.0, generator.normal(20, 5, 1000)) for _ in range(2)]
    grid = shared_grid([QuantileSketch.of(side) for side in sides])
    both = [cells(QuantileSketch.of(side), grid) for side in sides]
    assert 5 < statistics.unit(*both, grid) < 12
