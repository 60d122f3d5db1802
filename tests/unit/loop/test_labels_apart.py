"""Labels that arrive apart have versions of their own, and only labelled partitions are trained on."""

import pytest

from retrain.loop import history, ingest, pending_partitions, register_arrivals, trainable_partitions
from retrain.loop.plan import plan_training
from retrain.loop.streams import parse_key
from retrain.loop.versions import newest_versions
from tests.unit.loop.conftest import declared
from tests.unit.loop.test_facts_and_ingest import result, watched


@pytest.fixture
def spec(feed, tmp_path):
    (tmp_path / "labels").mkdir()
    return declared(data=feed.template, labels=f"{tmp_path}/labels/{{partition}}.parquet", key=("id",))


@pytest.fixture
def label(ledger, spec):
    def land(name: str, content: str = "labels") -> None:
        path = spec.labels.replace("{partition}", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        register_arrivals(ledger, "orders.labels", spec.labels)

    return land


@pytest.fixture
def take_in(ledger, spec):
    def commit(key: str, **outputs) -> dict:
        steps, _ = ingest.job(ledger, spec, key)
        answer = result(key.partition("+")[0], **watched(), **outputs)
        kept = {name: answer.outputs[name] for name in answer.outputs if name in steps}
        if "labels" in steps and "labels" not in kept:
            partition, version, labels = parse_key(key)
            ref = {"uri": f"s3://store/joined/{key}", "format": "parquet", "partition": partition, "version": version}
            kept["labels"] = {"accepted": {**ref, "labels": labels, "digest": key}, "rows": 9, "unlabelled": 1}
        return ingest.commit(ledger, spec, key, type(answer)(answer.status, kept), [], actor="test")

    return commit


def test_a_partition_is_pending_again_when_its_labels_arrive(feed, ledger, spec, take_in, label) -> None:
    feed.land("2024-01")
    feed.discover()
    assert pending_partitions(ledger, spec) == [{"partition": "2024-01", "version": 1}]
    take_in("2024-01@v1")
    assert pending_partitions(ledger, spec) == []
    label("2024-01")
    assert pending_partitions(ledger, spec) == [{"partition": "2024-01", "version": 1, "labels": 1}]
    assert ingest.job(ledger, spec, "2024-01@v1+l1")[0] == ("labels", *ingest.WATCH_STEPS)
    take_in("2024-01@v1+l1")
    assert pending_partitions(ledger, spec) == []


def test_data_and_labels_that_are_both_new_are_taken_in_together(feed, ledger, spec, take_in, label) -> None:
    feed.land("2024-01")
    feed.discover()
    label("2024-01")
    (item,) = pending_partitions(ledger, spec)
    assert item["labels"] == 1
    steps, inputs = ingest.job(ledger, spec, "2024-01@v1+l1")
    assert steps == ("validate", "profile", "labels", *ingest.WATCH_STEPS)
    assert inputs["labels"]["uri"].endswith("labels/2024-01.parquet")
    assert len(ingest.dataset_work(ledger, spec, "2024-01@v1+l1")) == 2
    take_in("2024-01@v1+l1")
    assert ingest.dataset_work(ledger, spec, "2024-01@v1+l1") == []
    assert ledger.get("dataset:orders", "validated", "2024-01@v1") is not None


def test_only_labelled_partitions_are_trained_on_and_judged_by(feed, ledger, spec, take_in, label) -> None:
    for name in ("2024-01", "2024-02", "2024-03"):
        feed.land(name)
    feed.discover()
    for name in ("2024-01", "2024-02", "2024-03"):
        take_in(f"{name}@v1")
    assert "0 labelled partitions" in plan_training(ledger, spec).blocked
    for name in ("2024-01", "2024-02"):
        label(name)
        take_in(f"{name}@v1+l1")
    plan = plan_training(ledger, spec)
    assert [ref.key for ref in plan.snapshot.partitions] == ["2024-01@v1+l1"]
    assert [ref.key for ref in plan.holdout] == ["2024-02@v1+l1"]
    assert history(ledger, spec).available == 2


def test_labels_that_could_not_be_joined_leave_the_partition_out(feed, ledger, spec, take_in, label) -> None:
    feed.land("2024-01")
    feed.discover()
    label("2024-01")
    take_in("2024-01@v1+l1", labels={"accepted": None, "reason": "1 of 2 labels repeat a key"})
    assert trainable_partitions(ledger, spec) == []
    assert pending_partitions(ledger, spec) == []
    assert ledger.get("dataset:orders", "labelled", "2024-01@v1+l1").payload["reason"].startswith("1 of 2")


def test_corrected_labels_are_a_version_of_their_own(feed, ledger, spec, take_in, label) -> None:
    feed.land("2024-01")
    feed.discover()
    label("2024-01")
    take_in("2024-01@v1+l1")
    label("2024-01", "corrected")
    assert list(newest_versions(ledger, spec)) == ["2024-01@v1+l2"]
    assert trainable_partitions(ledger, spec) == []
    take_in("2024-01@v1+l2")
    assert [one.key for one in trainable_partitions(ledger, spec)] == ["2024-01@v1+l2"]


def test_labels_without_their_data_wait(ledger, spec, label) -> None:
    label("2024-01")
    assert pending_partitions(ledger, spec) == []


def test_a_model_with_the_labels_in_its_data_does_not_see_those_of_another(feed, ledger, spec, take_in, label) -> None:
    feed.land("2024-01")
    feed.discover()
    label("2024-01")
    take_in("2024-01@v1+l1")
    plain = declared(model="other", data=feed.template)
    assert pending_partitions(ledger, plain) == [{"partition": "2024-01", "version": 1}]
    assert [one.key for one in trainable_partitions(ledger, plain)] == ["2024-01@v1"]
