"""From arrivals to facts: what is pending, what may be trained on, what the policy is told."""

from typing import Any

import pytest

from retrain.exceptions import ClaimLostError, ContractError, DataError
from retrain.ledger import ClaimState
from retrain.loop import accepted_partitions, champion_inputs, history, ingest, pending_partitions
from retrain.loop.facts import versions_to_compare
from retrain.loop.streams import watch_work
from retrain.records import DriftStatus, JobResult, JobStatus, PerformanceStatus
from tests.unit.loop.conftest import declared

JUDGED = {
    "version": "1", "champion": None, "verdict": {"status": "pass"}, "requests": [], "run_id": "r", "metric": 0.7,
    "model_uri": "models:/m-1", "profile_uri": "p", "losses_uri": "l", "snapshot_uri": "s",
    "partitions": ["2024-01"], "holdout": ["2024-02@v1"], "known": ["2024-01@v1", "2024-02@v1"],
}  # fmt: skip


def result(key: str, status: str = "pass", **outputs: Any) -> JobResult:
    partition, _, version = key.rpartition("@v")
    ref = {"uri": f"s3://store/{key}", "format": "parquet", "partition": partition, "version": int(version), "rows": 10}
    verdict = {
        "status": status, "rows": 10, "quarantined_rows": 0, "failures": [], "expectations": 2,
        "accepted": None if status == "fail" else ref, "quarantine_uri": None, "result_uri": "s3://store/result",
    }  # fmt: skip
    profile = {"uri": None if status == "fail" else f"s3://store/profile-{key}"}
    return JobResult(JobStatus.SUCCEEDED, {"validate": verdict, "profile": profile, **outputs})


def watched(champion: str | None = None, drift: str | None = None, performance: str | None = None) -> dict[str, Any]:
    return {
        "drift": {"status": drift, "drivers": ["carrier"], **({"champion": champion} if champion else {})},
        "performance": {"status": performance, "metric": 0.6 if performance else None},
    }


@pytest.fixture
def take_in(ledger, spec):
    def commit(key: str, status: str = "pass", model=spec, **outputs: Any) -> dict[str, Any]:
        return ingest.commit(ledger, model, key, result(key, status, **outputs), [], actor="test")

    return commit


def test_what_has_arrived_is_pending_in_order_until_the_model_has_seen_it(feed, ledger, spec, take_in) -> None:
    for name in ("2024-03", "2024-01", "2024-02"):
        feed.land(name)
    feed.discover()
    assert [one["partition"] for one in pending_partitions(ledger, spec)] == ["2024-01", "2024-02", "2024-03"]
    take_in("2024-02@v1")
    assert [one["partition"] for one in pending_partitions(ledger, spec)] == ["2024-01", "2024-03"]


def test_each_model_has_its_own_pending_partitions_of_a_shared_dataset(feed, ledger, spec, take_in) -> None:
    feed.land("2024-01")
    feed.discover()
    take_in("2024-01@v1")
    other = declared(model="other", data=spec.data)
    assert pending_partitions(ledger, other) == [{"partition": "2024-01", "version": 1}]
    assert ingest.dataset_work(ledger, other, "2024-01@v1") == []


def test_a_corrected_partition_is_pending_and_not_trained_on_until_it_is_judged(feed, ledger, spec, take_in) -> None:
    for name in ("2024-01", "2024-02"):
        feed.land(name)
    feed.discover()
    take_in("2024-01@v1")
    take_in("2024-02@v1")
    assert [one.key for one in accepted_partitions(ledger, "orders")] == ["2024-01@v1", "2024-02@v1"]
    feed.land("2024-01", "corrected")
    feed.discover()
    assert pending_partitions(ledger, spec) == [{"partition": "2024-01", "version": 2}]
    assert [one.key for one in accepted_partitions(ledger, "orders")] == ["2024-02@v1"]
    take_in("2024-01@v2")
    accepted = accepted_partitions(ledger, "orders")
    assert [one.key for one in accepted] == ["2024-01@v2", "2024-02@v1"]
    assert accepted[0].profile_uri == "s3://store/profile-2024-01@v2"


def test_a_refused_partition_is_seen_and_never_trained_on(feed, ledger, spec, take_in) -> None:
    feed.land("2024-01")
    feed.discover()
    assert take_in("2024-01@v1", "fail")["validation"] == "fail"
    assert pending_partitions(ledger, spec) == []
    assert accepted_partitions(ledger, "orders") == []


