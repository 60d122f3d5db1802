"""The arrival trigger, on a real folder."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from airflow.sdk import AssetWatcher
from airflow.sdk._shared.module_loading import import_string
from airflow.serialization.encoders import encode_trigger

from retrain.triggers.arrival import PartitionArrivalTrigger

QUICK = 0.02


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "feed"
    path.mkdir()
    return path


def land(folder: Path, name: str, content: str = "rows") -> None:
    unfinished = folder / f".{name}.tmp"
    unfinished.write_text(content)
    unfinished.replace(folder / f"{name}.parquet")


def trigger(folder: Path) -> PartitionArrivalTrigger:
    return PartitionArrivalTrigger(f"{folder}/{{partition}}.parquet", QUICK)


async def following(events: AsyncIterator, seconds: float = 20) -> list[str]:
    event = await asyncio.wait_for(anext(events), seconds)
    return event.payload["partitions"]


async def nothing_fires(events: AsyncIterator, listings: int = 10) -> "asyncio.Task":
    waiting = asyncio.ensure_future(anext(events))
    done, _ = await asyncio.wait([waiting], timeout=QUICK * listings)
    assert not done, done
    return waiting


def test_a_trigger_is_rebuilt_from_what_it_serializes(folder: Path) -> None:
    made = trigger(folder)
    path, arguments = made.serialize()
    again = import_string(path)(**arguments)
    assert type(again) is PartitionArrivalTrigger
    assert again.serialize() == made.serialize()
    assert (again.data, again.poll_interval_seconds) == (made.data, QUICK)


def test_airflow_can_store_the_watcher_of_an_asset(folder: Path) -> None:
    watcher = AssetWatcher(name="arrivals", trigger=trigger(folder))
    stored = encode_trigger(watcher.trigger)
    assert stored["classpath"] == "retrain.triggers.arrival.PartitionArrivalTrigger"
    assert "poll_interval_seconds" in stored["kwargs"]


def test_the_first_listing_fires_then_only_what_is_new(folder: Path) -> None:
    async def story() -> None:
        land(folder, "2024-02")
        land(folder, "2024-01")
        events = trigger(folder).run()
        assert await following(events) == ["2024-01", "2024-02"]
        waiting = await nothing_fires(events)
        land(folder, "2024-03")
        event = await asyncio.wait_for(waiting, 20)
        assert event.payload["partitions"] == ["2024-03"]
        await events.aclose()

    asyncio.run(story())


def test_a_changed_file_fires_and_an_unfinished_or_removed_one_does_not(folder: Path) -> None:
    async def story() -> None:
        land(folder, "2024-01")
        events = trigger(folder).run()
        await following(events)
        (folder / ".2024-02.parquet.tmp").write_text("half")
        waiting = await nothing_fires(events)
        land(folder, "2024-01", "corrected")
        event = await asyncio.wait_for(waiting, 20)
        assert event.payload["partitions"] == ["2024-01"]
        (folder / "2024-01.parquet").unlink()
        (await nothing_fires(events)).cancel()

    asyncio.run(story())


def test_an_empty_or_absent_folder_waits(tmp_path: Path) -> None:
    async def story() -> None:
        later = tmp_path / "later"
        events = trigger(later).run()
        waiting = await nothing_fires(events)
        later.mkdir()
        land(later, "2024-01")
        assert (await asyncio.wait_for(waiting, 20)).payload["partitions"] == ["2024-01"]
        await events.aclose()

    asyncio.run(story())


def test_a_store_that_does_not_answer_is_asked_again(tmp_path: Path, caplog) -> None:
    """A symbolic link to itself cannot be listed; it stands for a store that fails for a while."""

    async def story() -> None:
        loop = tmp_path / "feed"
        loop.symlink_to(loop)
        events = trigger(loop).run()
        waiting = await nothing_fires(events)
        assert "trying again" in caplog.text
        loop.unlink()
        loop.mkdir()
        land(loop, "2024-01")
        assert (await asyncio.wait_for(waiting, 20)).payload["partitions"] == ["2024-01"]
        await events.aclose()

    asyncio.run(story())


def test_many_arrivals_make_a_small_event(folder: Path) -> None:
    async def story() -> None:
        for number in range(150):
            land(folder, f"part-{number:03}")
        events = trigger(folder).run()
        assert len(await following(events)) == 100
        (await nothing_fires(events)).cancel()

    asyncio.run(story())
