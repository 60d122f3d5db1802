"""A table as the database describes it: its columns and types, its key, and the rows that an address means."""

import datetime as dt
import operator as op
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

import sqlalchemy as sa

from retrain.data.sql.address import Condition, SqlTable, table_of
from retrain.data.sql.engines import engine_of, querying
from retrain.exceptions import DeclarationError

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {"=": op.eq, ">": op.gt, "<=": op.le}


@dataclass(frozen=True)
class Resolved:
    """A table that is there. `where` is None for all of its rows; every value in it is bound, never text."""

    engine: sa.Engine
    table: sa.Table
    where: sa.ColumnElement[bool] | None
    uri: str

    @property
    def name(self) -> str:
        """The table's name, without its schema."""
        return self.table.name

    @property
    def schema(self) -> str | None:
        """The schema that the address named, if any."""
        return self.table.schema

    def select(self, *columns: Any) -> sa.Select[Any]:
        """Select `columns` (all, if none is given) of the rows that are meant."""
        query = sa.select(*(columns or self.table.columns)).select_from(self.table)
        return query if self.where is None else query.where(self.where)


def resolve(uri: str | SqlTable) -> Resolved:
    """Look a table up by `sql://<conn_id>/<[schema.]table>[?<column>=<value>]`.

    Raises DeclarationError for the address or a column that is not there, ConnectionConfigError, UnreadableDataError
    where there is no such table, StoreUnavailableError.
    """
    address = table_of(uri) if isinstance(uri, str) else uri
    return resolve_with(engine_of(address.conn_id), address)


def resolve_with(engine: sa.Engine, address: SqlTable) -> Resolved:
    """As `resolve`, with an engine at hand."""
    table = reflect(engine, address)
    clauses = [_clause(table, condition, address.uri) for condition in address.conditions]
    return Resolved(engine, table, reduce(sa.and_, clauses) if clauses else None, address.uri)


def reflect(engine: sa.Engine, address: SqlTable) -> sa.Table:
    """Return the columns, types and primary key of a table or view (which has none), in two look-ups."""
    with querying(address.uri):
        inspector = sa.inspect(engine)
        columns = inspector.get_columns(address.name, schema=address.schema)
        key = inspector.get_pk_constraint(address.name, schema=address.schema)["constrained_columns"]
    return sa.Table(
        address.name,
        sa.MetaData(),
        *(sa.Column(one["name"], one["type"], primary_key=one["name"] in key) for one in columns),
        schema=address.schema,
    )


def column_of(table: sa.Table, name: str, uri: str) -> sa.Column[Any]:
    """Return a column; DeclarationError names those that there are."""
    if name not in table.columns:
        raise DeclarationError(f"{uri} names a column {name!r}", expected=f"one of {list(table.columns.keys())}")
    return table.columns[name]


def _clause(table: sa.Table, condition: Condition, uri: str) -> sa.ColumnElement[bool]:
    column = column_of(table, condition.column, uri)
    clause: sa.ColumnElement[bool] = _COMPARE[condition.operator](column, typed(column, condition.value, uri))
    return clause


def typed(column: sa.Column[Any], text: str, uri: str) -> Any:
    """Return the Python value that a text in an address means for a column; DeclarationError where it is none."""
    try:
        kind = column.type.python_type
    except NotImplementedError:  # a type of the database's own: compared as text
        return text
    try:
        if kind is bool:
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if kind in (dt.date, dt.datetime):
            return kind.fromisoformat(text)
        return kind(text) if kind in (int, float, Decimal, str) else text
    except (ValueError, ArithmeticError, KeyError):
        raise DeclarationError(
            f"{uri} compares the column {column.name!r} with {text!r}", expected=f"a value of the type {column.type}"
        ) from None
