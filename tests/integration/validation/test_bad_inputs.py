"""Each bad input gets a named verdict with a plain reason: no traceback, no silence, and no row is lost."""

from pathlib import Path

import pytest

from retrain.exceptions import StoreUnavailableError
from retrain.ledger import Ledger
from tests.support.bad_inputs import CASES, Case, WayIn, good


@pytest.fixture
def way_in(tmp_path: Path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db", migrate=True) as ledger:
        yield WayIn(tmp_path, ledger)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_input_gets_its_verdict(case: Case, way_in: WayIn) -> None:
    way_in.seed(case.file.removeprefix("2024-02"))
    way_in.land(case.file, case.content())
    verdict = way_in.take_in()["2024-02@v1"]
    found = {failure["expectation"] for failure in verdict["failures"]}
    assert (verdict["status"], set(case.names) - found) == (case.status, set()), verdict["failures"]
    assert all(failure["reason"] for failure in verdict["failures"])
    assert (verdict["accepted"] is None) == (case.status == "fail")
    kept = (verdict["accepted"] or {}).get("rows") or 0
    assert kept + verdict["quarantined_rows"] == verdict["rows"] or not verdict["quarantine_uri"]


def test_the_documentation_shows_every_case_with_its_verdict() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "bad-inputs.md").read_text(encoding="utf-8")
    for case in CASES:
        assert f"| {case.name} | {case.status} |" in page


def test_a_broken_partition_does_not_hold_up_the_next(way_in: WayIn) -> None:
    way_in.seed(".parquet")
    way_in.land("2024-02.parquet", b"not parquet")
    way_in.land("2024-03.parquet", good().to_parquet(None, index=False))
    assert [one["status"] for one in way_in.take_in().values()] == ["fail", "pass"]


def test_an_object_deleted_between_listing_and_reading_is_refused_and_may_come_back(way_in: WayIn) -> None:
    way_in.seed(".parquet")
    path = way_in.land("2024-02.parquet", good().to_parquet(None, index=False))
    (key,) = way_in.discover()
    path.unlink()
    refused = way_in.ingest(key)
    assert refused["status"] == "fail"
    assert "is not there" in refused["failures"][0]["reason"]
    way_in.land("2024-02.parquet", good().to_parquet(None, index=False))
    assert way_in.take_in()["2024-02@v2"]["status"] == "pass"


@pytest.mark.parametrize("name", ["a b", "größe", "{{ ds }}", "100%", "a#b", "a?b", "..x", "x..", "'; drop table--"])
def test_an_odd_partition_name_stays_a_name(name: str, way_in: WayIn) -> None:
    way_in.seed(".parquet")
    way_in.land(f"{name}.parquet", good().to_parquet(None, index=False))
    if name.startswith("."):  # hidden: not an arrival
        assert way_in.discover() == []
        return
    (verdict,) = way_in.take_in().values()
    assert (verdict["partition"], verdict["status"]) == (name, "pass")
    store = Path(way_in.store).resolve()
    assert all(store in path.resolve().parents for path in store.rglob("*"))


def test_a_store_that_is_down_is_said_to_be_and_nothing_is_written(way_in: WayIn) -> None:
    from retrain.data import storage
    from retrain.loop import register_arrivals

    options = {"endpoint_url": "http://127.0.0.1:9", "key": "k", "secret": "s"}
    with storage.configure("s3", **options), pytest.raises(StoreUnavailableError, match="did not answer"):
        register_arrivals(way_in.ledger, "orders", "s3://bucket/{partition}.parquet")
    assert way_in.ledger.streams() == ()
