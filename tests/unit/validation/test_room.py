import functools

import numpy as np
import pytest

from retrain.validation import room


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("rows", [200, 1_000, 10_000])
@pytest.mark.parametrize("part", [1.0, 0.5])
def test_a_fresh_batch_exceeds_the_bound_about_as_rarely_as_the_risk_says(share, rows, part):
    risk, trials = 0.01, 4_000
    rng = np.random.default_rng([int(share * 1000), rows, int(part * 10)])
    bound = functools.cache(lambda count: room.at_most(count, rows, risk=risk))
    bounds = np.array([bound(int(count)) for count in rng.binomial(rows, share, trials)])
    batch = int(rows * part)
    fresh = rng.binomial(batch, share, trials) / batch
    assert np.mean(fresh > bounds) <= 2 * risk


def test_the_bound_is_of_use_not_only_safe():
    # A bound of 1 would be safe as well: 5% nulls in 10,000 rows must not make room for 10%.
    assert room.at_most(500, 10_000, risk=1e-4) < 0.08
    assert room.at_most(0, 10_000, risk=1e-4) < 0.005


def test_the_bound_grows_with_the_count_and_shrinks_with_the_rows():
    assert room.at_most(1, 1_000, risk=0.001) < room.at_most(10, 1_000, risk=0.001)
    assert room.at_most(10, 1_000, risk=0.001) > room.at_most(100, 10_000, risk=0.001)


@pytest.mark.parametrize(("count", "rows"), [(0, 1), (1, 1), (0, 10), (10, 10), (5, 10**8)])
def test_mostly_is_a_share_whatever_the_counts(count, rows):
    assert 0 <= room.mostly(count, rows, risk=1e-4) <= 1


def test_mostly_is_written_with_two_digits_of_what_may_break():
    for count in (0, 3, 40, 500, 7_000):
        broken = f"{1 - room.mostly(count, 10_000, risk=1e-4):.9f}".strip("0.").rstrip("0")
        assert len(broken) <= 2


def test_the_limits_of_a_share_contain_it_and_the_flipped_share_lies_outside():
    low, high = room.share_between(2_000, 10_000, risk=1e-4)
    assert 0 < low < 0.2 < high < 0.8


def test_odds_are_multiplied():
    assert room.with_odds(0.2, 2) == pytest.approx(1 / 3)
    assert (room.with_odds(0, 2), room.with_odds(1, 2)) == (0, 1)


def test_one_absurd_value_does_not_stretch_the_limits():
    sample = np.append(np.random.default_rng(1).normal(10, 1, 1_000), 1e9)
    low, high, outside = room.limits(sample)
    assert (low, outside) == (pytest.approx(5, abs=1.5), 1)
    assert high < 25


def test_limits_reach_as_far_as_an_ordinary_sample():
    sample = np.random.default_rng(1).exponential(2, 10_000)
    low, high, outside = room.limits(sample)
    assert (low, outside) == (0.0, 0)  # never negative, hence no negative limit
    assert sample.max() <= high < 5 * sample.max()


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e-12, 1e15])
def test_limits_of_a_constant_leave_it_inside(value):
    low, high, outside = room.limits(np.full(50, value))
    assert low <= value <= high
    assert (low < high, outside) == (True, 0)
