"""What is set aside in a dataset, by the ledger, and what became of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError
from retrain.loop.streams import Kind, dataset_stream, parse_key, partition_key

if TYPE_CHECKING:
    from retrain.ledger import Event, Ledger

_KINDS = (Kind.ARRIVED, Kind.VALIDATED, Kind.RELEASED, Kind.DROPPED)


class State(StrEnum):
    """What became of rows that were set aside."""

    OPEN = "open"
    RELEASED = "released"
    DROPPED = "dropped"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Quarantined:
    """A partition version of which rows were set aside, in part or (`status` is `fail`) whole.

    `uri` is the object with the rows, None where nothing of the content could be parsed. `since` is when it was
    validated; `at`, `by`, `reason`, `released_as` and `erased` are about its release or its drop.
    """

    dataset: str
    key: str
    state: State
    status: str
    rows: int
    quarantined_rows: int
    uri: str | None
    failures: tuple[Mapping[str, Any], ...]
    since: datetime
    at: datetime | None = None
    by: str | None = None
    reason: str | None = None
    released_as: str | None = None
    erased: bool = False

    @property
    def store(self) -> str | None:
        """The store that the rows lie in, as their object's place tells."""
        from urllib.parse import quote

        found = (self.uri or "").rpartition(f"/quarantine/{quote(self.dataset, safe=' ')}/")[0]
        return found or None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **vars(self),
            "state": self.state.value,
            "failures": [dict(failure) for failure in self.failures],
            "since": self.since.isoformat(),
            "at": self.at.isoformat() if self.at else None,
        }


def quarantined(ledger: "Ledger", dataset: str | None = None, *, everything: bool = False) -> list[Quarantined]:
    """Return what is set aside and waits for somebody, of one dataset or of all, in order of arrival.

    With `everything` also what was released or dropped, and what a corrected version has superseded.
    """
    prefix = dataset_stream("")
    names = (
        [dataset] if dataset else [name.removeprefix(prefix) for name in ledger.streams() if name.startswith(prefix)]
    )
    found = (one for name in names for one in Book(ledger, name).quarantined())
    return [one for one in found if everything or one.state is State.OPEN]


def find(ledger: "Ledger", dataset: str, key: str) -> Quarantined:
    """Return what of a partition version (`2013-02@v1`; of `2013-02` the newest) was set aside, whatever became of it.

    DataError where there is no such version, or nothing of it was set aside.
    """
    return Book(ledger, dataset).find(key)


class Book:
    """What the ledger says of a dataset's partition versions."""

    def __init__(self, ledger: "Ledger", dataset: str) -> None:
        self.dataset = dataset
        self.newest: dict[str, int] = {}
        self.arrived: dict[str, Event] = {}
        self.validated: dict[str, Event] = {}
        self.released: dict[str, Event] = {}
        self.dropped: dict[str, Event] = {}
        for event in ledger.events(dataset_stream(dataset), kinds=_KINDS):
            vars(self)[event.kind][event.key] = event
            if event.kind == Kind.ARRIVED:
                name, version = event.payload["partition"], event.payload["version"]
                self.newest[name] = max(version, self.newest.get(name, 0))

    def quarantined(self) -> Iterator[Quarantined]:
        """Yield every version of which rows were set aside, and those that were refused unread."""
        for key, event in self.validated.items():
            if event.payload["quarantined_rows"] or event.payload["status"] == "fail":
                yield self._describe(key, event.payload, event.recorded_at)

    def find(self, key: str) -> Quarantined:
        """Return one of them by its key."""
        if key in self.newest:
            key = partition_key(key, self.newest[key])
        for one in self.quarantined():
            if one.key == key:
                return one
        if key in self.validated:
            what, remedy = f"nothing of {key} of {self.dataset} is set aside: validation accepted it whole", None
        elif key in self.arrived:
            what, remedy = f"{key} of {self.dataset} is not validated yet", "Wait until the data DAG has looked at it"
        else:
            what, remedy = f"{self.dataset} has no partition version {key}", "See what is set aside: quarantine list"
        raise DataError(what, expected="a partition version of which rows are set aside", remedy=remedy)

    def _describe(self, key: str, payload: Mapping[str, Any], since: datetime) -> Quarantined:
        name, version, _ = parse_key(key)
        state = State.OPEN if self.newest.get(name, version) == version else State.SUPERSEDED
        done: Event | None = None
        for kind, events in ((State.RELEASED, self.released), (State.DROPPED, self.dropped)):
            if key in events:
                state, done = kind, events[key]
        told: Mapping[str, Any] = done.payload if done else {}
        return Quarantined(
            dataset=self.dataset,
            key=key,
            state=state,
            status=payload["status"],
            rows=payload["rows"] or 0,
            quarantined_rows=payload["quarantined_rows"] or 0,
            uri=payload["quarantine_uri"],
            failures=tuple(payload.get("failures") or ()),
            since=since,
            at=done.recorded_at if done else None,
            by=done.actor if done else None,
            reason=told.get("reason"),
            released_as=told.get("released_as"),
            erased=bool(told.get("erased")),
        )
