"""Waits for events of Airflow assets, through the REST API: a trigger has no other way to read them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from retrain.loop.waiting import AssetEvent, WantedEvent, asset_events
from retrain.triggers._pool import in_thread
from retrain.triggers.arrival import remembering
from retrain.triggers.failures import describe_error, ends_wait
from retrain.triggers.listing import poll_seconds, steady

log = logging.getLogger(__name__)

REMEMBERED = "retrain.event"


def look(airflow_conn_id: str, asset: str, after: datetime | None) -> list[AssetEvent]:
    """Return an asset's newest events from `after` on; blocks. `asset` is a URI if it has `://` in it, else a name."""
    from retrain.hooks.airflow_api import AirflowApiHook

    field = "uri" if "://" in asset else "name"
    return AirflowApiHook(airflow_conn_id).asset_events(**{field: asset}, after=after)


async def looks(
    airflow_conn_id: str, asset: str, after: datetime | None, seconds: float
) -> AsyncIterator[list[AssetEvent] | Exception]:
    """Look for ever; a look that fails is handed out as its error."""
    for interval in steady(seconds):
        try:
            yield await in_thread(f"airflow://{airflow_conn_id}", lambda: look(airflow_conn_id, asset, after))
        except Exception as error:
            log.warning("asking for events of %s failed, trying again in %.1f s: %s", asset, interval, error)
            yield error
        await asyncio.sleep(interval)


class AssetEventTrigger(BaseEventTrigger):
    """Fires on every new event of another Airflow's asset: the trigger of an `AssetWatcher`.

    Within one Airflow a DAG is scheduled on the asset itself, without a watcher. The newest event that was there when
    it first looks fires too; the last one that was told of is remembered in the asset's state store.

    :param asset: the asset's URI, or its name
    :param airflow_conn_id: connection to that Airflow (see `retrain.hooks.airflow_api`)
    :param extra: what the event's extra must hold
    """

    def __init__(
        self,
        asset: str,
        airflow_conn_id: str = "airflow_default",
        extra: Mapping[str, Any] | None = None,
        poll_interval_seconds: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asset = asset
        self.airflow_conn_id = airflow_conn_id
        self.extra = dict(extra or {})
        self.poll_interval_seconds = poll_interval_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and its arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {
            "asset": self.asset,
            "airflow_conn_id": self.airflow_conn_id,
            "extra": self.extra,
            "poll_interval_seconds": self.poll_interval_seconds,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire on what is newer than the last event that fired."""
        told = await self._remembered()
        unwritten = False
        async for seen in looks(self.airflow_conn_id, self.asset, None, poll_seconds(self.poll_interval_seconds)):
            if unwritten:
                # Not before the next look: the event must have reached the database first, else a crash loses it.
                await self._remember(told)
                unwritten = False
            if isinstance(seen, Exception):
                continue
            fresh = asset_events(seen, WantedEvent(extra=self.extra, after_id=told))
            if fresh:
                told = fresh[-1].id
                yield TriggerEvent({"asset": self.asset, "count": len(fresh), **fresh[-1].to_dict()})  # type: ignore[no-untyped-call]
                unwritten = True

    async def _remembered(self) -> int | None:
        if self.asset_state_store is None or not remembering():
            return None
        try:
            found = await self.asset_state_store.aget(REMEMBERED)
        except Exception as error:  # several assets share this trigger, or the API does not answer: fire once more
            log.debug("what was known of %s cannot be read: %s", self.asset, error)
            return None
        return found if isinstance(found, int) else None

    async def _remember(self, told: int | None) -> None:
        if self.asset_state_store is None or told is None or not remembering():
            return
        try:
            await self.asset_state_store.aset(REMEMBERED, told)
        except Exception as error:
            log.debug("what is known of %s cannot be written: %s", self.asset, error)


class AssetEventWaitTrigger(BaseTrigger):
    """Fires once, on the first event that a sensor waits for; or with an error that ends the wait."""

    def __init__(
        self,
        asset: str,
        airflow_conn_id: str,
        after: str | None = None,
        extra: Mapping[str, Any] | None = None,
        poll_interval_seconds: float | None = None,
        patient: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asset = asset
        self.airflow_conn_id = airflow_conn_id
        self.after = after
        self.extra = dict(extra or {})
        self.poll_interval_seconds = poll_interval_seconds
        self.patient = patient

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and its arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {
            "asset": self.asset,
            "airflow_conn_id": self.airflow_conn_id,
            "after": self.after,
            "extra": self.extra,
            "poll_interval_seconds": self.poll_interval_seconds,
            "patient": self.patient,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once and end."""
        after = datetime.fromisoformat(self.after) if self.after else None
        wanted = WantedEvent(after, self.extra)
        async for seen in looks(self.airflow_conn_id, self.asset, after, poll_seconds(self.poll_interval_seconds)):
            if isinstance(seen, Exception):
                if ends_wait(seen, patient=self.patient):
                    yield TriggerEvent({"error": describe_error(seen)})  # type: ignore[no-untyped-call]
                    return
            elif found := asset_events(seen, wanted):
                yield TriggerEvent({"asset": self.asset, **found[0].to_dict()})  # type: ignore[no-untyped-call]
                return
