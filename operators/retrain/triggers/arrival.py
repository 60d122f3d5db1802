"""Waits for partitions: a watcher that wakes the loop, and the deferred half of a sensor."""

import logging
from collections.abc import AsyncIterator, Hashable, Mapping
from typing import Any

from airflow.sdk import conf
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from retrain.loop.waiting import NAMES, Known, Wanted, arrivals, summary
from retrain.triggers.failures import describe_error, ends_wait
from retrain.triggers.listing import Failure, listings, poll_seconds, steady
from retrain.triggers.lookout import Listing, Place

log = logging.getLogger(__name__)

REMEMBERED = "retrain.listing"
Seen = Listing | Failure


def remembering() -> bool:
    """Say whether watchers may use Airflow's state store: it makes the triggerer load Airflow's API, some 130 MiB."""
    return bool(conf.getboolean("retrain", "remember_listings", fallback=True))


class PartitionTrigger(BaseEventTrigger):
    """What the waits for partitions share: where they look, and that they look together.

    All triggers of one triggerer that look at the same folder, as often as each other, share one listing (Airflow's
    `shared_stream_key`). What is shared is always the whole listing, so that who comes late has missed nothing.
    """

    def __init__(
        self, data: str, poll_interval_seconds: float | None = None, complete: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.data = data
        self.poll_interval_seconds = poll_interval_seconds
        self.complete = dict(complete or {})

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and its arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {
            "data": self.data,
            "poll_interval_seconds": self.poll_interval_seconds,
            "complete": self.complete,
        }

    def shared_stream_key(self) -> Hashable | None:
        """Name the place and how often it is looked at."""
        return ("retrain.listing", self._place(self.serialize()[1]), poll_seconds(self.poll_interval_seconds))

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Seen]:
        """Look at the place for ever."""
        async for seen in listings(cls._place(kwargs), steady(poll_seconds(kwargs.get("poll_interval_seconds")))):
            yield seen

    @classmethod
    def _place(cls, kwargs: Mapping[str, Any]) -> Place:
        return Place.of(kwargs["data"], kwargs.get("complete"), (kwargs.get("wanted") or {}).get("after"))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look and decide without the others: where Airflow shares no streams."""
        stream = type(self).open_shared_stream(self.serialize()[1])
        async for event in self.filter_shared_stream(stream):
            yield event


class PartitionArrivalTrigger(PartitionTrigger):
    """Fires whenever a partition of `data` arrives or changes: the trigger of an `AssetWatcher`.

    The event is a wake-up call, never the record: what it says is not trusted, whoever is woken lists the objects and
    asks the ledger which are new. So no file is ever missed because its event was lost.

    `data` is a template with `{partition}` of anything that `retrain.data.scan` lists: files on any fsspec store,
    `sql://<conn_id>/<table>?<column>={partition}`, `dvc://<repository>@<branch>//<path>`. `complete` says when a
    partition is finished. What was last told of is remembered in the asset's state store: after a restart of the
    triggerer the first listing fires only if it differs (`[retrain] remember_listings = False`: always).

    `poll_interval_seconds` is the time between two listings, by default `[retrain] poll_interval_seconds` of the
    triggerer's configuration. Declarations leave it out: a DAG file that declares the same asset with another trigger
    would replace the watcher of the file before.
    """

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Seen]) -> AsyncIterator[TriggerEvent]:
        """Fire on what is new since the listing before."""
        known, last = Known(), None
        remembered = await self._remembered()
        unwritten: str | None = None
        async for seen in shared_stream:
            if unwritten is not None:
                # Not before the next look: the event must have reached the database first, else a crash loses it.
                await self._remember(unwritten)
                unwritten = None
            if isinstance(seen, Failure) or seen is last:
                continue
            last = seen
            news = arrivals(await seen.of(self.data), known)
            known = news.known
            if news.arrived and known.digest != remembered:
                names = [one.partition for one in news.fresh[:NAMES]]
                yield TriggerEvent({"data": self.data, "partitions": names})  # type: ignore[no-untyped-call]
                unwritten = known.digest
            remembered = None  # it spoke of the first listing only

    async def _remembered(self) -> str | None:
        """Return the digest of the listing that was last told of; None where nothing says so."""
        if self.asset_state_store is None or not remembering():
            return None
        try:
            found = await self.asset_state_store.aget(REMEMBERED)
        except Exception as error:  # several assets share this trigger, or the API does not answer: fire once more
            log.debug("what was known of %s cannot be read: %s", self.data, error)
            return None
        return found if isinstance(found, str) else None

    async def _remember(self, digest: str) -> None:
        if self.asset_state_store is None or not remembering():
            return
        try:
            await self.asset_state_store.aset(REMEMBERED, digest)
        except Exception as error:
            log.debug("what is known of %s cannot be written: %s", self.data, error)


class PartitionWaitTrigger(PartitionTrigger):
    """Fires once, when the partitions that a sensor waits for are there and finished.

    The event is what the sensor returns, or `{"error": ...}` for what no further look can change: see
    `retrain.triggers.failures`. A store that does not answer is asked again. `known` holds tokens by partition: these
    count only when they have changed. `patient`: only what is wrong with the declaration ends the wait.
    """

    def __init__(
        self,
        data: str,
        poll_interval_seconds: float | None = None,
        complete: Mapping[str, Any] | None = None,
        wanted: Mapping[str, Any] | None = None,
        known: Mapping[str, str] | None = None,
        patient: bool = False,
    ) -> None:
        super().__init__(data, poll_interval_seconds, complete)
        self.wanted = dict(wanted or {})
        self.known = dict(known or {})
        self.patient = patient

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and its arguments."""
        path, arguments = super().serialize()
        return path, {**arguments, "wanted": self.wanted, "known": self.known, "patient": self.patient}

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Seen]) -> AsyncIterator[TriggerEvent]:
        """Fire once and end."""
        wanted, known, last = Wanted(**self.wanted), Known(self.known), None
        async for seen in shared_stream:
            if isinstance(seen, Failure):
                if ends_wait(seen.error, patient=self.patient):
                    yield TriggerEvent({"error": describe_error(seen.error)})  # type: ignore[no-untyped-call]
                    return
            elif seen is not last:
                last = seen
                news = arrivals(await seen.of(self.data), known, wanted)
                if news.arrived:
                    yield TriggerEvent(summary(news.fresh))  # type: ignore[no-untyped-call]
                    return
