import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from retrain.exceptions import DeclarationError
from retrain.policy import Decay, Drift, Every, History, NewData, PartitionDrift, rule_from_dict
from retrain.policy.history import Estimate
from retrain.records import DriftStatus, PerformanceStatus

TRAINED = datetime(2026, 1, 31, 12, tzinfo=UTC)
HISTORY = History(model="m", available=5, champion="3", trained_at=TRAINED, new_partitions=("2026-02",))
OK, DRIFT = DriftStatus.OK, DriftStatus.DRIFT


def _at(day, hour=0, month=2):
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "before", "due"),
    [
        ("@hourly", TRAINED + timedelta(minutes=59), TRAINED + timedelta(minutes=60)),
        ("@daily", TRAINED + timedelta(hours=11), _at(1)),
        ("@weekly", TRAINED + timedelta(hours=11), _at(1)),  # a Sunday
        ("@monthly", TRAINED + timedelta(hours=11), _at(1)),
        (timedelta(days=30), TRAINED + timedelta(days=29), TRAINED + timedelta(days=30)),
        (3600, TRAINED + timedelta(minutes=59), TRAINED + timedelta(minutes=60)),
    ],
)
def test_schedule_is_due_from_its_boundary_on(schedule, before, due):
    rule = Every(schedule)
    assert not rule.ask(HISTORY, before).yes
    assert f"not due before {due:%Y-%m-%d %H:%M} UTC" in rule.ask(HISTORY, before).reason
    assert rule.ask(HISTORY, due).yes
    assert rule.ask(HISTORY, due + timedelta(days=400)).yes


def test_schedule_names_the_next_month_after_a_training_on_the_first():
    history = replace(HISTORY, trained_at=_at(1))
    assert "not due before 2026-03-01" in Every("@monthly").ask(history, _at(27)).reason


def test_schedule_counts_in_utc():
    now = datetime.fromisoformat("2026-02-01T00:30:00+02:00")  # still January in UTC
    assert not Every("@monthly").ask(HISTORY, now).yes


def test_schedule_does_not_retrain_on_what_is_already_known():
    answer = Every("@monthly").ask(replace(HISTORY, new_partitions=()), _at(2))
    assert not answer.yes
    assert "no new partition" in answer.reason


def test_schedule_of_a_model_never_trained_here_is_due():
    assert Every("@monthly").ask(replace(HISTORY, trained_at=None), _at(2)).yes


@pytest.mark.parametrize("schedule", ["0 3 * * *", "@yearly", 0, -1, float("inf"), True, None, timedelta(0)])
def test_what_is_no_schedule_is_refused(schedule):
    with pytest.raises(DeclarationError, match=r"is no schedule.*@monthly"):
        Every(schedule)


def test_new_data_counts_partitions_since_the_last_training():
    assert not NewData(every=2).ask(HISTORY, _at(2)).yes
    answer = NewData(every=2).ask(replace(HISTORY, new_partitions=("2026-02", "2026-03")), _at(2))
    assert answer.yes
    assert "2 reaches 2" in answer.reason
    assert "2026-03" in answer.reason


def _drifted(*statuses, late=True):
    verdicts = tuple(PartitionDrift(str(i), status, ("wind", "hour")) for i, status in enumerate(statuses))
    return replace(HISTORY, drift=verdicts, labels_late=late)


def test_drift_retrains_only_where_labels_are_late():
    assert Drift().ask(_drifted(DRIFT), _at(2)).yes
    answer = Drift().ask(_drifted(DRIFT, late=False), _at(2))
    assert not answer.yes
    assert "loss of performance decides" in answer.reason
    assert "wind, hour" in answer.reason
    assert Drift(when="always").ask(_drifted(DRIFT, late=False), _at(2)).yes


def test_drift_must_last_up_to_the_latest_partition():
    rule = Drift(partitions=2)
    assert rule.ask(_drifted(OK, DRIFT, DRIFT), _at(2)).yes
    assert not rule.ask(_drifted(DRIFT, OK, DRIFT), _at(2)).yes
    assert not rule.ask(_drifted(DRIFT, DRIFT, OK), _at(2)).yes
    assert not rule.ask(_drifted(), _at(2)).yes


