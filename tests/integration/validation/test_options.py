"""Copies that outlive their source, columns whose values stay unsaid, the page, what is waived, and the schema."""

from pathlib import Path

import pandas as pd
import pytest

from retrain.data import describe, read, storage, write_parquet
from retrain.exceptions import ConfigurationError, SuiteError
from retrain.records import DataRef
from retrain.validation import validate
from retrain.validation.quarantine import read_quarantined

pytestmark = pytest.mark.integration

BELOW_38 = ("expect_column_values_to_be_between", {"column": "distance", "max_value": 37})
EXISTS = ("expect_column_to_exist", {"column": "delay"})
FEW_ROWS = ("expect_table_row_count_to_be_between", {"max_value": 10})


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


@pytest.fixture
def ref(trips, tmp_path):
    return write_parquet(trips, tmp_path / "in" / "2013-01.parquet", partition="2013-01", version=3)


# --- copies ------------------------------------------------------------------------------------------------------


def test_a_copy_has_the_very_bytes_of_its_source_and_outlives_it(ref, trips, suite, store):
    verdict = validate(ref, suite(EXISTS), store=store, dataset="trips", keep_copies=True)
    accepted = DataRef.from_dict(verdict.accepted)
    assert accepted == describe(accepted.uri, partition="2013-01", version=3)
    assert (accepted.digest, accepted.uri) == (ref.digest, f"file://{store}/data/trips/{ref.digest[7:]}.parquet")
    Path(ref.uri.removeprefix("file://")).unlink()
    pd.testing.assert_frame_equal(read(accepted), trips)


def test_a_copy_that_is_there_is_not_written_again(ref, suite, store):
    first = validate(ref, suite(EXISTS), store=store, keep_copies=True)
    path = Path(first.accepted["uri"].removeprefix("file://"))
    written = path.stat()
    assert validate(ref, suite(EXISTS), store=store, keep_copies=True) == first
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (written.st_mtime_ns, written.st_ino)


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_a_csv_is_copied_as_it_is(trips, suite, store, tmp_path, name):
    trips.to_csv(tmp_path / name, index=False)
    accepted = DataRef.from_dict(validate(tmp_path / name, suite(EXISTS), store=store, keep_copies=True).accepted)
    assert storage.read_bytes(accepted.uri) == (tmp_path / name).read_bytes()
    pd.testing.assert_frame_equal(read(accepted), trips)


def test_rows_that_were_kept_apart_need_no_copy(ref, suite, store):
    verdict = validate(ref, suite(BELOW_38), store=store, keep_copies=True)
    assert "/accepted/" in verdict.accepted["uri"]
    assert not (Path(store) / "data").exists()


def test_what_is_refused_is_not_copied(ref, suite, store):
    assert validate(ref, suite(FEW_ROWS), store=store, keep_copies=True).accepted is None
    assert not (Path(store) / "data").exists()


# --- private columns ---------------------------------------------------------------------------------------------


def test_no_value_of_a_private_column_is_in_the_result_the_reasons_or_the_page(trips, suite, store):
    private = trips.assign(distance=range(777_000, 777_040))
    kinds = ("expect_column_max_to_be_between", "expect_column_mean_to_be_between")
    limit = {"column": "distance", "max_value": 1234}
    late = ("expect_column_values_to_be_between", {"column": "distance", "max_value": 777_035})
    several = suite(*[(kind, limit, "warning") for kind in kinds], late)
    for pii, shown in ((("distance",), False), ((), True)):
        verdict = validate(private, several, store=store, pii=pii)
        page = storage.read_bytes(verdict.docs_uri).decode()
        everything = storage.read_bytes(verdict.result_uri).decode() + page + str(verdict)
        assert ("777039" in everything.replace(",", "")) is shown
        assert "1234" in everything  # what the suite demands is no value of the data
        assert read_quarantined(verdict.quarantine_uri).pii == pii


def test_an_error_about_a_private_column_quotes_nothing(trips, suite):
    secret = trips.assign(carrier="{sesame")
    schema = ("expect_column_values_to_match_json_schema", {"column": "carrier", "json_schema": {"type": "string"}})
    with pytest.raises(SuiteError, match="column is private") as raised:
        validate(secret, suite(schema), pii=["carrier"])
    assert "sesame" not in str(raised.value)


# --- the page ----------------------------------------------------------------------------------------------------


