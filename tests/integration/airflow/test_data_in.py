"""The way in beyond one good file: labels apart, backlogs, backfills, releases, and what was read by whom."""

import pandas as pd
import pytest
from airflow.sdk.exceptions import AirflowFailException

from retrain.data import read
from retrain.exceptions import JobFailedError
from retrain.loop import trainable_partitions
from retrain.loop.access import reads_of
from retrain.loop.streams import watch_work
from retrain.operators import PartitionIngestOperator, PartitionReplayOperator
from retrain.records import DataRef, ModelSpec
from tests.support.airflow_tasks import context
from tests.support.project import orders
from tests.support.shop import Shop

pytestmark = [
    pytest.mark.integration,
    # MLflow warns about type hints of its own when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


def labelled(shop: Shop) -> None:
    """Let the shop's labels arrive apart from the orders, by their number."""
    (shop.root / "labels").mkdir()
    changes = {"labels": f"{shop.root}/labels/{{partition}}.csv", "key": ["number"]}
    shop.spec = ModelSpec.from_dict({**shop.spec.to_dict(), **changes})


def numbered(seed: int = 0) -> pd.DataFrame:
    return orders(300, seed).assign(number=range(300))


def test_labels_that_arrive_apart_are_joined_and_make_the_partition_trainable(shop: Shop) -> None:
    labelled(shop)
    frame = numbered()
    shop.land("2024-01", frame.drop(columns="returned"))
    (item,) = shop.discover()
    assert shop.ingest(item)["validation"] == "pass"
    assert trainable_partitions(shop.ledger, shop.spec) == []
    frame[["number", "returned"]][:250].sample(frac=1, random_state=1).to_csv(
        shop.root / "labels" / "2024-01.csv", index=False
    )
    (item,) = shop.discover()
    assert item == {"partition": "2024-01", "version": 1, "labels": 1}
    shop.ingest(item)
    (one,) = trainable_partitions(shop.ledger, shop.spec)
    joined = read(one.ref)
    pd.testing.assert_frame_equal(joined[frame.columns], frame[:250], check_dtype=False)
    payload = shop.ledger.get("dataset:orders", "labelled", "2024-01@v1+l1").payload
    assert (payload["rows"], payload["unlabelled"], payload["orphans"]) == (250, 50, 0)
    assert shop.discover() == []


def test_a_backlog_is_taken_in_by_few_tasks_in_order(shop: Shop) -> None:
    names = [f"2024-{number:02}" for number in range(1, 24)]
    for name in names:
        shop.land(name)
    found = shop.discover()
    assert len(found) == 12
    assert found[0]["partition"] == "2024-01 to 2024-02 (2)"
    answer = shop.ingest(found[0])
    assert [one["validation"] for one in answer["outcomes"]] == ["pass", "pass"]
    assert shop.discover()[0]["partition"] == "2024-03 to 2024-04 (2)"


def test_a_partition_that_another_run_works_on_does_not_hold_up_the_rest_of_its_batch(shop: Shop) -> None:
    for name in ("2024-01", "2024-02"):
        shop.land(name)
    items = shop.discover()
    work = watch_work(shop.spec.model, "2024-01@v1")
    claim = shop.ledger.claim(work, "other.data/run/ingest", lease_seconds=600)
    batch = {"partition": "both", "partitions": items}
    with pytest.raises(JobFailedError, match=r"claimed by other\.data"):
        shop.ingest(batch)
    assert shop.discover() == [items[0]]
    shop.ledger.release(claim)
    assert len(shop.ingest(batch)["outcomes"]) == 2


def test_a_batch_whose_suite_is_wrong_fails_for_good(shop: Shop) -> None:
    for name in ("2024-01", "2024-02"):
        shop.land(name)
    items = shop.discover()
    shop.suite.write_text("{ not json")
    with pytest.raises(AirflowFailException, match="does not parse"):
        shop.ingest({"partition": "both", "partitions": items})


def test_a_backfill_takes_a_range_in_once_more_with_the_suite_of_today(shop: Shop) -> None:
    for number in (1, 2, 3):
        shop.land(f"2024-0{number}", seed=number)
    for item in shop.discover():
        assert shop.ingest(item)["validation"] == "pass"
    shop.suite.write_text(shop.suite.read_text().replace('"min_value": 0', '"min_value": 2'))
    task = context("replay", dag_id=f"{shop.spec.model}.backfill", run_id="manual__1", user="ann")
    options = {"first": "2024-02", "concurrency": "2", "reason": "a stricter suite"}
    lanes = shop.run(PartitionReplayOperator, "replay", task, **options)
    assert lanes == [{"partition": "2024-02", "version": 2}, {"partition": "2024-03", "version": 2}]
    assert shop.run(PartitionReplayOperator, "replay", task, **options) == lanes
    for lane in lanes:
        task = context("ingest", dag_id=f"{shop.spec.model}.backfill", run_id="manual__1")
        answer = shop.run(PartitionIngestOperator, "ingest", task, partition=lane)
        assert answer["quarantined_rows"] or answer["validation"] == "fail"
    assert shop.discover() == []


def test_what_was_accepted_outlives_its_source(shop: Shop) -> None:
    shop.land("2024-01")
    before = read(str(shop.feed / "2024-01.parquet"))
    (item,) = shop.discover()
    shop.ingest(item)
    (shop.feed / "2024-01.parquet").unlink()
    accepted = shop.ledger.get("dataset:orders", "validated", "2024-01@v1").payload["accepted"]
    pd.testing.assert_frame_equal(read(DataRef.from_dict(accepted)), before)


def test_what_a_job_has_read_is_recorded_with_the_run_that_it_was_for(shop: Shop) -> None:
    shop.land("2024-01")
    (item,) = shop.discover()
    shop.ingest(item)
    reads = reads_of(shop.ledger, shop.spec.model)
    assert {one.partition for one in reads} == {"2024-01"}
    (event,) = shop.ledger.events(f"model:{shop.spec.model}", kinds=["read"])
    assert event.payload["origin"]["dag_id"] == f"{shop.spec.model}.data"
    assert all("shop" in (one.columns or ()) for one in reads)


def test_the_pages_of_a_partition_are_pushed_for_its_links(shop: Shop) -> None:
    shop.land("2024-01")
    (item,) = shop.discover()
    task = context("ingest", dag_id=f"{shop.spec.model}.data")
    shop.run(PartitionIngestOperator, "ingest", task, partition=item)
    uri = task["ti"].pushed["retrain_pages"]["validation"]
    assert uri.startswith(shop.store)
    assert uri.endswith(".html")


def test_a_column_that_comes_new_stops_the_partition_until_a_person_lets_it_in(shop: Shop) -> None:
    from retrain.loop.quarantine import release

    shop.land("2024-01")
    shop.land("2024-02", orders(300, 1).assign(extra=1))
    first, second = shop.discover()
    shop.ingest(first)
    assert shop.ingest(second)["validation"] == "fail"
    release(shop.ledger, "orders", "2024-02@v1", actor="ann", reason="the shop sends one column more", store=shop.store)
    (item,) = shop.discover()
    assert item == {"partition": "2024-02", "version": 2}
    answer = shop.ingest(item)
    assert (answer["validation"], answer["quarantined_rows"]) == ("warn", 0)
    accepted = shop.ledger.get("dataset:orders", "validated", "2024-02@v2").payload["accepted"]
    assert read(DataRef.from_dict(accepted)).shape == (300, 7)
    assert shop.discover() == []
    shop.land("2024-03", orders(300, 2).assign(extra=2))
    (item,) = shop.discover()
    assert shop.ingest(item)["validation"] == "pass"


def test_a_suite_may_be_a_function_of_the_project(shop: Shop) -> None:
    shop.project.write(
        "suites.py",
        """
        def orders():
            kwargs = {"column": "items", "min_value": 100}
            return [{"type": "expect_column_values_to_be_between", "kwargs": kwargs, "severity": "warning"}]
        """,
    )
    changes = {"expectations": f"{shop.project.package}.suites:orders"}
    shop.spec = ModelSpec.from_dict({**shop.spec.to_dict(), **changes})
    shop.land("2024-01")
    (item,) = shop.discover()
    assert shop.ingest(item)["validation"] == "warn"
