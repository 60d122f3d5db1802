from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrain.data import describe, read, storage, write_parquet
from retrain.exceptions import DataError, StoreUnavailableError
from retrain.records import DataRef
from retrain.validation import validate

pytestmark = pytest.mark.integration

BELOW_38 = ("expect_column_values_to_be_between", {"column": "distance", "max_value": 37})
FEW_ROWS = ("expect_table_row_count_to_be_between", {"max_value": 10})


def files(store):
    return sorted(str(path.relative_to(store)) for path in Path(store).rglob("*") if path.is_file())


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


@pytest.fixture
def ref(trips, tmp_path):
    return write_parquet(trips, tmp_path / "in" / "2013-01.parquet", partition="2013-01", version=3)


def test_bad_rows_are_set_aside_and_the_rest_goes_on(ref, trips, suite, store):
    verdict = validate(ref, suite(BELOW_38), store=store, dataset="trips")
    assert (verdict.status, verdict.rows, verdict.quarantined_rows) == ("warn", 40, 2)
    accepted = DataRef.from_dict(verdict.accepted)
    assert (accepted.partition, accepted.version, accepted.rows) == ("2013-01", 3, 38)
    assert accepted == describe(accepted.uri, partition="2013-01", version=3)
    pd.testing.assert_frame_equal(read(accepted), trips.head(38))
    aside = read(verdict.quarantine_uri)
    pd.testing.assert_frame_equal(aside[trips.columns], trips.tail(2).reset_index(drop=True))
    assert aside["_retrain_row"].tolist() == [38, 39]
    assert [list(one) for one in aside["_retrain_broken"]] == [["expect_column_values_to_be_between(distance)"]] * 2
    assert "/quarantine/trips/2013-01/" in verdict.quarantine_uri
    assert "/accepted/trips/2013-01/" in accepted.uri


def test_each_row_carries_all_that_it_broke_and_warnings_set_nothing_aside(ref, suite, store):
    other = ("expect_column_values_to_be_between", {"column": "distance", "min_value": 1, "max_value": 38})
    warning = ("expect_column_values_to_be_between", {"column": "distance", "max_value": 20}, "warning")
    verdict = validate(ref, suite(BELOW_38, other, warning), store=store)
    broken = {
        row: len(labels) for row, labels in read(verdict.quarantine_uri)[["_retrain_row", "_retrain_broken"]].values
    }
    assert broken == {0: 1, 38: 1, 39: 2}


def test_nothing_to_set_aside_hands_on_the_source_itself(ref, suite, store):
    verdict = validate(ref, suite(("expect_column_to_exist", {"column": "delay"})), store=store)
    assert (verdict.status, verdict.accepted, verdict.quarantine_uri) == ("pass", ref.to_dict(), None)
    assert {one.split("/")[0] for one in files(store)} == {"validation"}


def test_a_source_without_digest_gets_one(ref, suite, store):
    bare = replace(ref, digest=None, rows=None, bytes=None, schema={})
    verdict = validate(bare, suite(("expect_column_to_exist", {"column": "delay"})), store=store)
    assert verdict.accepted == ref.to_dict()


@pytest.mark.parametrize(("limit", "status", "set_aside"), [(0.05, "warn", 2), (0.049, "fail", 40), (0, "fail", 40)])
def test_above_the_limit_the_partition_is_set_aside_whole(ref, suite, store, limit, status, set_aside):
    verdict = validate(ref, suite(BELOW_38), store=store, quarantine_limit=limit)
    assert (verdict.status, verdict.quarantined_rows) == (status, set_aside)
    aside = read(verdict.quarantine_uri)
    assert len(aside) == set_aside
    assert sum(len(one) > 0 for one in aside["_retrain_broken"]) == 2
    assert (verdict.accepted is None) == (status == "fail")


def test_a_batch_of_bad_rows_only_fails_at_any_limit(ref, suite, store):
    none = ("expect_column_values_to_be_between", {"column": "distance", "min_value": 100})
    assert validate(ref, suite(none), store=store, quarantine_limit=1).status == "fail"


def test_what_is_not_about_rows_cannot_be_set_aside(ref, suite, store):
    for entry in (FEW_ROWS, ("expect_column_values_to_be_null", {"column": "altitude"})):
        verdict = validate(ref, suite(BELOW_38, entry), store=store)
        assert (verdict.status, verdict.quarantined_rows, verdict.accepted) == ("fail", 40, None)


