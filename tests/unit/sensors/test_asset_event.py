"""What an asset event sensor may be declared to be, and what it decides. A real Airflow is in the integration tests."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException

from retrain.exceptions import DeclarationError
from retrain.sensors import AssetEventSensor

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


class Inlets(dict):
    """A task's inlet events, as Airflow hands them over; by asset."""

    def __missing__(self, key):
        raise KeyError(f"{key} is no inlet of this task")


class Events(list):
    """The events of one asset, with the questions that Airflow lets a task put."""

    def ascending(self, flag: bool) -> "Events":
        return Events(sorted(self, key=lambda event: event.id, reverse=not flag))

    def limit(self, number: int) -> "Events":
        return Events(self[:number])

    def after(self, moment: str) -> "Events":
        return Events(event for event in self if event.timestamp >= datetime.fromisoformat(moment))


def event(number: int, minutes: int, **extra) -> SimpleNamespace:
    return SimpleNamespace(
        id=number,
        timestamp=NOON + timedelta(minutes=minutes),
        extra=extra,
        source_dag_id="shop",
        source_run_id="r",
        partition_key=None,
    )


def look(sensor: AssetEventSensor, *events: SimpleNamespace):
    return sensor.poke({"inlet_events": Inlets({sensor.inlets[0]: Events(events)})})


def test_the_oldest_event_after_the_time_that_holds_what_is_asked_for_is_returned() -> None:
    sensor = AssetEventSensor(task_id="wait", asset="orders", after=NOON, extra={"day": "mon"})
    assert not look(sensor, event(1, 0, day="mon"), event(2, 5, day="tue"))
    found = look(sensor, event(1, 0, day="mon"), event(2, 5, day="tue"), event(3, 6, day="mon"), event(4, 7, day="mon"))
    assert found.is_done
    assert (found.xcom_value["id"], found.xcom_value["asset"], found.xcom_value["source_dag_id"]) == (
        3,
        "orders",
        "shop",
    )


def test_the_asset_is_declared_as_an_inlet_so_that_its_events_may_be_read() -> None:
    asset = Asset("orders")
    assert AssetEventSensor(task_id="wait", asset=asset).inlets == [asset]
    assert AssetEventSensor(task_id="wait", asset="s3://bucket/orders").inlets == [Asset.ref(uri="s3://bucket/orders")]
    assert AssetEventSensor(task_id="wait", asset="orders", airflow_conn_id="there").inlets == []


def test_it_cannot_be_deferred_without_an_api_to_ask() -> None:
    with pytest.raises(DeclarationError, match="airflow_conn_id"):
        AssetEventSensor(task_id="wait", asset="orders", deferrable=True)


def test_where_deferral_is_the_default_only_those_with_an_api_are_deferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert AssetEventSensor(task_id="wait", asset="orders").deferrable is False
    assert AssetEventSensor(task_id="wait", asset="orders", airflow_conn_id="there").deferrable is True


def test_a_time_that_is_none_fails_at_once() -> None:
    with pytest.raises(AirflowFailException, match="ISO time"):
        look(AssetEventSensor(task_id="wait", asset="orders", after="yesterday"), event(1, 1))


def test_by_default_only_events_since_the_run_was_due_count() -> None:
    assert "run_after" in AssetEventSensor(task_id="wait", asset="orders").after
