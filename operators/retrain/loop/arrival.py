"""What has arrived: one listing, compared with what is known, registered in the ledger."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DeclarationError, SequenceConflictError, UnreadableDataError
from retrain.loop.streams import Kind, dataset_stream, partition_key
from retrain.records import DataRef

if TYPE_CHECKING:
    from retrain.data import Found
    from retrain.ledger import Event, Ledger

log = logging.getLogger(__name__)

ATTEMPTS = 20


def register_arrivals(
    ledger: "Ledger",
    dataset: str,
    template: str,
    *,
    complete: Mapping[str, Any] | None = None,
    store: str | None = None,
) -> list[dict[str, Any]]:
    """Append an `arrived` event for each object whose bytes the ledger does not know yet; return the new ones.

    An object whose token (size, time, etag) is known for its newest version is not read again. The same key with other
    bytes becomes a new version of the partition, also when an earlier version's bytes come back; the newest version's
    bytes written once more are no news (`seen` records their token), unless they were gone when they were to be
    validated. An object that cannot be read is named in the log and left to the next discovery. Repeating it is a
    no-op.

    `complete` are the fields of `retrain.data.Completeness`. Of a table (`sql://`) the rows of a partition are copied
    into the `store`, because a version has to keep its bytes; what arrived is the copy.
    """
    from retrain.data.scan import scan_all

    known = _Known(ledger, dataset_stream(dataset))
    known.refresh()
    registered = []
    finished, unfinished = scan_all(template, complete, known=known.newest)
    if unfinished:
        log.info("%d objects are still being written: %s", len(unfinished), [one.uri for one in unfinished[:10]])
    for found in finished:
        if known.is_unseen(found):
            try:
                registered.append(_register(known, found, _reference(found, dataset, store)))
            except UnreadableDataError as error:
                log.warning("%s is passed over: %s", found.uri, error)
    return [payload for payload in registered if payload is not None]


@dataclass
class _Known:
    """What the ledger says of a dataset's objects, as far as it was read; the stream is read once and then followed."""

    ledger: "Ledger"
    stream: str
    head: int = 0
    newest: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Of each object's newest version only: where a token is made of the bytes (an S3 etag), old bytes repeat one.
    tokens: dict[str, set[str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def refresh(self) -> None:
        for event in self.ledger.events(self.stream, after=self.head):
            self.take(event)

    def take(self, event: "Event") -> None:
        self.head = event.sequence
        payload = event.payload
        if event.kind == Kind.ARRIVED:
            self.newest[payload["partition"]] = dict(payload)
            self.tokens[_source(payload)] = {payload["token"]}
        elif event.kind == Kind.SEEN:
            self.tokens.setdefault(_source(payload), set()).add(payload["token"])
        elif event.kind == Kind.VALIDATED and _was_gone(payload):
            self.gone.add(event.key)

    def is_unseen(self, found: "Found") -> bool:
        return found.token not in self.tokens.get(found.uri, ()) or self.was_gone(found.partition)

    def was_gone(self, partition: str) -> bool:
        newest = self.newest.get(partition)
        return newest is not None and partition_key(partition, newest["version"]) in self.gone


def _was_gone(validated: Mapping[str, Any]) -> bool:
    # What could be opened at all leaves a result of its validation in the store.
    return validated.get("status") == "fail" and validated.get("result_uri") is None


def _source(payload: Mapping[str, Any]) -> str:
    """Where the object was found: a table's rows lie in the store as a copy."""
    return str(payload.get("source") or payload["uri"])


def _reference(found: "Found", dataset: str, store: str | None) -> DataRef:
    from retrain.data import describe, sql, storage

    if not sql.is_sql(found.uri):
        # Only the bytes are looked at: what they mean, and whether they mean anything, is for the validation to say.
        return describe(found.uri, partition=found.partition, content=False)
    if store is None:
        raise DeclarationError(
            f"{found.uri} is a table, and there is no store to copy its rows to", remedy="Declare [retrain] store"
        )
    return sql.extract_into(found, storage.join(store, "landed", dataset))


def _register(known: _Known, found: "Found", ref: DataRef) -> dict[str, Any] | None:
    for _ in range(ATTEMPTS):
        kind, key, payload = _news_of(known, found, ref)
        try:
            appended = known.ledger.append(known.stream, kind, key, payload, expected_sequence=known.head)
            if appended.created:
                known.take(appended.event)
            if appended.created or kind == Kind.SEEN:
                return payload if kind == Kind.ARRIVED else None
        except SequenceConflictError:
            pass
        # Another writer was first: its event may be this very object, or the version before ours.
        known.refresh()
        if not known.is_unseen(found):
            return None
    raise SequenceConflictError(
        f"the stream {known.stream} moved on {ATTEMPTS} times while {found.uri} was being registered",
        remedy="Try again; nothing was lost",
    )


def _news_of(known: _Known, found: "Found", ref: DataRef) -> tuple[Kind, str, dict[str, Any]]:
    newest = known.newest.get(found.partition)
    payload = {"partition": found.partition, "uri": ref.uri, "digest": ref.digest, "token": found.token}
    if ref.uri != found.uri:
        payload["source"] = found.uri
    if newest and ref.digest in _digests(newest) and not known.was_gone(found.partition):
        key = f"{partition_key(found.partition, newest['version'])}#{found.token}"
        return Kind.SEEN, key, {**payload, "version": newest["version"]}
    version = newest["version"] + 1 if newest else 1
    arrived = {**payload, "version": version, "format": ref.format, "bytes": ref.bytes}
    return Kind.ARRIVED, partition_key(found.partition, version), arrived


def _digests(arrived: Mapping[str, Any]) -> set[str]:
    """The bytes that are this version: its own, and those of the source whose rows a person has released."""
    return {arrived["digest"], (arrived.get("released") or {}).get("source_digest", arrived["digest"])}


def latest_arrivals(ledger: "Ledger", dataset: str) -> dict[str, dict[str, Any]]:
    """Return the newest version of each partition by its key (`2013-02@v1`), in order of partition."""
    newest: dict[str, dict[str, Any]] = {}
    for event in ledger.events(dataset_stream(dataset), kinds=[Kind.ARRIVED]):
        payload = event.payload
        known = newest.get(payload["partition"])
        if known is None or payload["version"] > known["version"]:
            newest[payload["partition"]] = dict(payload)
    return {partition_key(name, payload["version"]): payload for name, payload in sorted(newest.items())}
