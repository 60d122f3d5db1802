"""What is set aside, and what a person makes of it: release lets the rows in as a new version, drop gives them up.

A partition version stands for its rows. While it is the newest one, each of its rows is accepted or set aside. Released
rows and accepted ones are together a new version, which the loop takes in by itself; dropped ones stay out of it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError, LedgerError, SequenceConflictError
from retrain.loop.arrival import ATTEMPTS
from retrain.loop.setaside import Book, Quarantined, State, find, quarantined
from retrain.loop.streams import Kind, dataset_stream, parse_key, partition_key
from retrain.records import DataRef

if TYPE_CHECKING:
    from retrain.ledger import Entry, Ledger

__all__ = ["Quarantined", "State", "drop", "find", "quarantined", "release"]


def release(ledger: "Ledger", dataset: str, key: str, *, actor: str, reason: str, store: str) -> dict[str, Any]:
    """Let the rows that were set aside in, as they are: together with the accepted ones they become a new version.

    The whole partition, in its original order, is written to the `store` as one object, and its arrival to the ledger
    in the transaction of the release. The next run takes it in; its validation stops nothing. Asking again with the
    same actor and reason changes nothing (`created` is False).

    Returns `{"key", "released_as", "rows", "quarantined_rows", "uri", "created"}`. LedgerError where somebody has
    released or dropped it, or a corrected version is there; DataError where there are no rows to release.
    """
    stream, written = dataset_stream(dataset), dict[str, DataRef]()
    for _ in range(ATTEMPTS):
        head = ledger.last(stream)
        book = Book(ledger, dataset)
        one = book.find(key)
        if _is_repeat(one, State.RELEASED, actor, reason):
            return _answer(book.released[one.key].payload, one.key, created=False)
        _require_open(one, "released")
        if one.key not in written:
            written[one.key] = _rebuilt(book, one, store)
        entries = _release_entries(book, one, written[one.key], actor, reason, head.sequence if head else 0)
        try:
            done = ledger.append_all(entries)
        except SequenceConflictError:
            continue
        if done[0].created:
            return _answer(entries[0].payload, one.key, created=True)
    raise _too_many(stream)


def drop(ledger: "Ledger", dataset: str, key: str, *, actor: str, reason: str, erase: bool = False) -> dict[str, Any]:
    """Give the rows that were set aside up: they never come in. With `erase` their object is deleted from the store.

    A whole partition that is dropped counts as seen, and a corrected version of it comes in as ever. Asking again with
    the same actor and reason changes nothing, but ends a deletion that was interrupted.

    Returns `{"key", "quarantined_rows", "erased", "created"}`. LedgerError where somebody has released or dropped it,
    or the object is to be erased and another version needs it; DataError where nothing was set aside.
    """
    stream = dataset_stream(dataset)
    for _ in range(ATTEMPTS):
        head = ledger.last(stream)
        book = Book(ledger, dataset)
        one = book.find(key)
        if not (repeated := _is_repeat(one, State.DROPPED, actor, reason)):
            _require_open(one, "dropped")
            if erase:
                _require_unshared(book, one)
            try:
                done = ledger.append_all([_drop_entry(one, actor, reason, erase, head.sequence if head else 0)])
            except SequenceConflictError:
                continue
            if not done[0].created:
                continue
        # After the event: what the ledger calls erased is gone, or is deleted by the same demand made again.
        erased = (one.erased if repeated else erase) and one.uri is not None
        if erased:
            _erase(str(one.uri))
        return {"key": one.key, "quarantined_rows": one.quarantined_rows, "erased": erased, "created": not repeated}
    raise _too_many(stream)


def _is_repeat(one: Quarantined, state: State, actor: str, reason: str) -> bool:
    return (one.state, one.by, one.reason) == (state, actor, reason)


def _require_open(one: Quarantined, wanted: str) -> None:
    """Refuse what was decided upon already; superseded rows may be dropped, but nobody wants them back."""
    if one.at is not None:
        raise LedgerError(
            f"{one.key} of {one.dataset} cannot be {wanted}: {one.by or 'somebody'} has {one.state.value} it at "
            f"{one.at:%Y-%m-%d %H:%M} UTC, because: {one.reason}"
        )
    if one.state is State.SUPERSEDED and wanted == "released":
        raise LedgerError(
            f"{one.key} of {one.dataset} cannot be released: a newer version of the partition has arrived",
            expected="the newest version",
            remedy="Release that one, if rows of it are set aside too",
        )


def _require_unshared(book: Book, one: Quarantined) -> None:
    """Refuse to erase an object that another version still needs: equal bytes, judged twice, share theirs."""
    for other in book.quarantined():
        if other.key != one.key and other.uri == one.uri and one.uri and other.state is State.OPEN:
            raise LedgerError(
                f"the rows of {one.key} cannot be erased: {other.key} holds the very same object",
                remedy=f"Drop {other.key} with its object",
            )


def _rebuilt(book: Book, one: Quarantined, store: str) -> DataRef:
    """Write the whole partition as one object, named by what it is made of."""
    from urllib.parse import quote

    from retrain.data import storage
    from retrain.data.writers import write_table
    from retrain.validation.quarantine import read_quarantined, rebuild

    if one.uri is None:
        reasons = "; ".join(str(failure.get("reason") or failure.get("expectation")) for failure in one.failures)
        raise DataError(
            f"there are no rows of {one.key} to release: its content was refused unread ({reasons})",
            expected="rows that an expectation has set aside",
            remedy="Deliver the partition anew, or drop it",
        )
    accepted = book.validated[one.key].payload["accepted"]
    aside = read_quarantined(one.uri)
    table = rebuild(DataRef.from_dict(accepted) if accepted else None, aside)
    if (len(aside.positions), table.num_rows) != (one.quarantined_rows, one.rows):
        raise DataError(
            f"{one.uri} holds {len(aside.positions)} rows, which makes {table.num_rows} with the accepted ones",
            expected=f"{one.quarantined_rows} rows of {one.rows}, as they were validated",
            remedy="Deliver the partition anew",
        )
    name, version, _ = parse_key(one.key)
    identity = json.dumps([one.key, (accepted or {}).get("digest"), aside.digest])
    folder = [quote(part, safe=" ") for part in (one.dataset, name)]
    file = f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.parquet"
    return write_table(table, storage.join(store, "released", *folder, file), partition=name, version=version + 1)


def _release_entries(book: Book, one: Quarantined, ref: DataRef, actor: str, reason: str, head: int) -> "list[Entry]":
    from retrain.ledger import Entry

    stream = dataset_stream(one.dataset)
    name, version, _ = parse_key(one.key)
    released_as = partition_key(name, version + 1)
    source: Mapping[str, Any] = book.arrived[one.key].payload
    released = {
        "partition": name,
        "version": version,
        "released_as": released_as,
        "reason": reason,
        "rows": ref.rows,
        "quarantined_rows": one.quarantined_rows,
        "quarantine_uri": one.uri,
        "uri": ref.uri,
    }
    arrived = {
        "partition": name,
        "version": version + 1,
        "uri": ref.uri,
        "digest": ref.digest,
        # Nobody lists this folder: the object never changes, so its bytes are its token.
        "token": ref.digest,
        "format": ref.format,
        "bytes": ref.bytes,
        "released": {
            "of": one.key,
            "reason": reason,
            "by": actor,
            "source_digest": (source.get("released") or {}).get("source_digest", source["digest"]),
        },
    }
    return [
        Entry(stream, Kind.RELEASED, one.key, released, actor=actor, expected_sequence=head),
        Entry(stream, Kind.ARRIVED, released_as, arrived, actor=actor),
    ]


def _drop_entry(one: Quarantined, actor: str, reason: str, erase: bool, head: int) -> "Entry":
    from retrain.ledger import Entry

    name, version, _ = parse_key(one.key)
    payload = {
        "partition": name,
        "version": version,
        "reason": reason,
        "quarantined_rows": one.quarantined_rows,
        "quarantine_uri": one.uri,
        "erased": erase and one.uri is not None,
    }
    return Entry(dataset_stream(one.dataset), Kind.DROPPED, one.key, payload, actor=actor, expected_sequence=head)


def _erase(uri: str) -> None:
    from retrain.validation.quarantine import erase_quarantined

    erase_quarantined(uri)


def _answer(released: Mapping[str, Any], key: str, *, created: bool) -> dict[str, Any]:
    wanted = ("released_as", "rows", "quarantined_rows", "uri")
    return {"key": key, **{name: released[name] for name in wanted}, "created": created}


def _too_many(stream: str) -> SequenceConflictError:
    return SequenceConflictError(f"the stream {stream} moved on {ATTEMPTS} times meanwhile", remedy="Try again")