def test_drift_without_accepted_data_does_not_retrain():
    assert not Drift().ask(replace(_drifted(DRIFT), new_partitions=()), _at(2)).yes


def _performing(then, now, status=PerformanceStatus.DECAY, **changes):
    return replace(HISTORY, metric="roc_auc", performance=status, metric_at_promotion=then, metric_now=now, **changes)


def test_decay_must_be_significant_and_material():
    assert Decay(drop=0.02).ask(_performing(0.70, 0.67), _at(2)).yes
    assert not Decay(drop=0.02).ask(_performing(0.70, 0.69), _at(2)).yes
    assert not Decay(drop=0.02).ask(_performing(0.70, 0.60, PerformanceStatus.OK), _at(2)).yes
    assert not Decay(drop=0.02).ask(_performing(0.70, 0.60, PerformanceStatus.INCONCLUSIVE), _at(2)).yes
    assert not Decay(drop=0.02).ask(HISTORY, _at(2)).yes


def test_decay_of_exactly_the_drop_counts():
    assert Decay(drop=0.02).ask(_performing(0.70, 0.68), _at(2)).yes


def test_decay_of_a_loss_is_a_rise():
    assert Decay(drop=0.02).ask(_performing(0.50, 0.55, greater_is_better=False), _at(2)).yes
    assert not Decay(drop=0.02).ask(_performing(0.55, 0.50, greater_is_better=False), _at(2)).yes


def test_decay_that_was_already_trained_on_waits_for_new_data():
    answer = Decay().ask(_performing(0.7, 0.6, new_partitions=()), _at(2))
    assert not answer.yes
    assert "no accepted partition is new" in answer.reason


def test_decay_without_the_numbers_says_so():
    assert "not known" in Decay().ask(_performing(None, 0.6), _at(2)).reason


RULES = [Every("@daily"), Every(timedelta(hours=6)), NewData(3), Drift("always", 2), Decay(0.1)]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rule_travels_as_json(rule):
    document = json.loads(json.dumps(rule.to_dict()))
    assert document["rule"] == rule.name
    assert rule_from_dict(document) == rule
    assert hash(rule_from_dict(document)) == hash(rule)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"rule": "sometimes"},
        {"rule": "every"},
        {"rule": "new_data", "each": 3},
        {"rule": "decay", "drop": "2%"},
        "x",
    ],
)
def test_what_is_no_rule_is_refused(document):
    with pytest.raises(DeclarationError):
        rule_from_dict(document)


@pytest.mark.parametrize(
    "build",
    [lambda: NewData(0), lambda: NewData(1.5), lambda: Drift("never"), lambda: Drift(partitions=0), lambda: Decay(-1)],
)
def test_rules_that_mean_nothing_are_refused(build):
    with pytest.raises(DeclarationError):
        build()


ESTIMATED = Estimate("2026-02", PerformanceStatus.DECAY, "roc_auc", then=0.75, now=0.70)


def test_an_estimate_alone_never_retrains_unless_it_is_declared():
    history = replace(HISTORY, labels_late=True, estimate=ESTIMATED)
    assert not Decay().ask(history, _at(2)).yes
    answer = Decay(estimated=True).ask(history, _at(2))
    assert answer.yes
    assert "estimated roc_auc 0.7 on 2026-02 against 0.75, worse by +0.05 (0.02 allowed), decay" in answer.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"labels_late": False},
        {"estimate": replace(ESTIMATED, status=PerformanceStatus.OK)},
        {"estimate": replace(ESTIMATED, now=0.74)},
        {"estimate": replace(ESTIMATED, now=None)},
        {"estimate": None},
        {"new_partitions": ()},
    ],
)
def test_an_estimate_counts_while_labels_are_late_and_where_it_is_material(changes):
    history = replace(HISTORY, **{"labels_late": True, "estimate": ESTIMATED, **changes})
    assert not Decay(estimated=True).ask(history, _at(2)).yes


def test_a_history_with_an_estimate_travels_as_json():
    history = replace(HISTORY, estimate=ESTIMATED)
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history
