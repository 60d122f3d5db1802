"""Waiting together: Airflow's own manager of shared streams, real folders."""

import asyncio
import contextlib
import threading
from collections import Counter
from pathlib import Path

import pytest
from airflow.triggers.shared_stream import SharedStreamManager

from retrain.data import storage
from retrain.triggers import _pool
from retrain.triggers._pool import in_thread, store_of
from retrain.triggers.arrival import PartitionArrivalTrigger, PartitionWaitTrigger

QUICK = 0.05


def land(folder: Path, name: str) -> None:
    unfinished = folder / f".{name}.tmp"
    unfinished.write_text("rows")
    unfinished.replace(folder / name)


class Triggerer:
    """Drives triggers as Airflow's runner does: those with equal keys subscribe to one stream."""

    def __init__(self) -> None:
        self.manager = SharedStreamManager()
        self.fired: dict[int, list] = {}
        self.tasks: list[asyncio.Task] = []

    def add(self, trigger) -> int:
        number = len(self.tasks)
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        self.fired[number] = []

        async def run() -> None:
            try:
                async for event in trigger.filter_shared_stream(stream):
                    self.fired[number].append(event.payload)
            finally:
                await self.manager.unsubscribe(number, key)

        self.tasks.append(asyncio.create_task(run()))
        return number

    async def until(self, ready, seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not ready():
                await asyncio.sleep(QUICK)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Count the real listings by folder."""
    count: Counter = Counter()
    real = storage.listing

    def counting(uri, **options):
        count[str(uri)] += 1
        return real(uri, **options)

    monkeypatch.setattr(storage, "listing", counting)
    return count


def test_watchers_of_one_folder_share_one_listing_and_each_sees_its_own(tmp_path: Path, listed: Counter) -> None:
    async def story() -> None:
        triggerer = Triggerer()
        for number in range(50):
            triggerer.add(PartitionArrivalTrigger(f"{tmp_path}/{number}-{{partition}}.csv", QUICK))
        assert len(triggerer.manager._groups) == 1
        land(tmp_path, "7-jan.csv")
        land(tmp_path, "9-feb.csv")
        await triggerer.until(lambda: triggerer.fired[7] and triggerer.fired[9])
        looks = listed[str(tmp_path)]
        await triggerer.until(lambda: listed[str(tmp_path)] >= looks + 3)
        await triggerer.stop()
        assert {n: [one["partitions"] for one in told] for n, told in triggerer.fired.items() if told} == {
            7: [["jan"]],
            9: [["feb"]],
        }
        assert set(listed) == {str(tmp_path)}

    asyncio.run(story())


def test_who_comes_late_to_a_shared_listing_has_missed_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        triggerer = Triggerer()
        land(tmp_path, "a-1.csv")
        land(tmp_path, "b-1.csv")
        first = triggerer.add(PartitionArrivalTrigger(f"{tmp_path}/a-{{partition}}.csv", QUICK))
        await triggerer.until(lambda: triggerer.fired[first])
        late = triggerer.add(PartitionArrivalTrigger(f"{tmp_path}/b-{{partition}}.csv", QUICK))
        await triggerer.until(lambda: triggerer.fired[late])
        assert triggerer.fired[late][0]["partitions"] == ["1"]
        assert len(triggerer.fired[first]) == 1
        await triggerer.stop()

    asyncio.run(story())


def test_waiting_sensors_and_watchers_share_a_listing(tmp_path: Path) -> None:
    async def story() -> None:
        triggerer = Triggerer()
        watcher = triggerer.add(PartitionArrivalTrigger(f"{tmp_path}/{{partition}}.csv", QUICK))
        waits = [
            triggerer.add(PartitionWaitTrigger(f"{tmp_path}/{{partition}}.csv", QUICK, wanted={"partition": name}))
            for name in ("jan", "feb")
        ]
        assert len(triggerer.manager._groups) == 1
        land(tmp_path, "feb.csv")
        await triggerer.until(lambda: triggerer.fired[waits[1]] and triggerer.fired[watcher])
        assert triggerer.tasks[waits[1]].done()
        assert not triggerer.fired[waits[0]]
        await triggerer.stop()

    asyncio.run(story())


def test_a_store_that_fails_for_a_while_ends_no_wait(tmp_path: Path) -> None:
    async def story() -> None:
        feed = tmp_path / "feed"
        feed.symlink_to(feed)  # cannot be listed
        triggerer = Triggerer()
        watcher = triggerer.add(PartitionArrivalTrigger(f"{feed}/{{partition}}.csv", QUICK))
        await asyncio.sleep(5 * QUICK)
        assert not triggerer.tasks[watcher].done()
        feed.unlink()
        feed.mkdir()
        land(feed, "jan.csv")
        await triggerer.until(lambda: triggerer.fired[watcher])
        await triggerer.stop()

    asyncio.run(story())


def test_a_broken_template_is_told_in_the_log_once_and_does_not_end_the_watcher(caplog) -> None:
    """If it ended, Airflow would start it again every second."""

    async def story() -> None:
        triggerer = Triggerer()
        watcher = triggerer.add(PartitionArrivalTrigger("/feed/{partition}/{partition}.csv", 0.01))
        await asyncio.sleep(0.2)
        assert not triggerer.tasks[watcher].done()
        await triggerer.stop()

    asyncio.run(story())
    assert caplog.text.count("cannot succeed until") == 1


def test_threads_are_few_and_one_store_does_not_take_them_all() -> None:
    release = threading.Event()
    running: Counter = Counter()
    most: Counter = Counter()
    lock = threading.Lock()

    def hang(store: str) -> None:
        with lock:
            running[store] += 1
            most[store] = max(most[store], running[store])
        release.wait(30)
        with lock:
            running[store] -= 1

    async def story() -> None:
        hanging = [asyncio.create_task(in_thread("s3://dead", lambda: hang("dead"))) for _ in range(40)]
        await asyncio.sleep(0.2)
        assert running["dead"] == _pool.PER_STORE
        # The others go on.
        assert await asyncio.wait_for(in_thread("s3://alive", lambda: "here"), 10) == "here"
        release.set()
        await asyncio.gather(*hanging)

    asyncio.run(story())
    assert most["dead"] == _pool.PER_STORE < _pool.THREADS


def test_a_store_is_who_answers() -> None:
    assert store_of("s3://bucket/a/b") == store_of("s3://bucket/c") == "s3://bucket"
    assert store_of("/feed/a") == store_of("file:///other") == "file"
    assert store_of("sql://shop/orders?day={partition}") == "sql://shop"


class Store:
    """An asset's state store, as the triggerer hands it to a watcher."""

    def __init__(self) -> None:
        self.kept: dict = {}

    async def aget(self, key, default=None):
        return self.kept.get(key, default)

    async def aset(self, key, value) -> None:
        self.kept[key] = value


async def first_events(folder: Path, store: Store | None, looks: float = 12) -> list:
    trigger = PartitionArrivalTrigger(f"{folder}/{{partition}}.csv", QUICK)
    trigger.asset_state_store = store
    told = []

    async def run() -> None:
        async for event in trigger.run():
            told.append(event.payload["partitions"])  # noqa: PERF401 - what came before the time is up is kept

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(run(), QUICK * looks)
    return told


def test_a_restart_fires_again_only_if_something_has_changed(tmp_path: Path) -> None:
    store = Store()
    land(tmp_path, "jan.csv")
    assert asyncio.run(first_events(tmp_path, store)) == [["jan"]]
    assert asyncio.run(first_events(tmp_path, store)) == []
    land(tmp_path, "feb.csv")
    assert asyncio.run(first_events(tmp_path, store)) == [["feb", "jan"]]
    assert asyncio.run(first_events(tmp_path, store)) == []


def test_an_event_that_may_not_have_reached_the_database_is_not_remembered(tmp_path: Path) -> None:
    """The triggerer dies right after firing: it fires again."""

    async def fire_and_die() -> None:
        trigger = PartitionArrivalTrigger(f"{tmp_path}/{{partition}}.csv", QUICK)
        trigger.asset_state_store = store
        events = trigger.run()
        await anext(events)
        await events.aclose()

    store = Store()
    land(tmp_path, "jan.csv")
    asyncio.run(fire_and_die())
    assert store.kept == {}
    assert asyncio.run(first_events(tmp_path, store)) == [["jan"]]


class Silent(Store):
    async def aget(self, key, default=None):
        raise ValueError("Task has 2 concrete inlets and outlets")

    aset = aget


def test_without_a_memory_a_restart_fires_once_more(tmp_path: Path) -> None:
    land(tmp_path, "jan.csv")
    for store in (None, Silent()):
        assert asyncio.run(first_events(tmp_path, store)) == [["jan"]]
