"""Reading events page by page: constant memory, and no transaction left open while the caller works on a page."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from retrain.exceptions import ChainBrokenError
from retrain.ledger.chain import read_time
from retrain.ledger.database import Database
from retrain.ledger.events import Event
from retrain.ledger.tables import events

PAGE = 500


def rows(
    database: Database,
    where: Sequence[sa.ColumnElement[bool]],
    order: Sequence[sa.Column[int]],
    *,
    limit: int | None = None,
    newest_first: bool = False,
) -> Iterator[sa.Row[Any]]:
    """Yield the rows of `events` that fulfil `where`, in the given order; each page is a query of its own."""
    position = sa.tuple_(*order)
    left, reached = limit, None
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        query = sa.select(events).where(*where).limit(size)
        query = query.order_by(*(column.desc() if newest_first else column for column in order))
        if reached is not None:
            bound = sa.tuple_(*(sa.literal(value) for value in reached))
            query = query.where(position < bound if newest_first else position > bound)
        page = _fetch(database, query)
        yield from page
        if len(page) < size:
            return
        reached = tuple(page[-1]._mapping[column] for column in order)
        left = None if left is None else left - size


def first(connection: sa.Connection, query: sa.Select[Any]) -> Event | None:
    """Return the first event of a query."""
    row = connection.execute(query.limit(1)).one_or_none()
    return to_event(row) if row is not None else None


def stream_names(connection: sa.Connection) -> tuple[str, ...]:
    """Return the streams in order, hopping through the index: cost grows with the streams, not with the events."""
    names: list[str] = []
    query = sa.select(sa.func.min(events.c.stream))
    name = connection.execute(query).scalar()
    while name is not None:
        names.append(name)
        name = connection.execute(query.where(events.c.stream > name)).scalar()
    return tuple(names)


def to_event(row: sa.Row[Any]) -> Event:
    """Turn a row into an event; ChainBrokenError if somebody left something in it that cannot be read."""
    fields = {name: value for name, value in row._mapping.items() if name != "position"}
    try:
        fields["payload"] = json.loads(row.payload)
        fields["recorded_at"] = read_time(row.recorded_at)
    except (TypeError, ValueError) as error:
        raise ChainBrokenError(
            f"Event {row.sequence} of {row.stream!r} cannot be read: {error}", remedy="Run `retrain ledger verify`"
        ) from error
    return Event(**fields)


def _fetch(database: Database, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
    return database.read(lambda connection: connection.execute(query).all())
