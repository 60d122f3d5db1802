"""A sensor ends in the same state however it waits: in a worker, between visits to one, or deferred."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from retrain.exceptions import DeclarationError, UnreadableDataError
from retrain.hooks.sql import forget_engines
from retrain.sensors import PartitionArrivalSensor
from retrain.triggers.arrival import PartitionWaitTrigger
from scripts.services.processes import free_port
from tests.support.airflow_tasks import connect

WAYS = ("poke", "reschedule", "deferred")
QUICK = 0.02


@dataclass
class End:
    """How a wait ended: the state in which Airflow would leave the task, what it returned, and how often it left."""

    state: str
    value: Any = None
    left: int = 0
    error: BaseException | None = None


def made(way: str, data: str, **options: Any) -> PartitionArrivalSensor:
    options = {"poke_interval": QUICK, "timeout": 20, **options}
    mode = "reschedule" if way == "reschedule" else "poke"
    return PartitionArrivalSensor(task_id="wait", data=data, mode=mode, deferrable=way == "deferred", **options)


def run(sensor: PartitionArrivalSensor, between=lambda visit: None) -> End:
    """Run a sensor as Airflow does; `between` is called whenever it has left the worker."""
    started = None
    left = 0
    try:
        try:
            return End("success", sensor.execute(context(started)), left)
        except AirflowRescheduleException as again:
            while True:
                left += 1
                started = started or again.reschedule_date - timedelta(seconds=sensor.poke_interval)
                between(left)
                try:
                    # Another process: nothing but the declaration is left of the sensor.
                    return End("success", remade(sensor).execute(context(started)), left)
                except AirflowRescheduleException:
                    continue
        except TaskDeferred as deferred:
            left = 1
            between(left)
            event = fired(deferred)
            if event is None:
                return End("success", sensor.resume_execution("__fail__", TIMED_OUT, context()), left)
            return End("success", sensor.resume_execution(deferred.method_name, {"event": event}, context()), left)
    except AirflowSkipException as error:
        return End("skipped", left=left, error=error)
    except (AirflowFailException, AirflowSensorTimeout) as error:
        return End("failed", left=left, error=error)
    except Exception as error:
        return End("up_for_retry", left=left, error=error)


TIMED_OUT = {"error": "Trigger timeout"}


def remade(sensor: PartitionArrivalSensor) -> PartitionArrivalSensor:
    fields = ("partition", "after", "count", "unlike", "complete", "soft_fail", "never_fail", "silent_fail")
    options = {name: getattr(sensor, name) for name in fields}
    return made("reschedule", sensor.data, **options, timeout=sensor.timeout, poke_interval=sensor.poke_interval)


def fired(deferred: TaskDeferred) -> dict[str, Any] | None:
    """Run the trigger from what Airflow would store of it, for as long as it may wait."""
    path, arguments = deferred.trigger.serialize()
    trigger = import_string(path)(**arguments)

    async def first() -> dict[str, Any]:
        events = trigger.run()
        payload = (await anext(events)).payload
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        return payload

    try:
        return asyncio.run(asyncio.wait_for(first(), deferred.timeout.total_seconds()))
    except TimeoutError:
        return None


def context(started=None) -> dict[str, Any]:
    ti = SimpleNamespace(get_first_reschedule_date=lambda _: started)
    return {"ti": ti}


def land(folder: Path, name: str, content: str = "rows") -> None:
    folder.mkdir(exist_ok=True)
    unfinished = folder / f".{name}.tmp"
    unfinished.write_text(content)
    unfinished.replace(folder / f"{name}.csv")


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    path = tmp_path / "feed"
    path.mkdir()
    return path


@pytest.mark.parametrize("way", WAYS)
def test_what_is_there_is_returned_at_once(feed: Path, way: str) -> None:
    land(feed, "2024-01")
    end = run(made(way, f"{feed}/{{partition}}.csv", partition="2024-01"))
    assert (end.state, end.left) == ("success", 0)
    assert end.value["uri"] == (feed / "2024-01.csv").as_uri()
    assert (end.value["partition"], end.value["size"], end.value["count"]) == ("2024-01", 4, 1)
    assert end.value["token"]


@pytest.mark.parametrize("way", ["reschedule", "deferred"])
def test_what_comes_later_is_waited_for_outside_the_worker(feed: Path, way: str) -> None:
    def arrive(visit: int) -> None:
        if visit == 1:
            land(feed, "2024-02")

    end = run(made(way, f"{feed}/{{partition}}.csv", partition="2024-02"), arrive)
    assert (end.state, end.left) == ("success", 1)
    assert end.value["partition"] == "2024-02"


@pytest.mark.parametrize("way", WAYS)
def test_every_way_returns_the_same(feed: Path, way: str) -> None:
    for name in ("2024-01", "2024-02", "2024-03"):
        land(feed, name)
    end = run(made(way, f"{feed}/{{partition}}.csv", after="2024-01", count=2))
    assert end.state == "success"
    assert (end.value["partition"], end.value["partitions"]) == ("2024-03", ["2024-02", "2024-03"])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("options", "state"), [({}, "failed"), ({"soft_fail": True}, "skipped"), ({"never_fail": True}, "failed")]
)
def test_a_wait_that_takes_too_long_ends_alike(feed: Path, way: str, options, state) -> None:
    end = run(made(way, f"{feed}/{{partition}}.csv", partition="2024-01", timeout=0.2, **options))
    assert end.state == state
    assert isinstance(end.error, AirflowSkipException if state == "skipped" else AirflowSensorTimeout)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("options", "state"), [({}, "failed"), ({"soft_fail": True}, "skipped"), ({"silent_fail": True}, "failed")]
)
def test_a_broken_template_fails_at_once_without_a_retry(feed: Path, way: str, options, state) -> None:
    end = run(made(way, f"{feed}/{{partition}}/{{partition}}.csv", **options))
    assert (end.state, end.left) == (state, 0)
    assert "{partition}" in str(end.error.__cause__ if state == "skipped" else end.error)


@pytest.mark.parametrize("way", WAYS)
def test_a_template_that_rendered_to_nothing_fails_at_once(feed: Path, way: str) -> None:
    sensor = made(way, f"{feed}/{{partition}}.csv", partition="{{ params.absent }}")
    sensor.partition = ""  # as Airflow renders it
    end = run(sensor)
    assert (end.state, end.left) == ("failed", 0)


@pytest.mark.parametrize("way", ["reschedule", "deferred"])
def test_a_database_that_does_not_answer_is_asked_again(tmp_path: Path, monkeypatch, way: str, capsys) -> None:
    forget_engines()
    connect(monkeypatch, "shop", conn_type="postgres", host="127.0.0.1", port=free_port(), schema="shop")

    def mend(visit: int) -> None:
        if visit == 1:
            engine = sa.create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=sa.NullPool)
            with engine.begin() as connection:
                connection.execute(sa.text("create table orders (day text)"))
                connection.execute(sa.text("insert into orders values ('mon')"))
            connect(monkeypatch, "shop", conn_type="sqlite", host=str(tmp_path / "shop.db"))
            forget_engines()

    end = run(made(way, "sql://shop/orders?day={partition}"), mend)
    forget_engines()
    assert (end.state, end.left) == ("success", 1)
    assert end.value["partition"] == "mon"
    assert "asking again" in capsys.readouterr().out


def causes(error: BaseException | None) -> list[type]:
    return [] if error is None else [type(error), *causes(error.__cause__)]


def refused(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let listings fail with what is no fault of the declaration, so many times."""
    from retrain.data import storage

    real, asked = storage.listing, []

    def listing(uri, **options):
        asked.append(1)
        if len(asked) <= times:
            raise UnreadableDataError(f"{uri} may not be read: permission denied")
        return real(uri, **options)

    monkeypatch.setattr(storage, "listing", listing)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("options", "state"),
    [({}, "up_for_retry"), ({"never_fail": True}, "skipped"), ({"soft_fail": True}, "up_for_retry")],
)
def test_another_error_leaves_it_to_airflows_retries(feed: Path, monkeypatch, way: str, options, state) -> None:
    refused(monkeypatch, 1)
    assert run(made(way, f"{feed}/{{partition}}.csv", **options)).state == state


