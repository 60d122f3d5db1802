"""Which partitions a table holds."""

import datetime as dt
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from retrain.data.scan import Found
from retrain.data.sql.address import Condition, SqlSource, parse
from retrain.data.sql.engines import engine_of, querying
from retrain.data.sql.keys import key_of
from retrain.data.sql.tables import column_of, reflect, typed
from retrain.exceptions import DeclarationError

log = logging.getLogger(__name__)

# A day is over when the next one has begun: until then rows of that date go on arriving.
_DAY = dt.timedelta(days=1)


def scan(template: str, *, known: Iterable[str] = ()) -> tuple[Found, ...]:
    """List the partitions of a template over a table; see `listing`, and `retrain.data.scan` for the rest."""
    source = parse(template)
    return listing(engine_of(source.table.conn_id), source, after=max(known, default=None))


def listing(
    engine: sa.Engine, source: SqlSource, after: str | None = None, *, now: dt.datetime | None = None
) -> tuple[Found, ...]:
    """List the partitions of a source in order of their keys, in one query.

    Of a column that only grows this is at most one: the rows after the partition `after` (None: from the beginning) up
    to the present maximum, less what `lag` keeps back until `now` (aware; by default the present). Its key is its last
    value. Otherwise it is one for each value, `after` means nothing, and rows without a value are named in the log.
    `Found.size` is the number of rows, `Found.uri` the address of exactly these rows. Raises DeclarationError for
    columns that are not there or do not fit, UnreadableDataError, StoreUnavailableError.
    """
    table = reflect(engine, source.table)
    column = column_of(table, source.column, source.table.uri)
    with querying(source.table.uri), engine.connect() as connection:
        if source.monotonic:
            return tuple(_next(connection, column, source, after, now or dt.datetime.now(dt.UTC)))
        changed = None if source.changed is None else column_of(table, source.changed, source.table.uri)
        return tuple(sorted(_values(connection, column, changed, source), key=lambda found: found.partition))


def _values(
    connection: sa.Connection, column: sa.Column[Any], changed: sa.Column[Any] | None, source: SqlSource
) -> Iterator[Found]:
    last = sa.null() if changed is None else sa.func.max(changed)
    for value, rows, moved in connection.execute(sa.select(column, sa.func.count(), last).group_by(column)):
        if value is None:
            log.warning("%d rows of %s belong to no partition: %r is null", rows, source.table.uri, column.name)
            continue
        token = str(rows) if moved is None else f"{rows}-{_text(moved)}"
        yield _found(source, key_of(value, source.width, source.table.uri), rows, token, ("=", _text(value)))


def _next(
    connection: sa.Connection, column: sa.Column[Any], source: SqlSource, after: str | None, now: dt.datetime
) -> Iterator[Found]:
    ready = _ready(connection, column, source, now)
    begin: list[tuple[Any, str]] = []
    if after is not None:
        begin = [(">", after)]
        ready.append(column > typed(column, after, source.table.uri))
    query = sa.select(sa.func.max(column), sa.func.count(column)).where(*ready)
    value, rows = connection.execute(query).one()
    if rows:
        key = key_of(value, source.width, source.table.uri)
        yield _found(source, key, rows, str(rows), *begin, ("<=", key))


def _ready(
    connection: sa.Connection, column: sa.Column[Any], source: SqlSource, now: dt.datetime
) -> list[sa.ColumnElement[bool]]:
    """Say which rows are old enough: transactions become visible in another order than they drew their numbers."""
    kind = column.type
    lag = dt.timedelta(seconds=source.lag)
    if isinstance(kind, sa.DateTime):
        moment = now.astimezone(dt.UTC) - lag
        return [column <= (moment if kind.timezone else moment.replace(tzinfo=None))]
    if isinstance(kind, sa.Date):
        return [column <= (now.astimezone(dt.UTC) - max(lag, _DAY)).date()]
    if isinstance(kind, sa.Integer | sa.Numeric):
        if not source.lag:
            return []
        top = connection.execute(sa.select(sa.func.max(column))).scalar()
        return [] if top is None else [column <= int(top) - int(source.lag)]
    raise DeclarationError(
        f"{source.table.uri}: the column {column.name!r} is {kind}, of which the largest value is not the latest row",
        expected="an integer, a date or a time that only grows",
        remedy=f"Write ?{column.name}={{partition}} for one partition for each value",
    )


def _found(source: SqlSource, key: str, rows: int, token: str, *conditions: tuple[Any, str]) -> Found:
    chosen = tuple(Condition(source.column, operator, value) for operator, value in conditions)
    return Found(replace(source.table, conditions=chosen).uri, key, rows, token)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)
