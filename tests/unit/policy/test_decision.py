import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from retrain.exceptions import ConfigurationError
from retrain.policy import Decay, Decision, Drift, Every, History, NewData, PartitionDrift, Request, Trigger, decide
from retrain.records import DriftStatus, PerformanceStatus

NOW = datetime(2026, 2, 10, tzinfo=UTC)
QUIET = History(model="m", available=4, champion="2", trained_at=datetime(2026, 2, 2, tzinfo=UTC))
POLICY = (NewData(every=2), Drift(), Decay(drop=0.02), Every("@monthly"))


def test_nothing_to_do_is_no_with_a_reason_per_rule():
    decision = decide(QUIET, POLICY, NOW)
    assert (decision.retrain, decision.trigger, decision.triggers) == (False, None, ())
    assert [reason.split(":")[0] for reason in decision.reasons] == ["new data", "drift", "decay", "schedule @monthly"]


def test_any_rule_is_enough_and_the_strongest_is_named():
    history = replace(
        QUIET,
        new_partitions=("a", "b"),
        performance=PerformanceStatus.DECAY,
        metric_at_promotion=0.7,
        metric_now=0.6,
        drift=(PartitionDrift("a", DriftStatus.DRIFT),),
    )
    decision = decide(history, POLICY, NOW)
    assert decision.retrain
    assert decision.trigger is Trigger.DECAY
    assert decision.triggers == (Trigger.DECAY, Trigger.NEW_DATA)
    assert len(decision.reasons) == 4


def test_a_request_retrains_whatever_the_rules_say():
    history = replace(QUIET, request=Request("ops", "new features"), failed_at=NOW)
    decision = decide(history, POLICY, NOW)
    assert decision.trigger is Trigger.ON_DEMAND
    assert decision.reasons[0] == "on demand: asked for by ops: new features"


def test_cold_start_waits_for_one_partition_to_train_on_and_one_to_judge_by():
    first = History(model="m", available=1, new_partitions=("a",))
    decision = decide(first, POLICY, NOW)
    assert not decision.retrain
    assert "at least 2 are needed" in decision.reasons[-1]
    assert decide(first, POLICY, NOW, min_partitions=1).trigger is Trigger.COLD_START
    assert decide(replace(first, available=2), POLICY, NOW).trigger is Trigger.COLD_START


def test_without_a_champion_each_new_partition_is_tried():
    refused = History(model="m", available=2, trained_at=NOW - timedelta(days=1))
    assert not decide(refused, (), NOW).retrain
    assert decide(replace(refused, new_partitions=("c",)), (), NOW).trigger is Trigger.COLD_START


def test_a_request_cannot_train_on_nothing():
    decision = decide(History(model="m", request=Request("ops", "try")), POLICY, NOW)
    assert not decision.retrain
    assert decision.triggers == ()


def test_a_failed_training_is_not_repeated_at_once():
    history = replace(QUIET, new_partitions=("a", "b"), failed_at=NOW - timedelta(minutes=10))
    decision = decide(history, POLICY, NOW)
    assert not decision.retrain
    assert "failed at" in decision.reasons[-1]
    assert decide(history, POLICY, NOW + timedelta(hours=1)).trigger is Trigger.NEW_DATA


def test_no_rules_means_on_demand_only():
    decision = decide(replace(QUIET, new_partitions=("a", "b", "c")), (), NOW)
    assert decision.reasons == ("no rule is declared: retrained on demand only",)
    assert not decision.retrain


def test_the_same_facts_give_the_same_decision():
    assert decide(QUIET, POLICY, NOW) == decide(QUIET, POLICY, NOW)


def test_now_needs_a_time_zone():
    with pytest.raises(ConfigurationError, match="time zone"):
        decide(QUIET, POLICY, datetime(2026, 1, 1))


def test_decision_travels_as_json():
    decision = decide(replace(QUIET, new_partitions=("a", "b")), POLICY, NOW)
    assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision
