"""Waits for a drift verdict in the ledger: the deferred half of a sensor."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from retrain.loop.verdicts import WantedVerdict, find_verdict
from retrain.policy.history import parse_time
from retrain.triggers._pool import in_thread
from retrain.triggers.failures import describe_error, ends_wait
from retrain.triggers.listing import poll_seconds, steady

log = logging.getLogger(__name__)


def look(ledger_conn_id: str, model: str | None, dataset: str | None, wanted: WantedVerdict) -> dict[str, Any] | None:
    """Look once into the ledger; blocks. Opened for each look: a thousand waiting sensors hold no connection."""
    from retrain.hooks.ledger import LedgerHook

    with LedgerHook(ledger_conn_id).get_conn() as ledger:
        return find_verdict(ledger, wanted, model=model, dataset=dataset)


class DriftVerdictTrigger(BaseTrigger):
    """Fires once, with the verdict that a sensor waits for, or with an error that ends the wait.

    A ledger that does not answer is asked again. `wanted` holds the arguments of `WantedVerdict`, its time as ISO text.
    `patient`: only what is wrong with the declaration ends the wait.
    """

    def __init__(
        self,
        ledger_conn_id: str,
        model: str | None = None,
        dataset: str | None = None,
        wanted: Mapping[str, Any] | None = None,
        poll_interval_seconds: float | None = None,
        patient: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ledger_conn_id = ledger_conn_id
        self.model = model
        self.dataset = dataset
        self.wanted = dict(wanted or {})
        self.poll_interval_seconds = poll_interval_seconds
        self.patient = patient

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and its arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {
            "ledger_conn_id": self.ledger_conn_id,
            "model": self.model,
            "dataset": self.dataset,
            "wanted": self.wanted,
            "poll_interval_seconds": self.poll_interval_seconds,
            "patient": self.patient,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the verdict is there; fire once and end."""
        wanted = wanted_from(self.wanted)
        for interval in steady(poll_seconds(self.poll_interval_seconds)):
            try:
                found = await in_thread(
                    f"ledger://{self.ledger_conn_id}",
                    lambda: look(self.ledger_conn_id, self.model, self.dataset, wanted),
                )
            except Exception as error:
                if ends_wait(error, patient=self.patient):
                    yield TriggerEvent({"error": describe_error(error)})  # type: ignore[no-untyped-call]
                    return
                log.warning("asking the ledger failed, trying again in %.1f s: %s", interval, error)
            else:
                if found is not None:
                    yield TriggerEvent(found)  # type: ignore[no-untyped-call]
                    return
            await asyncio.sleep(interval)


def wanted_from(document: Mapping[str, Any]) -> WantedVerdict:
    """Rebuild what is waited for from plain JSON values."""
    return WantedVerdict(
        statuses=tuple(document["statuses"]),
        partition=document.get("partition"),
        after=parse_time(document.get("after"), "after"),
        severity=document.get("severity"),
        kinds=tuple(document.get("kinds") or ()),
    )