@pytest.mark.parametrize(
    ("options", "state"),
    [({}, "up_for_retry"), ({"never_fail": True}, "skipped"), ({"soft_fail": True}, "up_for_retry")],
)
def test_an_error_in_the_triggerer_ends_as_it_would_in_a_worker(feed: Path, monkeypatch, options, state) -> None:
    end = run(made("deferred", f"{feed}/{{partition}}.csv", **options), lambda visit: refused(monkeypatch, 100))
    assert (end.state, end.left) == (state, 1)
    assert UnreadableDataError in causes(end.error)


@pytest.mark.parametrize("way", WAYS)
def test_silent_fail_goes_on_whatever_the_store_says(feed: Path, monkeypatch, way: str) -> None:
    refused(monkeypatch, 2)
    land(feed, "2024-01")
    assert run(made(way, f"{feed}/{{partition}}.csv", silent_fail=True)).state == "success"


@pytest.mark.parametrize("way", ["reschedule", "deferred"])
def test_a_partition_that_is_known_counts_when_it_has_changed(feed: Path, way: str) -> None:
    land(feed, "2024-01")
    first = run(made(way, f"{feed}/{{partition}}.csv", partition="2024-01")).value
    sensor = made(way, f"{feed}/{{partition}}.csv", partition="2024-01", unlike={first["partition"]: first["token"]})
    end = run(sensor, lambda visit: land(feed, "2024-01", "corrected") if visit == 1 else None)
    assert (end.state, end.left) == ("success", 1)
    assert end.value["token"] != first["token"]


