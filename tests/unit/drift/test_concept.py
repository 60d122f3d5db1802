import numpy as np
import pytest

from retrain import drift
from retrain.exceptions import DataError, DeclarationError

pytest.importorskip("river")
DETECTORS = ["adwin", "kswin", "page_hinkley", "ddm"]


def errors(seed, *parts):
    generator = np.random.default_rng(seed)
    return np.concatenate([(generator.random(rows) < rate).astype(float) for rows, rate in parts])


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_rise_of_the_error_rate_is_decay_and_its_place_is_told(detector):
    verdict = drift.concept(errors(1, (2000, 0.2), (1500, 0.5)), detector=detector)
    assert verdict.status == "decay", verdict.reason
    assert 1990 <= verdict.changes[0] <= 2400
    assert verdict.after - verdict.before == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize("detector", DETECTORS)
def test_an_improvement_is_no_alarm(detector):
    assert drift.concept(errors(2, (2000, 0.4), (2000, 0.1)), detector=detector).status == "ok"


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_steady_stream_seldom_alarms(detector):
    verdicts = [drift.concept(errors(seed, (2000, 0.2)), detector=detector) for seed in range(4)]
    assert sum(verdict.status == "decay" for verdict in verdicts) <= 1


def test_losses_need_not_be_zero_or_one():
    generator = np.random.default_rng(3)
    losses = np.concatenate([generator.exponential(1.0, 2000), generator.exponential(1.6, 2000)])
    assert drift.concept(losses).status == "decay"
    with pytest.raises(DataError, match="0 and 1"):
        drift.concept(losses, detector="ddm")


def test_few_losses_are_inconclusive():
    assert drift.concept(np.zeros(20)).status == "inconclusive"


def test_an_unknown_detector_is_refused():
    with pytest.raises(DeclarationError, match="adwin"):
        drift.concept(np.zeros(100), detector="eddm")
