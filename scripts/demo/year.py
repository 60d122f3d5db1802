"""Land the year month by month, and read from the ledger what became of each."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from include.flights import landing
from retrain.ledger import Event, Ledger
from retrain.loop.requests import open_requests
from retrain.loop.streams import Kind, dataset_stream, model_stream, partition_key

MODEL, DATASET = "flight-delays", "flights"
MONTH_SECONDS = 300


@dataclass
class Month:
    """What became of one month; filled as it goes."""

    name: str
    rows: int | None = None
    quarantined: int | None = None
    drift: str = ""
    drivers: list[str] = field(default_factory=list)
    metric: float | None = None
    watched_champion: str = ""
    decision: str = ""
    reasons: list[str] = field(default_factory=list)
    gate: str = ""
    gate_reasons: list[str] = field(default_factory=list)
    champion: str = ""
    seconds: float = 0.0


class Year:
    """The months that have landed, and what the ledger says of them."""

    def __init__(self, ledger: Ledger, folder: Any, months: tuple[str, ...] = landing.MONTHS) -> None:
        self.ledger = ledger
        self.folder = folder
        self.months = months
        self.stage = ""

    def land(self) -> Iterator[Month]:
        """Land one month after another, each when the one before is done; yields a month whenever it is done."""
        for name in self.months:
            begun = time.monotonic()
            mark = self._mark()
            landing.land(name, self.folder)
            self._await(name, mark, begun)
            month = self.read(name, mark)
            month.seconds = time.monotonic() - begun
            yield month

    def _mark(self) -> int:
        last = self.ledger.last(model_stream(MODEL))
        return last.sequence if last else 0

    def _since(self, mark: int, kind: Kind) -> list[Event]:
        return list(self.ledger.events(model_stream(MODEL), kinds=[kind], after=mark))

    def _await(self, name: str, mark: int, begun: float) -> None:
        while not self._is_done(name, mark):
            if time.monotonic() - begun > MONTH_SECONDS:
                raise TimeoutError(f"{name} was not done after {MONTH_SECONDS} s; it stopped at: {self.stage}")
            time.sleep(0.1)

    def _is_done(self, name: str, mark: int) -> bool:
        key = partition_key(name, 1)
        watched = self.ledger.get(model_stream(MODEL), Kind.WATCHED, key)
        if watched is None:
            arrived = self.ledger.get(dataset_stream(DATASET), Kind.ARRIVED, key)
            self.stage = "validate, profile, watch" if arrived else "waiting for the file to be seen"
            return False
        if not [event for event in self._since(mark, Kind.DECIDED) if event.sequence > watched.sequence]:
            self.stage = "decide"
            return False
        if open_requests(self.ledger, MODEL):
            self.stage = "train, evaluate, judge"
            return False
        passed = [event for event in self._since(mark, Kind.JUDGED) if event.payload["verdict"]["status"] == "pass"]
        self.stage = "promote"
        return len(self._since(mark, Kind.PROMOTED)) >= len(passed)

    def read(self, name: str, mark: int) -> Month:
        """Read a month from the ledger."""
        key = partition_key(name, 1)
        validated = self.ledger.get(dataset_stream(DATASET), Kind.VALIDATED, key)
        watched = self.ledger.get(model_stream(MODEL), Kind.WATCHED, key)
        assert validated is not None
        assert watched is not None
        drift, performance = watched.payload["drift"] or {}, watched.payload["performance"] or {}
        month = Month(
            name,
            rows=validated.payload["rows"],
            quarantined=validated.payload["quarantined_rows"],
            drift=drift.get("status") or "-",
            drivers=list(drift.get("drivers", [])),
            metric=performance.get("metric"),
            watched_champion=drift.get("champion") or "",
        )
        for event in self._since(mark, Kind.DECIDED):
            if event.payload["retrain"] or not month.decision:
                month.decision = f"retrain ({event.payload['trigger']})" if event.payload["retrain"] else "no"
                month.reasons = list(event.payload["reasons"])
        for event in self._since(mark, Kind.JUDGED):
            month.gate = event.payload["verdict"]["status"]
            month.gate_reasons = list(event.payload["verdict"]["reasons"])
        last = self.ledger.last(model_stream(MODEL), Kind.PROMOTED)
        month.champion = f"v{last.payload['version']}" if last else "-"
        return month