def test_a_new_partition_needs_every_step_and_a_judged_one_only_the_watching(feed, ledger, spec, take_in) -> None:
    feed.land("2024-01")
    feed.discover()
    steps, inputs = ingest.job(ledger, spec, "2024-01@v1")
    assert steps == ("validate", "profile", *ingest.WATCH_STEPS)
    assert inputs["partition"]["digest"].startswith("sha256:")
    take_in("2024-01@v1")
    other = declared(model="other", data=spec.data)
    steps, inputs = ingest.job(ledger, other, "2024-01@v1", draw_report=True)
    assert steps == ingest.WATCH_STEPS
    assert inputs["draw_report"]
    assert inputs["partition"]["uri"] == "s3://store/2024-01@v1"
    assert inputs["profile_uri"] == "s3://store/profile-2024-01@v1"


@pytest.mark.parametrize("changes", [{"pii": ("name",)}, {"categorical": ("code",)}, {"target": "paid"}])
def test_a_model_with_other_options_makes_its_own_profile(feed, ledger, spec, take_in, changes: dict) -> None:
    feed.land("2024-01")
    feed.discover()
    take_in("2024-01@v1")
    other = declared(model="other", data=spec.data, **changes)
    assert accepted_partitions(ledger, "orders", spec)[0].profile_uri == "s3://store/profile-2024-01@v1"
    assert accepted_partitions(ledger, "orders", other)[0].profile_uri is None
    steps, inputs = ingest.job(ledger, other, "2024-01@v1")
    assert steps == ("profile", *ingest.WATCH_STEPS)
    assert inputs["profile_uri"] is None
    job = JobResult(JobStatus.SUCCEEDED, {"profile": {"uri": "s3://store/own"}})
    ingest.commit(ledger, other, "2024-01@v1", job, [], actor="test")
    assert accepted_partitions(ledger, "orders", other)[0].profile_uri == "s3://store/own"
    assert accepted_partitions(ledger, "orders", spec)[0].profile_uri == "s3://store/profile-2024-01@v1"
    later = declared(model="other", data=spec.data, **changes, pii=("more",)) if "pii" not in changes else spec
    assert accepted_partitions(ledger, "orders", later)[0].profile_uri != "s3://store/own"
    feed.land("2024-02")
    feed.discover()
    assert ingest.job(ledger, other, "2024-02@v1")[1]["history"] == ["s3://store/own"]


def test_a_model_that_shares_the_profile_keeps_none_of_its_own(feed, ledger, spec, take_in) -> None:
    feed.land("2024-01")
    feed.discover()
    take_in("2024-01@v1")
    assert "profile_uri" not in ledger.get("model:returns", "watched", "2024-01@v1").payload


def test_data_that_another_model_saw_refused_leaves_nothing_to_run(feed, ledger, spec, take_in) -> None:
    feed.land("2024-01")
    feed.discover()
    take_in("2024-01@v1", "fail")
    assert ingest.job(ledger, declared(model="other", data=spec.data), "2024-01@v1")[0] == ()


def test_the_history_of_profiles_leaves_out_the_partition_itself(feed, ledger, spec, take_in) -> None:
    for name in ("2024-01", "2024-02"):
        feed.land(name)
    feed.discover()
    take_in("2024-01@v1")
    take_in("2024-02@v1")
    other = declared(model="other", data=spec.data)
    assert ingest.job(ledger, other, "2024-02@v1")[1]["history"] == ["s3://store/profile-2024-01@v1"]


def test_a_partition_that_was_never_discovered_is_named(ledger, spec) -> None:
    with pytest.raises(DataError, match="2024-09@v1 of orders is not in the ledger"):
        ingest.job(ledger, spec, "2024-09@v1")


def test_committing_again_changes_nothing_and_says_the_same(feed, ledger, spec, take_in) -> None:
    feed.land("2024-01")
    feed.discover()
    first = take_in("2024-01@v1")
    again = take_in("2024-01@v1", "fail")
    assert again == first == ingest.outcome(ledger, spec, "2024-01@v1")
    assert len(list(ledger.events("dataset:orders", kinds=["validated"]))) == 1


def test_a_task_that_was_away_too_long_cannot_commit(feed, ledger, spec) -> None:
    feed.land("2024-01")
    feed.discover()
    key = "2024-01@v1"
    work = watch_work(spec.model, key)
    slow = ledger.claim(work, "dag/run-1/ingest[0]", lease_seconds=60)
    fast = ledger.claim(work, "dag/run-2/ingest[0]", lease_seconds=60, take_over=True)
    with pytest.raises(ClaimLostError):
        ingest.commit(ledger, spec, key, result(key, "fail"), [slow], actor="slow")
    assert ingest.dataset_work(ledger, spec, key)
    ingest.commit(ledger, spec, key, result(key), [fast], actor="fast")
    assert ledger.get_claim(work).state is ClaimState.DONE
    with pytest.raises(ClaimLostError):
        ingest.commit(ledger, spec, key, result(key, "fail"), [slow], actor="slow")
    assert ingest.outcome(ledger, spec, key)["validation"] == "pass"