def test_the_page_lies_beside_the_result(ref, suite, store):
    verdict = validate(ref, suite(BELOW_38), store=store)
    assert verdict.docs_uri == verdict.result_uri.removesuffix(".json") + ".html"
    assert storage.read_json(verdict.result_uri)["verdict"]["docs_uri"] == verdict.docs_uri
    assert b"expect_column_values_to_be_between" in storage.read_bytes(verdict.docs_uri)
    assert validate(ref, suite(BELOW_38)).docs_uri is None


def test_a_page_that_cannot_be_drawn_changes_nothing(ref, suite, store, monkeypatch):
    from retrain.validation import docs

    monkeypatch.delattr(docs, "render")
    verdict = validate(ref, suite(BELOW_38), store=store)
    assert (verdict.status, verdict.docs_uri) == ("warn", None)
    assert storage.read_json(verdict.result_uri)["verdict"]["docs_uri"] is None


# --- what a person has let in ------------------------------------------------------------------------------------


@pytest.mark.parametrize("entries", [(BELOW_38,), (FEW_ROWS,), (BELOW_38, FEW_ROWS)])
def test_failures_that_are_waived_are_listed_and_stop_nothing(ref, suite, store, entries):
    verdict = validate(ref, suite(*entries), store=store, waive=True, quarantine_limit=0)
    assert (verdict.status, verdict.quarantined_rows, verdict.quarantine_uri) == ("warn", 0, None)
    assert [one.expectation for one in verdict.failures] == [kind for kind, _ in entries]
    assert verdict.accepted == ref.to_dict()


def test_what_holds_needs_no_waiving(ref, suite, store):
    assert validate(ref, suite(EXISTS), store=store, waive=True).status == "pass"


@pytest.mark.parametrize("content", [b"", b"distance\n", b"distance,distance\n1,2\n", b"distance\n1,2\n"])
def test_content_that_cannot_be_used_is_not_waived(tmp_path, suite, store, content):
    (tmp_path / "x.csv").write_bytes(content)
    assert validate(tmp_path / "x.csv", suite(BELOW_38), store=store, waive=True).status == "fail"


# --- the schema --------------------------------------------------------------------------------------------------


def test_schema_skew_stops_whatever_the_severities(trips, suite, store, tmp_path):
    before = write_parquet(trips, tmp_path / "a.parquet").schema
    changed = trips.rename(columns={"carrier": "airline"}).assign(distance=trips["distance"].astype(str))
    harmless = suite(("expect_column_to_exist", {"column": "delay"}, "info"))
    for source in (changed, write_parquet(changed, tmp_path / "b.parquet")):
        verdict = validate(source, harmless, schema=before, store=store, quarantine_limit=1)
        assert (verdict.status, verdict.quarantined_rows) == ("fail", 40)
        assert [(one.expectation, one.column) for one in verdict.failures] == [
            ("schema_missing", "carrier"),
            ("schema_extra", "airline"),
            ("schema_retyped", "distance"),
        ]
        assert "'airline' is new and of the same type: renamed?" in verdict.failures[0].reason
    assert validate(changed, harmless, schema=before, store=store, waive=True).status == "warn"
    assert validate(changed, harmless).status == "pass"


def test_a_column_without_a_value_is_of_every_type(trips, suite):
    blank = trips.assign(carrier=pd.Series([float("nan")] * 40))
    same = {"carrier": "string", "distance": "int32", "delay": "int64", "nothing": "timestamp[us]"}
    assert validate(blank, suite(EXISTS), schema=same).status == "pass"


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_other_columns_than_the_suite_declares_stop_whatever_the_severity(trips, suite, severity):
    columns = ("expect_table_columns_to_match_set", {"column_set": ["carrier", "distance", "delay"]}, severity)
    assert validate(trips, suite(columns)).status == "fail"


def test_another_order_of_columns_follows_the_severity(trips, suite):
    order = ["distance", "carrier", "delay", "nothing"]
    listed = ("expect_table_columns_to_match_ordered_list", {"column_list": order}, "warning")
    verdict = validate(trips, suite(listed))
    assert (verdict.status, verdict.failures[0].reason) == ("warn", "the columns come in another order")


@pytest.mark.parametrize("rows", [0, -1])
def test_a_batch_has_a_row(trips, suite, rows):
    with pytest.raises(ConfigurationError, match="batch_rows"):
        validate(trips, suite(EXISTS), batch_rows=rows)
