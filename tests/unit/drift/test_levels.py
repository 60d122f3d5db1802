import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retrain.drift import levels


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(100, 200), min_size=2),
    st.dictionaries(st.sampled_from("abc"), st.integers(100, 200), min_size=2),
)
@settings(max_examples=60, deadline=None)
def test_chi_square_of_frequent_levels_is_that_of_scipy(reference, current):
    names = sorted({*reference, *current})
    table = [[side.get(level, 0) for level in names] for side in (reference, current)]
    found = levels.contingency(reference, current)
    assert found.name == "chi_square"
    assert found.p_value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9, abs=1e-300)


def test_a_small_two_by_two_table_gets_fishers_exact_test():
    found = levels.contingency({"a": 58, "b": 2}, {"a": 55, "b": 5})
    assert found.name == "fisher_exact"
    assert found.p_value == pytest.approx(stats.fisher_exact([[58, 2], [55, 5]]).pvalue)


def test_chi_square_counts_both_sample_sizes():
    """A small batch over many levels is no alarm; it is, to a test that takes the reference as exact."""
    names = [f"v{level}" for level in range(50)]
    alarms = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        sides = [
            dict(zip(*np.unique(generator.choice(names, rows), return_counts=True), strict=True)) for rows in (200, 60)
        ]
        alarms += levels.contingency(*sides).p_value < 0.05
    assert alarms <= 11


def test_unseen_levels_are_expected_where_the_reference_has_rare_ones():
    names = [f"v{level}" for level in range(300)]
    generator = np.random.default_rng(4)
    sides = [dict(zip(*np.unique(generator.choice(names, 200), return_counts=True), strict=True)) for _ in range(2)]
    assert levels.unknown_levels(*sides).p_value > 0.01


def test_a_new_level_is_real_where_every_known_one_is_frequent():
    assert levels.unknown_levels({"a": 500, "b": 500}, {"a": 490, "b": 500, "c": 10}).p_value < 1e-4


def test_a_new_level_is_no_surprise_beside_many_rare_ones():
    rare = {f"r{level}": 3 for level in range(100)}
    assert levels.unknown_levels({"a": 700, **rare}, {"a": 690, **rare, "new": 5}).p_value > 0.05


def test_a_trend_to_rare_levels_is_seen_where_chi_square_is_not():
    before = {f"v{level}": 120 - 8 * level for level in range(12)}
    after = {f"v{level}": 120 - 6 * level for level in range(12)}
    found = levels.contingency(before, after)
    table = [list(before.values()), list(after.values())]
    assert found.name == "chi_square_trend_level"
    assert found.p_value < 0.1 * stats.chi2_contingency(table, correction=False).pvalue


def test_one_level_of_many_that_gains_a_tenth_of_the_rows_is_seen():
    shares = 1 / np.arange(1, 51)
    shares /= shares.sum()
    moved = shares * (1 - 0.1 / (1 - shares[0]))
    moved[0] = shares[0] + 0.1
    names = [f"v{level:02d}" for level in range(50)]
    seen, false = 0, 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        draws = [
            dict(zip(names, generator.multinomial(1000, p).tolist(), strict=True)) for p in (shares, shares, moved)
        ]
        false += levels.contingency(draws[0], draws[1]).p_value < 0.01
        seen += levels.contingency(draws[0], draws[2]).p_value < 0.001
    assert false <= 2
    assert seen >= 22