def promote(ledger, version: str, evidence: dict[str, Any] | None = None, previous: str | None = None) -> None:
    payload = {
        "version": version, "previous": previous, "model_uri": f"models:/m-{version}", "evidence": evidence or {},
    }  # fmt: skip
    ledger.append("model:returns", "promoted", f"{version}@{previous}", payload)


def test_a_champion_that_a_person_promoted_keeps_what_was_found_when_it_was_judged(ledger) -> None:
    ledger.append("model:returns", "judged", "run-1", JUDGED)
    ledger.append("model:returns", "judged", "run-2", {**JUDGED, "version": "2", "profile_uri": "p2", "metric": 0.8})
    promote(ledger, "2")
    found = champion_inputs(ledger, "returns")
    assert (found["version"], found["profile_uri"], found["metric"]) == ("2", "p2", 0.8)
    assert found["partitions"] == ["2024-01"]


def test_a_champion_that_nobody_judged_is_known_by_its_version_alone(ledger, spec) -> None:
    promote(ledger, "7")
    found = champion_inputs(ledger, "returns")
    assert (found["version"], found["profile_uri"], found["partitions"]) == ("7", None, None)
    assert history(ledger, spec).metric_at_promotion is None


def test_without_a_champion_there_is_nothing_to_tell(ledger, spec) -> None:
    assert champion_inputs(ledger, "returns") is None
    facts = history(ledger, spec)
    assert (facts.champion, facts.available, facts.trained_at, facts.labels_late) == (None, 0, None, False)


@pytest.fixture
def with_champion(feed, ledger, take_in) -> None:
    """Four months; trained on the first, judged by the second, version 1 promoted, then the third and fourth seen."""
    for month in range(1, 5):
        feed.land(f"2024-0{month}")
    feed.discover()
    take_in("2024-01@v1", **watched())
    take_in("2024-02@v1", **watched())
    ledger.append("model:returns", "judged", "run-1", JUDGED)
    promote(ledger, "1", JUDGED)


def test_partitions_that_were_trained_on_or_judged_by_are_not_new(ledger, spec, take_in, with_champion) -> None:
    assert history(ledger, spec).new_partitions == ()
    take_in("2024-03@v1", **watched("1", "drift", "decay"))
    facts = history(ledger, spec)
    assert facts.new_partitions == ("2024-03",)
    assert facts.trained_partitions == ("2024-01",)
    assert facts.available == 3
    assert (facts.metric_at_promotion, facts.metric_now) == (0.7, 0.6)
    assert facts.performance is PerformanceStatus.DECAY
    assert [(one.partition, one.status) for one in facts.drift] == [("2024-03", DriftStatus.DRIFT)]
    assert not facts.labels_late
    assert type(facts).from_dict(facts.to_dict()) == facts


def test_labels_are_late_when_the_newest_partition_has_none(ledger, spec, take_in, with_champion) -> None:
    take_in("2024-03@v1", **watched("1", "ok", "ok"))
    take_in("2024-04@v1", **watched("1", "ok", None))
    facts = history(ledger, spec)
    assert facts.labels_late
    assert facts.performance is PerformanceStatus.OK


def test_verdicts_on_an_earlier_champion_say_nothing_about_the_new_one(ledger, spec, take_in, with_champion) -> None:
    take_in("2024-03@v1", **watched("1", "drift", "decay"))
    promote(ledger, "2", {**JUDGED, "version": "2"}, previous="1")
    facts = history(ledger, spec)
    assert (facts.champion, facts.performance, facts.drift) == ("2", None, ())


def test_a_refused_partition_does_not_make_labels_late(ledger, spec, take_in, with_champion) -> None:
    take_in("2024-03@v1", **watched("1", "ok", "ok"))
    take_in("2024-04@v1", "fail", **watched())
    assert not history(ledger, spec).labels_late


def test_a_corrected_version_is_new_although_its_partition_was_used(feed, ledger, spec, take_in, with_champion) -> None:
    feed.land("2024-01", "corrected")
    feed.discover()
    take_in("2024-01@v2", **watched("1", "ok", "ok"))
    assert history(ledger, spec).new_partitions == ("2024-01",)


def test_an_old_partition_that_is_corrected_is_not_the_latest_performance(
    feed, ledger, spec, take_in, with_champion
) -> None:
    take_in("2024-03@v1", **watched("1", "ok", "decay"))
    take_in("2024-04@v1", **watched("1", "ok", "decay"))
    feed.land("2024-03", "corrected")
    feed.discover()
    assert [one.partition for one in history(ledger, spec).drift] == ["2024-04"]
    take_in("2024-03@v2", **watched("1", "drift", "ok"))
    facts = history(ledger, spec)
    assert facts.performance is PerformanceStatus.DECAY
    assert [(one.partition, one.status) for one in facts.drift] == [
        ("2024-03", DriftStatus.DRIFT),
        ("2024-04", DriftStatus.OK),
    ]


