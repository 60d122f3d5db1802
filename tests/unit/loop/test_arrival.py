"""Arrivals: each version of each partition is registered once, whoever looks and however often."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile
from sqlalchemy import event

from retrain.exceptions import DeclarationError
from retrain.ledger import Ledger
from retrain.loop import register_arrivals
from retrain.loop.arrival import latest_arrivals

STREAM = "dataset:orders"


def test_a_new_object_is_registered_with_what_proves_it(feed) -> None:
    path = feed.land("2024-01")
    assert feed.discover() == ["2024-01@v1"]
    event = feed.ledger.get(STREAM, "arrived", "2024-01@v1")
    assert event.payload["uri"] == path.as_uri()
    assert event.payload["bytes"] == path.stat().st_size
    assert event.payload["digest"].startswith("sha256:")


def test_nothing_new_is_no_event(feed) -> None:
    feed.land("2024-01")
    feed.discover()
    assert feed.discover() == []
    assert len(list(feed.ledger.events(STREAM))) == 1


def in_memory(content: str, second: int) -> str:
    """Put an object into a store whose token is as old as we say: `second` stands for an S3 etag."""
    store = fsspec.filesystem("memory")
    store.pipe_file("/feed/2024-01.parquet", content.encode())
    store.store["/feed/2024-01.parquet"].created = datetime(2024, 1, 1, second=second, tzinfo=UTC)
    return "memory://feed/{partition}.parquet"


def test_an_object_whose_token_is_known_is_not_read_again(ledger) -> None:
    register_arrivals(ledger, "orders", in_memory("rows", 1))
    assert register_arrivals(ledger, "orders", in_memory("ROWS", 1)) == []
    assert len(register_arrivals(ledger, "orders", in_memory("ROWS", 2))) == 1


def test_the_same_bytes_written_again_are_no_new_version(feed) -> None:
    feed.land("2024-01")
    feed.discover()
    feed.land("2024-01")
    assert feed.discover() == []


def test_the_same_bytes_with_another_token_are_read_once_and_are_no_arrival(ledger) -> None:
    for second in (1, 2, 1, 2):
        register_arrivals(ledger, "orders", in_memory("rows", second))
    # Read again, these other bytes would be a new version.
    assert register_arrivals(ledger, "orders", in_memory("ROWS", 2)) == []
    (arrived, seen) = ledger.events(STREAM)
    assert (arrived.kind, seen.kind) == ("arrived", "seen")
    assert seen.key == f"2024-01@v1#{seen.payload['token']}"
    assert list(latest_arrivals(ledger, "orders")) == ["2024-01@v1"]


def test_an_object_that_was_gone_when_it_was_to_be_validated_arrives_again_as_it_was(ledger) -> None:
    register_arrivals(ledger, "orders", in_memory("rows", 1))
    ledger.append(STREAM, "validated", "2024-01@v1", {"status": "fail", "result_uri": None})
    (again,) = register_arrivals(ledger, "orders", in_memory("rows", 1))
    assert again["version"] == 2
    assert register_arrivals(ledger, "orders", in_memory("rows", 1)) == []


def test_an_object_that_was_refused_for_its_content_does_not_arrive_again(ledger) -> None:
    register_arrivals(ledger, "orders", in_memory("rows", 1))
    ledger.append(STREAM, "validated", "2024-01@v1", {"status": "fail", "result_uri": "s3://store/result"})
    assert register_arrivals(ledger, "orders", in_memory("rows", 2)) == []


class Forbidden(MemoryFile):
    """An object that is listed and may not be read."""

    def seek(self, *_: int) -> int:
        raise PermissionError("not yours")


def test_an_object_that_cannot_be_read_does_not_stop_the_others(ledger, caplog) -> None:
    template = in_memory("rows", 1)
    store = fsspec.filesystem("memory")
    store.pipe_file("/feed/2024-03.parquet", b"rows")
    store.store["/feed/2024-02.parquet"] = Forbidden(store, "/feed/2024-02.parquet")
    with caplog.at_level("WARNING"):
        found = register_arrivals(ledger, "orders", template)
    assert [payload["partition"] for payload in found] == ["2024-01", "2024-03"]
    assert "2024-02.parquet is passed over" in caplog.text
    store.pipe_file("/feed/2024-02.parquet", b"rows")
    assert [payload["partition"] for payload in register_arrivals(ledger, "orders", template)] == ["2024-02"]
    store.rm("/feed", recursive=True)


def test_the_stream_is_read_once_however_many_objects_have_arrived(feed) -> None:
    statements = []
    engine = feed.ledger._database.engine
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    feed.discover()
    empty = len(statements)
    counts = []
    for month in (range(1, 3), range(3, 9)):
        statements.clear()
        for number in month:
            feed.land(f"2024-{number:02}")
        feed.discover()
        counts.append((len(statements) - empty) / len(month))
    assert counts[0] == counts[1]


def test_other_bytes_under_the_same_name_are_the_next_version(feed) -> None:
    feed.land("2024-01")
    feed.discover()
    feed.land("2024-01", "corrected")
    assert feed.discover() == ["2024-01@v2"]
    feed.land("2024-01", "corrected again")
    assert feed.discover() == ["2024-01@v3"]


def test_earlier_bytes_that_come_back_are_a_new_version_even_with_their_old_token(ledger) -> None:
    for version, (content, etag) in enumerate([("first", 1), ("second", 2), ("first", 1)], start=1):
        found = register_arrivals(ledger, "orders", in_memory(content, etag))
        assert [payload["version"] for payload in found] == [version]
        assert register_arrivals(ledger, "orders", in_memory(content, etag)) == []


def test_unfinished_and_hidden_files_have_not_arrived(feed) -> None:
    for name in (".2024-01.parquet", "_2024-01.parquet", "2024-01.parquet.tmp", "2024-01.csv"):
        (feed.folder / name).write_text("x")
    assert feed.discover() == []


def test_a_damaged_object_arrives_like_any_other(feed) -> None:
    feed.land("2024-01", "this is no parquet file")
    (feed.folder / "2024-02.parquet").touch()
    assert feed.discover() == ["2024-01@v1", "2024-02@v1"]


def test_a_folder_that_is_not_there_yet_has_no_arrivals(feed, tmp_path: Path) -> None:
    assert register_arrivals(feed.ledger, "orders", f"{tmp_path}/later/{{partition}}.parquet") == []


def test_a_template_without_its_placeholder_is_refused(feed) -> None:
    with pytest.raises(DeclarationError, match="partition"):
        register_arrivals(feed.ledger, "orders", f"{feed.folder}/all.parquet")


def test_two_sources_of_one_dataset_do_not_answer_each_other_for_ever(feed, tmp_path: Path) -> None:
    feed.land("2024-01")
    other = tmp_path / "other"
    other.mkdir()
    (other / "2024-01.parquet").write_text("something else")
    for _ in range(3):
        feed.discover()
        register_arrivals(feed.ledger, "orders", f"{other}/{{partition}}.parquet")
    assert len(list(feed.ledger.events(STREAM))) == 2


def test_many_threads_at_once_register_each_object_once(feed) -> None:
    names = [f"2024-{month:02}" for month in range(1, 7)]
    for name in names:
        feed.land(name)
    with ThreadPoolExecutor(4) as pool:
        found = [key for keys in pool.map(lambda _: feed.discover(), range(4)) for key in keys]
    assert sorted(found) == [f"{name}@v1" for name in names]
    assert sorted(event.key for event in feed.ledger.events(STREAM)) == sorted(found)
    assert feed.ledger.verify().ok


def _discover(url: str, template: str, start, results) -> None:
    with Ledger.open(url) as ledger:
        start.wait(60)
        results.put([payload["partition"] for payload in register_arrivals(ledger, "orders", template)])


def test_two_processes_at_once_register_each_object_once(feed, tmp_path: Path) -> None:
    for month in range(1, 6):
        feed.land(f"2024-{month:02}")
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2), context.Queue()
    url = f"sqlite:///{tmp_path}/ledger.db"
    workers = [context.Process(target=_discover, args=(url, feed.template, start, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = sorted(results.get(timeout=60) + results.get(timeout=60))
    for worker in workers:
        worker.join(60)
    assert found == [f"2024-{month:02}" for month in range(1, 6)]
    assert len(list(feed.ledger.events(STREAM))) == 5


def test_the_newest_version_of_each_partition_in_order_of_partition(feed) -> None:
    for name in ("2024-02", "2024-01"):
        feed.land(name)
    feed.discover()
    feed.land("2024-02", "corrected")
    feed.discover()
    assert list(latest_arrivals(feed.ledger, "orders")) == ["2024-01@v1", "2024-02@v2"]
