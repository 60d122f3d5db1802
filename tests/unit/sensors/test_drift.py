"""Waiting for a drift verdict in a real ledger: in a worker, between visits to one, or deferred."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from retrain.exceptions import DeclarationError
from retrain.ledger import Ledger
from retrain.loop.streams import Kind, model_stream
from retrain.sensors import DriftSensor
from tests.support.airflow_tasks import connect, connect_ledger

QUICK = 0.02


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    connect_ledger(monkeypatch, tmp_path / "ledger.db")
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db", migrate=True) as opened:
        yield opened


def watch(ledger: Ledger, partition: str, status: str | None, model: str = "m", version: int = 1, **more: Any) -> None:
    drift = {"status": status, "drivers": ["x"] if status == "drift" else [], "summary": f"{partition} is {status}"}
    drift |= {name: more.pop(name) for name in ("severity", "kinds") if name in more}
    payload = {"partition": partition, "version": version, "dataset": "d", "drift": drift, "performance": None, **more}
    ledger.append(model_stream(model), Kind.WATCHED, f"{partition}@v{version}", payload)


def sensor(**options: Any) -> DriftSensor:
    options = {"model": "m", "after": "2000-01-01", "poke_interval": QUICK, "timeout": 20, **options}
    return DriftSensor(task_id="wait", **{name: value for name, value in options.items() if value is not None})


def context() -> dict[str, Any]:
    return {"ti": SimpleNamespace(get_first_reschedule_date=lambda _: None)}


def look(made: DriftSensor) -> dict[str, Any] | None:
    return made.poke(context()).xcom_value


def fired(deferred: TaskDeferred) -> dict[str, Any] | None:
    """Run the trigger from what Airflow would store of it, for as long as it may wait."""
    path, arguments = deferred.trigger.serialize()

    async def first() -> dict[str, Any]:
        events = import_string(path)(**arguments).run()
        payload = (await anext(events)).payload
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        return payload

    try:
        return asyncio.run(asyncio.wait_for(first(), deferred.timeout.total_seconds()))
    except TimeoutError:
        return None


def test_the_oldest_verdict_of_the_status_is_returned_with_what_others_need(ledger: Ledger) -> None:
    watch(ledger, "2024-01", "ok")
    watch(ledger, "2024-02", "drift", severity="high", kinds=["feature", "label"])
    watch(ledger, "2024-03", "drift")
    found = look(sensor())
    assert (found["model"], found["dataset"], found["partition"], found["version"]) == ("m", "d", "2024-02", 1)
    assert (found["status"], found["severity"], found["kinds"]) == ("drift", "high", ["feature", "label"])
    assert (found["drivers"], found["summary"]) == (["x"], "2024-02 is drift")
    assert datetime.fromisoformat(found["recorded_at"]) > datetime.now(UTC) - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("status", "partition"),
    [("ok", "2024-01"), (["inconclusive"], "2024-02"), (["ok", "inconclusive"], "2024-01"), ("any", "2024-01")],
)
def test_another_status_may_be_waited_for(ledger: Ledger, status: Any, partition: str) -> None:
    watch(ledger, "2024-01", "ok")
    watch(ledger, "2024-02", "inconclusive")
    assert look(sensor(status=status))["partition"] == partition
    assert look(sensor()) is None


def test_a_look_without_a_champion_is_no_verdict(ledger: Ledger) -> None:
    watch(ledger, "2024-01", None)
    assert look(sensor(status="any")) is None


def test_only_the_named_partition_counts_whenever_it_was_judged(ledger: Ledger) -> None:
    watch(ledger, "2024-01", "drift")
    assert look(sensor(partition="2024-02", after=None)) is None
    assert look(sensor(partition="2024-01", after=None))["partition"] == "2024-01"


def test_of_a_corrected_partition_the_last_look_counts(ledger: Ledger) -> None:
    watch(ledger, "2024-01", "drift")
    watch(ledger, "2024-01", "ok", version=2)
    assert look(sensor(partition="2024-01")) is None
    assert look(sensor(partition="2024-01", status="ok"))["version"] == 2


def test_only_verdicts_after_the_time_count(ledger: Ledger) -> None:
    watch(ledger, "2024-01", "drift")
    assert look(sensor(after=datetime.now(UTC) + timedelta(hours=1))) is None
    assert look(sensor(after=datetime.now(UTC) - timedelta(hours=1)))["partition"] == "2024-01"


def test_by_default_verdicts_since_the_run_was_due_count_and_of_a_named_partition_all() -> None:
    assert "run_after" in DriftSensor(task_id="wait", model="m").after
    assert DriftSensor(task_id="wait", model="m", partition="2024-01").after is None


@pytest.mark.parametrize(("least", "partition"), [("low", "2024-01"), ("medium", "2024-02"), ("high", "2024-03")])
def test_the_least_severity_can_be_asked_for(ledger: Ledger, least: str, partition: str) -> None:
    for name, severity in (("2024-01", "low"), ("2024-02", "medium"), ("2024-03", "high")):
        watch(ledger, name, "drift", severity=severity)
    assert look(sensor(severity=least))["partition"] == partition


def test_drift_of_the_predictions_and_of_the_concept_is_drift_and_a_kind_can_be_asked_for(ledger: Ledger) -> None:
    watch(ledger, "2024-01", "drift", kinds=["feature"])
    watch(ledger, "2024-02", "ok", prediction={"status": "drift", "severity": "medium"})
    watch(ledger, "2024-03", "ok", concept={"status": "decay"})
    assert look(sensor(kinds=["prediction"]))["partition"] == "2024-02"
    found = look(sensor(kinds=["concept", "label"]))
    assert (found["partition"], found["status"], found["kinds"]) == ("2024-03", "drift", ["concept"])
    assert look(sensor(kinds=["label"])) is None


def test_a_dataset_stands_for_all_models_that_use_it(ledger: Ledger) -> None:
    watch(ledger, "2024-01", "ok", model="one")
    watch(ledger, "2024-01", "drift", model="two")
    found = look(sensor(model=None, dataset="d"))
    assert (found["model"], found["partition"]) == ("two", "2024-01")
    assert look(sensor(model=None, dataset="other")) is None


def test_a_verdict_that_comes_later_is_waited_for_in_the_triggerer(ledger: Ledger) -> None:
    waiting = sensor(deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(context())
    watch(ledger, "2024-01", "ok")
    watch(ledger, "2024-02", "drift")
    event = fired(deferred.value)
    found = waiting.resume_execution(deferred.value.method_name, {"event": event}, context())
    assert found["partition"] == "2024-02"
    assert found == look(sensor())


def test_between_two_visits_no_worker_is_held(ledger: Ledger) -> None:
    with pytest.raises(AirflowRescheduleException):
        sensor(mode="reschedule").execute(context())


def test_what_never_comes_fails_with_what_was_waited_for_or_skips(ledger: Ledger, caplog) -> None:
    for soft_fail, error in ((False, AirflowSensorTimeout), (True, AirflowSkipException)):
        waiting = sensor(deferrable=True, timeout=0.2, soft_fail=soft_fail, partition="2024-01")
        with pytest.raises(TaskDeferred) as deferred:
            waiting.execute(context())
        assert fired(deferred.value) is None
        with pytest.raises(error):
            waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, context())


def test_a_ledger_that_is_not_there_is_told_alike_in_every_way(tmp_path: Path, monkeypatch) -> None:
    connect(monkeypatch, "retrain_ledger", conn_type="mysql", schema="", extra={"dialect": "sqlite"})
    with pytest.raises(Exception, match="names no database"):
        sensor().execute(context())


def test_wrong_words_are_told_when_the_dag_is_parsed() -> None:
    for options, word in (
        ({"model": None}, "one of them"),
        ({"dataset": "d"}, "one of them"),
        ({"status": "red"}, "status 'red'"),
        ({"severity": "much"}, "low | medium | high"),
        ({"kinds": ["features"]}, "feature | prediction"),
    ):
        with pytest.raises(DeclarationError, match=word.replace("|", r"\|")):
            sensor(**options)


def test_a_template_that_rendered_to_nothing_fails_at_once(ledger: Ledger) -> None:
    waiting = sensor()
    waiting.partition = " "
    with pytest.raises(AirflowFailException, match="partition"):
        waiting.poke(context())


def test_it_gives_up_after_a_day_unless_told() -> None:
    assert DriftSensor(task_id="wait", model="m").timeout == timedelta(days=1).total_seconds()