def test_a_failed_training_is_worth_another_try_when_data_has_come_since(feed, ledger, spec, take_in) -> None:
    feed.land("2024-01")
    feed.discover()
    ledger.append("model:returns", "failed", "run-1", {"reason": "no target", "requests": []})
    assert history(ledger, spec).failed_at is not None
    take_in("2024-01@v1", "fail")
    assert history(ledger, spec).failed_at is not None
    feed.land("2024-02")
    feed.discover()
    take_in("2024-02@v1")
    assert history(ledger, spec).failed_at is None


def test_a_failed_training_is_known_until_one_has_ended_with_a_model(ledger, spec) -> None:
    assert history(ledger, spec).failed_at is None
    failed = ledger.append("model:returns", "failed", "run-1", {"reason": "no target", "requests": []}).event
    assert history(ledger, spec).failed_at == failed.recorded_at
    ledger.append("model:returns", "judged", "run-2", JUDGED)
    assert history(ledger, spec).failed_at is None


def test_the_policy_is_told_of_an_estimate_only_on_the_newest_partition(ledger, spec, take_in, with_champion) -> None:
    guess = {"status": "decay", "metric": "roc_auc", "realised": 0.7, "value": 0.6, "estimated": True}
    take_in("2024-03@v1", **watched("1", "ok", None), estimate=guess)
    estimate = history(ledger, spec).estimate
    assert (estimate.partition, estimate.status, estimate.now) == ("2024-03", PerformanceStatus.DECAY, 0.6)
    take_in("2024-04@v1", **watched("1", "ok", "ok"), estimate={"status": None, "reason": "labels"})
    assert history(ledger, spec).estimate is None


def test_earlier_looks_at_the_same_champion_are_handed_to_the_next(ledger, spec, take_in, with_champion) -> None:
    third = watched("1", "drift", "ok")
    third["performance"]["losses_uri"] = "losses-3"
    take_in("2024-03@v1", **third, prediction={"status": "ok", "profile_uri": "predictions-3"}, label={"status": None})
    inputs = ingest.job(ledger, spec, "2024-04@v1")[1]
    assert inputs["past"] == [{"partition": "2024-03", "status": "drift", "drivers": ["carrier"]}]
    assert inputs["past_predictions"] == ["predictions-3"]
    assert inputs["past_labels"] == []
    assert inputs["past_losses"] == [{"partition": "2024-03", "uri": "losses-3"}]
    assert inputs["look"] == 1
    promote(ledger, "2", {**JUDGED, "version": "2"}, previous="1")
    after = ingest.job(ledger, spec, "2024-04@v1")[1]
    assert (after["look"], after["past_losses"], after["past_predictions"]) == (0, [], [])
    assert after["past"] == inputs["past"]


def test_drift_of_any_kind_is_told_and_quiet_is_not(ledger, spec, take_in, with_champion) -> None:
    take_in("2024-03@v1", **watched("1", "ok", "ok"), concept={"status": "decay"})
    take_in("2024-04@v1", **watched("1", "ok", "ok"))
    found = ingest.drift_found(ledger, spec, "2024-03@v1")
    assert (found["status"], found["kinds"], found["dataset"]) == ("drift", ["concept"], "orders")
    assert ingest.drift_found(ledger, spec, "2024-04@v1") is None
    assert ingest.drift_found(ledger, spec, "2024-05@v1") is None


def test_the_champion_and_versions_to_compare_come_with_the_digest_of_their_files(ledger) -> None:
    checked = {"serving": {"status": "pass", "digest": "abc"}}
    for version, known in (("1", {}), ("2", checked), ("3", {"serving": None, "artifact_digest": "def"})):
        payload = {**JUDGED, "version": version, "model_uri": f"models:/m-{version}", "serving": None, **known}
        ledger.append("model:returns", "judged", f"run {version}", payload)
    ledger.append(
        "model:returns", "promoted", "2@0", {"version": "2", "model_uri": "models:/m-2", "evidence": {"x": 1}}
    )
    assert champion_inputs(ledger, "returns")["digest"] == "abc"
    expected = {"version": "2", "model_uri": "models:/m-2", "snapshot_uri": "s", "digest": "abc"}
    assert versions_to_compare(ledger, "returns", " 2, 1,2 ") == [
        expected, {**expected, "version": "1", "model_uri": "models:/m-1", "digest": None}
    ]  # fmt: skip
    assert versions_to_compare(ledger, "returns", [2]) == [expected]
    assert versions_to_compare(ledger, "returns", [3])[0]["digest"] == "def"
    assert versions_to_compare(ledger, "returns", "") == versions_to_compare(ledger, "nobody", ()) == []
    with pytest.raises(ContractError, match=r"no judged versions \['9'\].*some of \['1', '2', '3'\]"):
        versions_to_compare(ledger, "returns", "1, 9")