@pytest.mark.parametrize("way", ["reschedule", "deferred"])
def test_what_is_not_finished_is_waited_for(feed: Path, way: str) -> None:
    land(feed, "2024-01")
    sensor = made(way, f"{feed}/{{partition}}.csv", complete={"marker": "{partition}.done"})
    end = run(sensor, lambda visit: (feed / "2024-01.done").touch())
    assert (end.state, end.left) == ("success", 1)


def test_a_trigger_is_rebuilt_from_what_it_serializes(feed: Path) -> None:
    sensor = made("deferred", f"{feed}/{{partition}}.csv", after="a", count=3, complete={"age_seconds": 5})
    trigger = sensor.trigger()
    path, arguments = trigger.serialize()
    again = import_string(path)(**arguments)
    assert type(again) is PartitionWaitTrigger
    assert again.serialize() == trigger.serialize()
    assert arguments["wanted"] == {"partition": None, "after": "a", "count": 3}
    assert arguments["poll_interval_seconds"] == sensor.poke_interval


def test_the_deployments_default_decides_whether_it_is_deferred(feed: Path) -> None:
    assert PartitionArrivalSensor(task_id="wait", data=f"{feed}/{{partition}}.csv").deferrable is False


@pytest.mark.parametrize(
    "options",
    [
        {"partition": "a", "after": "b"},
        {"count": 0},
        {"data": "sql://db/orders?id>{partition}", "partition": "7"},
        {"data": "sql://db/orders?id>{partition}", "count": 2},
    ],
)
def test_a_contradiction_is_told_when_the_dag_is_parsed(feed: Path, options) -> None:
    with pytest.raises(DeclarationError, match="Expected"):
        PartitionArrivalSensor(task_id="wait", **{"data": f"{feed}/{{partition}}.csv", **options})
