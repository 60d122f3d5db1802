"""The triggers for asset events: what is stored of them. That they work is for a real Airflow to show."""

import asyncio

import pytest
from airflow.sdk import AssetWatcher
from airflow.sdk._shared.module_loading import import_string
from airflow.serialization.encoders import encode_trigger

from retrain.triggers.asset_event import AssetEventTrigger, AssetEventWaitTrigger
from scripts.services.processes import free_port
from tests.support.airflow_tasks import connect

TRIGGERS = [
    AssetEventTrigger("s3://bucket/orders", "there", {"day": "mon"}, 5),
    AssetEventWaitTrigger("orders", "there", "2024-01-01T00:00:00+00:00", {"day": "mon"}, 5, patient=True),
]


@pytest.mark.parametrize("made", TRIGGERS)
def test_a_trigger_is_rebuilt_from_what_it_serializes(made) -> None:
    path, arguments = made.serialize()
    again = import_string(path)(**arguments)
    assert type(again) is type(made)
    assert again.serialize() == made.serialize()


def test_airflow_can_store_the_watcher_of_an_asset() -> None:
    stored = encode_trigger(AssetWatcher(name="orders", trigger=TRIGGERS[0]).trigger)
    assert stored["classpath"] == "retrain.triggers.asset_event.AssetEventTrigger"


def test_an_airflow_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    connect(monkeypatch, "there", conn_type="http", host="127.0.0.1", port=free_port(), login="a", password="b")

    async def wait() -> None:
        events = AssetEventWaitTrigger("orders", "there", poll_interval_seconds=0.02).run()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 1)

    asyncio.run(wait())
    assert caplog.text.count("trying again") > 1


def test_a_connection_that_is_not_there_ends_the_wait() -> None:
    async def first() -> dict:
        return (await anext(AssetEventWaitTrigger("orders", "absent").run())).payload

    assert asyncio.run(first())["error"]["type"] == "ConnectionConfigError"