def test_a_failed_warning_beside_bad_rows_hinders_nothing(ref, suite, store):
    verdict = validate(ref, suite(BELOW_38, (*FEW_ROWS, "warning")), store=store)
    assert (verdict.status, verdict.quarantined_rows) == ("warn", 2)


def test_a_retry_writes_the_same_objects_and_no_more(ref, suite, store):
    first = validate(ref, suite(BELOW_38), store=store)
    written = {name: (Path(store) / name).read_bytes() for name in files(store)}
    assert validate(ref, suite(BELOW_38), store=store) == first
    assert {name: (Path(store) / name).read_bytes() for name in files(store)} == written
    assert sorted(Path(name).suffix for name in written) == [".html", ".json", ".parquet", ".parquet"]


def test_another_suite_limit_or_content_gets_other_objects(ref, trips, suite, store, tmp_path):
    validate(ref, suite(BELOW_38), store=store)
    validate(ref, suite(BELOW_38), store=store, quarantine_limit=0)
    validate(ref, suite(BELOW_38, (*FEW_ROWS, "info")), store=store)
    corrected = write_parquet(trips.tail(39), tmp_path / "in" / "2013-01.parquet", partition="2013-01", version=4)
    validate(corrected, suite(BELOW_38), store=store)
    assert len([name for name in files(store) if name.startswith("quarantine")]) == 4


def test_types_survive_the_split(suite, store, tmp_path):
    table = pa.table(
        {
            "distance": pa.array([*range(39), 99], pa.int32()),
            "count": pa.array([1, None] * 20, pa.int64()),
            "at": pa.array([0] * 40, pa.timestamp("us", "Europe/Berlin")),
            "kind": pa.array(["a", "b"] * 20).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    verdict = validate(
        tmp_path / "x.parquet",
        suite(("expect_column_values_to_be_between", {"column": "distance", "max_value": 50})),
        store=store,
    )
    assert verdict.status == "warn"
    assert verdict.accepted["schema"] == describe(tmp_path / "x.parquet").schema


def test_a_csv_is_split_too(trips, suite, store, tmp_path):
    trips.to_csv(tmp_path / "2013-01.csv.gz", index=False)
    verdict = validate(tmp_path / "2013-01.csv.gz", suite(BELOW_38), store=store)
    assert (verdict.status, verdict.accepted["rows"], verdict.accepted["format"]) == ("warn", 38, "parquet")
    assert "/accepted/2013-01/" in verdict.accepted["uri"]


def test_a_frame_is_stored_so_that_it_goes_on_by_reference(trips, suite, store):
    frame = trips.set_axis([f"row {i}" for i in range(40)])
    verdict = validate(frame, suite(("expect_column_to_exist", {"column": "delay"})), store=store)
    assert (verdict.status, verdict.quarantined_rows) == ("pass", 0)
    pd.testing.assert_frame_equal(read(DataRef.from_dict(verdict.accepted)), trips)
    assert validate(frame, suite(BELOW_38), store=store).accepted["rows"] == 38


def test_the_stored_result_holds_no_value_of_the_data(trips, suite, store):
    secret = trips.assign(carrier=["sesame", *trips["carrier"][1:]])
    known = ("expect_column_values_to_be_in_set", {"column": "carrier", "value_set": ["UA", "AA"]})
    distinct = ("expect_column_distinct_values_to_be_in_set", {"column": "carrier", "value_set": ["UA"]}, "warning")
    verdict = validate(secret, suite(known, distinct), store=store)
    document = storage.read_json(verdict.result_uri)
    assert document["verdict"]["status"] == "warn"
    assert [one["success"] for one in document["results"]] == [False, False]
    assert document["results"][0]["result"]["unexpected_count"] == 1
    assert b"sesame" not in storage.read_bytes(verdict.result_uri)


@pytest.mark.parametrize("name", ["..", "."])
def test_a_dataset_does_not_lead_out_of_the_store(ref, suite, store, name):
    with pytest.raises(DataError):
        validate(ref, suite(BELOW_38), store=store, dataset=name)
    assert files(Path(store).parent) == ["in/2013-01.parquet"]


def test_a_store_that_cannot_be_written_is_an_error(ref, suite, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError):
        validate(ref, suite(BELOW_38), store=str(tmp_path / "file"))


def test_the_store_may_be_any_file_system(trips, suite):
    source = write_parquet(trips, "memory://feeds/2013-01.parquet", partition="2013-01")
    verdict = validate(source, suite(BELOW_38), store="memory://kept")
    assert verdict.accepted["uri"].startswith("memory://kept/accepted/2013-01/")
    assert len(read(verdict.quarantine_uri)) == 2
