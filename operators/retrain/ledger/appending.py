"""Appending within a transaction that holds the locks of the streams and claims: fence, number, chain, insert."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from retrain.exceptions import ClaimLostError, SequenceConflictError
from retrain.ledger import claims as claiming
from retrain.ledger.chain import GENESIS, event_hash, write_time
from retrain.ledger.claims import Claim, ClaimState
from retrain.ledger.events import Appended, Entry, Event, Head
from retrain.ledger.reading import first
from retrain.ledger.tables import events


def append_entries(
    connection: sa.Connection,
    entries: Sequence[tuple[Entry, str]],
    claims: Sequence[Claim],
    *,
    now: datetime,
    complete: bool,
) -> tuple[Appended, ...]:
    """Append what is new, give back what is not, and complete the claims; see `Ledger.append_all`.

    An entry comes with the canonical text of its payload, written before the locks were taken.
    """
    states = [claiming.require(connection, claim, ClaimState.HELD, ClaimState.DONE) for claim in claims]
    results = tuple(_append(connection, entry, text, now) for entry, text in entries)
    # A first try may have committed and died before it could tell; its repeat finds the work done and nothing new.
    if ClaimState.DONE in states and any(result.created for result in results):
        done = claims[states.index(ClaimState.DONE)]
        raise ClaimLostError(
            f"The work {done.work!r} is done already", expected="nothing more to append under its claim"
        )
    for claim, state in zip(claims, states, strict=True):
        if complete and state is ClaimState.HELD:
            claiming.complete(connection, claim, now)
    return results


def _append(connection: sa.Connection, entry: Entry, payload: str, now: datetime) -> Appended:
    same = (events.c.stream == entry.stream, events.c.kind == entry.kind, events.c.key == entry.key)
    existing = first(connection, sa.select(events).where(*same))
    if existing is not None:
        return Appended(existing, created=False)
    head = _head(connection, entry.stream)
    if entry.expected_sequence is not None and entry.expected_sequence != head.sequence:
        raise SequenceConflictError(
            f"The stream {entry.stream!r} is at event {head.sequence}",
            expected=str(entry.expected_sequence),
            remedy="Read what was added, decide again, append again",
        )
    fields = _fields(entry, payload, head, now)
    connection.execute(sa.insert(events).values(**fields))
    return Appended(Event(**{**fields, "payload": json.loads(payload), "recorded_at": now}), created=True)


def _head(connection: sa.Connection, stream: str) -> Head:
    query = sa.select(events.c.sequence, events.c.hash).where(events.c.stream == stream)
    row = connection.execute(query.order_by(events.c.sequence.desc()).limit(1)).one_or_none()
    return Head(row.sequence, row.hash) if row is not None else Head(0, GENESIS)


def _fields(entry: Entry, payload: str, head: Head, now: datetime) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "stream": entry.stream,
        "sequence": head.sequence + 1,
        "kind": entry.kind,
        "key": entry.key,
        "version": entry.version,
        "payload": payload,
        "actor": entry.actor,
        "recorded_at": write_time(now),
        "previous_hash": head.hash,
    }
    return {**fields, "hash": event_hash(**fields)}
