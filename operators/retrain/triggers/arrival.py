"""Wakes the loop when an object under a prefix arrives or changes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import conf
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from retrain.exceptions import RetrainError
from retrain.loop.arrival import News, news

log = logging.getLogger(__name__)

POLL_SECONDS = 30.0


class PartitionArrivalTrigger(BaseEventTrigger):
    """Fires whenever an object that matches `data` arrives or changes.

    The event is a wake-up call, never the record: what it says is not trusted, whoever is woken lists the objects and
    asks the ledger which are new. So the first listing after a restart of the triggerer fires once more than needed,
    and no file is ever missed because its event was lost.

    `data` is a URI template with `{partition}`; `poll_interval_seconds` is the time between two listings, by default
    `[retrain] poll_interval_seconds` of the triggerer's configuration. Declarations leave it out: a
    DAG file that declares the same asset with another trigger would replace the watcher of the file before.
    """

    def __init__(self, data: str, poll_interval_seconds: float | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.data = data
        self.poll_interval_seconds = poll_interval_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and its arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"data": self.data, "poll_interval_seconds": self.poll_interval_seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """List, compare with the listing before, fire on news, sleep; a store that is down is asked again."""
        known: News = News()
        pause = self.poll_interval_seconds or conf.getfloat("retrain", "poll_interval_seconds", fallback=POLL_SECONDS)
        while True:
            try:
                known = await asyncio.to_thread(news, self.data, known)
            except RetrainError as error:
                log.warning("listing %s failed, trying again in %s s: %s", self.data, pause, error)
            else:
                if known.fresh:
                    yield TriggerEvent({"data": self.data, "partitions": list(known.fresh[:100])})  # type: ignore[no-untyped-call]
            await asyncio.sleep(pause)
