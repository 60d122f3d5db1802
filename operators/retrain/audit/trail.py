"""The events that one model version rests on: from what asked for it to what has been seen of it since."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from retrain.exceptions import DataError
from retrain.ledger.events import Head
from retrain.loop.streams import Kind, dataset_stream, model_stream, parse_key
from retrain.loop.versions import without_labels
from retrain.records import RELEASES
from retrain.registry.champions import champion

if TYPE_CHECKING:
    from retrain.ledger import Event, Ledger

# A person's answer about a version, and what else may be told of it.
ANSWERS = (Kind.APPROVED, Kind.REJECTED)
REMARKS = (Kind.ASKED, Kind.RETIRED, Kind.GUARDED)


@dataclass(frozen=True)
class Trail:
    """The events about one version, those of the model first, each stream in its order.

    `dataset` is None where the ledger does not tell which one the version was trained on. `heads` are the last events
    of the streams that were looked at.
    """

    model: str
    version: str
    dataset: str | None
    events: "tuple[Event, ...]"
    heads: Mapping[str, Head] = field(default_factory=dict)

    def of(self, *kinds: str) -> "list[Event]":
        """Return the events of these kinds, in order."""
        return [event for event in self.events if event.kind in kinds]

    @cached_property
    def by_key(self) -> "dict[tuple[str, str], Event]":
        """The events by kind and key."""
        return {(event.kind, event.key): event for event in self.events}

    @property
    def judged(self) -> "Event | None":
        """The latest verdict on the version."""
        return next(reversed(self.of(Kind.JUDGED)), None)


def follow(ledger: "Ledger", model: str, version: str, *, until: "Mapping[str, Head] | None" = None) -> Trail:
    """Find the events that a version rests on; `champion` stands for the champion of today.

    Nothing counts that is appended while this reads: the same trail is found again with the `heads` that it names as
    `until`. DataError where the ledger does not know the version. Cost: one pass over the model's verdicts, promotions,
    reads and watched partitions, and one over the dataset's arrivals and verdicts.
    """
    book = _Book(ledger, until)
    version = _named(ledger, model, version)
    kinds = [Kind.JUDGED, *RELEASES, *ANSWERS, *REMARKS]
    found = list(_about(book.events(model_stream(model), kinds), version))
    if not any(str(event.payload.get("version")) == version for event in found):
        raise DataError(
            f"the ledger knows no version {version} of {model}",
            expected=f"one of {_known(ledger, model)}",
            remedy="See: retrain registry history, and retrain ledger log --kind judged",
        )
    verdicts = [event for event in found if event.kind == Kind.JUDGED]
    found += _wishes(book, model, verdicts)
    found += _reads(book, model, verdicts)
    found += (event for event in book.events(model_stream(model), [Kind.WATCHED]) if _watched(event) == version)
    dataset = dataset_of(event.payload for event in verdicts)
    data = _of_data(book, dataset, verdicts[-1]) if dataset and verdicts else []
    unique = {(event.stream, event.sequence): event for event in found}
    of_model = [unique[place] for place in sorted(unique)]
    return Trail(model, version, dataset, (*of_model, *data), book.heads)


class _Book:
    """The ledger as it was when each of its streams was looked at first: nothing behind that head counts."""

    def __init__(self, ledger: "Ledger", until: "Mapping[str, Head] | None") -> None:
        self._ledger = ledger
        self._given = until
        self.heads: dict[str, Head] = {}

    def events(self, stream: str, kinds: "Iterable[str]") -> "Iterator[Event]":
        last = self._last(stream)
        return (event for event in self._ledger.events(stream, kinds=list(kinds)) if event.sequence <= last)

    def get(self, stream: str, kind: str, key: str) -> "Event | None":
        last = self._last(stream)
        event = self._ledger.get(stream, kind, key)
        return event if event is not None and event.sequence <= last else None

    def _last(self, stream: str) -> int:
        if self._given is not None:
            return self._given[stream].sequence if stream in self._given else 0
        if stream not in self.heads and (event := self._ledger.last(stream)) is not None:
            self.heads[stream] = Head(event.sequence, event.hash)
        return self.heads[stream].sequence if stream in self.heads else 0


def dataset_of(payloads: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the dataset that the address of a snapshot's manifest names: `<store>/snapshots/<dataset>/<digest>`."""
    for payload in payloads:
        parts = str(payload.get("snapshot_uri") or "").split("/")
        if len(parts) > 2 and parts[-3] == "snapshots":
            return unquote(parts[-2])
    return None


def trained_keys(judged: Mapping[str, Any]) -> list[str]:
    """Return the partition versions that a version was trained on, as far as its verdict's payload tells them."""
    trained = set(judged.get("partitions") or ())
    return [key for key in judged.get("known") or () if parse_key(key)[0] in trained]


def _named(ledger: "Ledger", model: str, version: str) -> str:
    if version != "champion":
        return version
    current = champion(ledger, model)
    if current is None:
        raise DataError(
            f"{model} has no champion", expected="a promoted version", remedy="Name a version by its number"
        )
    return current.version


def _known(ledger: "Ledger", model: str) -> str:
    events = ledger.events(model_stream(model), kinds=[Kind.JUDGED, *RELEASES])
    names = dict.fromkeys(str(event.payload["version"]) for event in events)
    return ", ".join(names) or "none: no version of this model was judged or promoted"


def _about(events: "Iterable[Event]", version: str) -> "Iterator[Event]":
    """What names the version, and of the changes also the one that ended its time."""
    reigns = False
    for event in events:
        named = str(event.payload.get("version")) == version
        if event.kind in RELEASES:
            if named or reigns:
                yield event
            reigns = named
        elif named:
            yield event


def _wishes(book: _Book, model: str, verdicts: "Iterable[Event]") -> "Iterator[Event]":
    for judged in verdicts:
        for wish in judged.payload.get("requests") or ():
            for kind in (Kind.REQUESTED, Kind.DECIDED):
                event = book.get(model_stream(model), kind, wish["key"])
                # Both kinds may bear the key of one run; a decision that said no asked for nothing.
                if event is not None and (kind is Kind.REQUESTED or event.payload.get("retrain")):
                    yield event


def _reads(book: _Book, model: str, verdicts: "Iterable[Event]") -> "Iterator[Event]":
    """What the runs that trained and judged the version have read."""
    runs = {event.key for event in verdicts}
    for event in book.events(model_stream(model), [Kind.READ]) if runs else ():
        origin = event.payload.get("origin") or {}
        if f"{origin.get('dag_id')}/{origin.get('run_id')}" in runs:
            yield event


def _watched(event: "Event") -> str | None:
    payload = event.payload
    return (payload.get("drift") or {}).get("champion") or (payload.get("performance") or {}).get("champion")


def _of_data(book: _Book, dataset: str, judged: "Event") -> "list[Event]":
    """How each partition version that was trained on or judged by came in."""
    keys = {*trained_keys(judged.payload), *(judged.payload.get("holdout") or ())}
    wanted = keys | {without_labels(key) for key in keys}
    kinds = [Kind.ARRIVED, Kind.VALIDATED, Kind.LABELLED]
    return [event for event in book.events(dataset_stream(dataset), kinds) if event.key in wanted]
