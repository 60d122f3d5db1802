"""Who read what: a job's reads become one event, and the list of them is asked by partition and by column."""

import json

import pytest

from retrain.ledger import Ledger
from retrain.loop.access import read_entry, reads_of
from retrain.records import DataRead, JobError, JobResult, JobStatus

ORIGIN = {"dag_id": "returns.data", "run_id": "manual-1", "task_id": "ingest", "try_number": "1"}


def read(step: str, partition: str | None, *columns: str, **changes) -> DataRead:
    fields = {"digest": "sha256:1", "partition": partition, "version": 1, "columns": columns or None}
    return DataRead(step, f"file:///{partition}.parquet", **{**fields, **changes})


def record(ledger: Ledger, *reads: DataRead, key: str = "run-1", status: JobStatus = JobStatus.SUCCEEDED) -> None:
    error = JobError("DataError", "no") if status is JobStatus.FAILED else None
    result = JobResult(status, error=error, reads=reads)
    ledger.append_all([read_entry("returns", result, key=key, origin=ORIGIN, actor="ana")])


def test_what_several_steps_read_of_one_object_is_one_read_of_all_their_columns(ledger: Ledger) -> None:
    record(ledger, read("profile", "01", "a", "b"), read("performance", "01", "b", "c"), read("performance", "02", "c"))
    first, second = reads_of(ledger, "returns")
    assert (first.key, first.steps, first.columns) == ("01@v1", ("profile", "performance"), ("a", "b", "c"))
    assert (second.key, second.steps, second.columns) == ("02@v1", ("performance",), ("c",))
    assert (first.actor, first.origin, first.failed) == ("ana", ORIGIN, False)


def test_a_step_that_read_everything_outweighs_one_that_read_some(ledger: Ledger) -> None:
    record(ledger, read("profile", "01", "a"), read("train", "01"))
    assert reads_of(ledger, "returns")[0].columns is None


def test_versions_and_digests_are_different_objects(ledger: Ledger) -> None:
    record(ledger, read("a", "01"), read("a", "01", version=2), read("a", "01", digest="sha256:2"))
    assert [access.key for access in reads_of(ledger, "returns")] == ["01@v1", "01@v2", "01@v1"]


def test_a_failed_job_has_read_all_the_same(ledger: Ledger) -> None:
    record(ledger, read("train", "01"), status=JobStatus.FAILED)
    (access,) = reads_of(ledger, "returns")
    assert access.failed
    assert access.to_dict()["failed"] is True


def test_one_try_is_recorded_once(ledger: Ledger) -> None:
    record(ledger, read("train", "01"))
    record(ledger, read("train", "01"))
    record(ledger, read("train", "01"), key="run-1/2")
    assert len(reads_of(ledger, "returns")) == 2


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ({"partition": "01"}, ["01@v1", "01@v2"]),
        ({"partition": "01@v2"}, ["01@v2"]),
        ({"column": "a"}, ["01@v1", "03@v1"]),
        ({"column": "b", "partition": "01"}, ["01@v1", "01@v2"]),
        ({"partition": "0"}, []),
    ],
)
def test_reads_are_asked_for_by_partition_and_by_column(ledger: Ledger, asked: dict, keys: list[str]) -> None:
    # Of the last one the columns are not known: it may have held any.
    record(ledger, read("train", "01", "a", "b"), read("train", "01", "b", version=2), read("train", "03"))
    assert [access.key for access in reads_of(ledger, "returns", **asked)] == keys


def test_a_list_of_columns_is_written_once_for_all_partitions(ledger: Ledger) -> None:
    columns = [f"column {number}" for number in range(2_000)]
    record(ledger, *(read("train", f"{week:02}", *columns) for week in range(52)))
    event = ledger.last("model:returns", "read")
    assert len(json.dumps(event.payload)) < 2 * len(json.dumps(columns))
    assert {access.columns for access in reads_of(ledger, "returns")} == {tuple(columns)}


def test_other_models_reads_are_their_own(ledger: Ledger) -> None:
    record(ledger, read("train", "01"))
    assert reads_of(ledger, "other") == []
