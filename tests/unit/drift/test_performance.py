import numpy as np
import pytest
from scipy import stats

from retrain import drift
from retrain.exceptions import DataError, DeclarationError
from retrain.records import PerformanceVerdict


def losses(rate, rows, seed):
    return (np.random.default_rng(seed).random(rows) < rate).astype(float)


def alarms(before, after, rows, repeats=300):
    verdicts = [
        drift.performance(losses(before, rows, seed), losses(after, rows, 10_000 + seed)) for seed in range(repeats)
    ]
    return np.mean([verdict.status == "decay" for verdict in verdicts])


def test_a_drop_of_seven_and_a_half_points_is_found_in_a_thousand_rows():
    assert alarms(0.2, 0.275, 1000) >= 0.90


def test_a_swapped_concept_is_always_found_in_two_hundred_rows():
    assert alarms(0.2, 0.8, 200) == 1.0


@pytest.mark.parametrize("rows", [200, 1000])
def test_no_change_is_seldom_an_alarm(rows):
    assert alarms(0.2, 0.2, rows) <= 0.02


def test_improvement_is_never_an_alarm():
    assert alarms(0.3, 0.1, 1000, repeats=50) == 0


def test_a_real_but_immaterial_rise_is_no_alarm():
    verdict = drift.performance(np.tile([0.0, 1.0], 10**5), np.tile([0.0, 1.004], 10**6), confidence=0.9)
    assert (verdict.status, verdict.p_value < 0.1) == ("ok", True)
    assert "not materially" in verdict.reason


def test_the_floor_can_be_set_in_the_unit_of_the_loss():
    before, after = losses(0.2, 2000, 0), losses(0.3, 2000, 1)
    assert drift.performance(before, after, min_effect=0.05).status == "decay"
    assert drift.performance(before, after, min_effect=0.2).status == "ok"


def test_the_p_value_is_welchs():
    before, after = losses(0.2, 500, 0), losses(0.25, 300, 1)
    expected = stats.ttest_ind(after, before, equal_var=False, alternative="greater").pvalue
    assert drift.performance(before, after).p_value == pytest.approx(expected)


@pytest.mark.parametrize("rows", [0, 1, 29])
def test_too_few_rows_are_inconclusive(rows):
    verdict = drift.performance(losses(0.2, 500, 0), losses(0.9, rows, 1))
    assert (verdict.status, verdict.rows_needed) == ("inconclusive", 30)


def test_losses_that_do_not_vary_are_still_compared():
    assert drift.performance(np.zeros(50), np.ones(50)).status == "decay"
    assert drift.performance(np.ones(50), np.ones(50)).status == "ok"


@pytest.mark.parametrize("bad", [[0.1, np.nan] * 50, [0.1, np.inf] * 50, np.zeros((50, 2))])
def test_losses_that_cannot_be_averaged_are_an_error(bad):
    with pytest.raises(DataError):
        drift.performance(losses(0.2, 100, 0), bad)


def test_a_confidence_outside_its_range_is_named():
    with pytest.raises(DeclarationError, match=r"1\.5"):
        drift.performance([0.0], [0.0], confidence=1.5)


def test_the_verdict_survives_json():
    verdict = drift.performance(losses(0.2, 500, 0), losses(0.4, 500, 1))
    assert PerformanceVerdict.from_dict(verdict.to_dict()) == verdict


@pytest.mark.parametrize("losses", [["a"] * 50, (x for x in [1.0] * 50), np.full(50, 1 + 1j), None])
def test_losses_that_are_no_numbers_are_named(losses):
    with pytest.raises(DataError, match="current losses"):
        drift.performance(np.ones(50), losses)


def test_losses_too_large_to_square_are_named():
    with pytest.raises(DataError, match=r"go up to 1e\+300"):
        drift.performance(np.ones(50), np.full(50, 1e300))


@pytest.mark.parametrize(("before", "after"), [(200, 5_000), (5_000, 200)])
def test_heavy_tails_are_no_decay_where_one_side_is_small(before, after):
    generator = np.random.default_rng(1)
    draws = [(generator.standard_t(3, before) ** 2, generator.standard_t(3, after) ** 2) for _ in range(300)]
    assert sum(drift.performance(*draw).status == "decay" for draw in draws) <= 9
