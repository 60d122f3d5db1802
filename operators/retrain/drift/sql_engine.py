"""The profiling engine on a table in a database: what is counted is counted there, and a bounded draw of rows comes.

Rows are drawn by the database: `TABLESAMPLE` on PostgreSQL, the row's number on SQLite (both give the same rows again),
elsewhere and for views at random. A table of up to `SKETCH_ROWS` rows is drawn whole. How many numbers or texts differ
in a larger one is estimated from the draw, since an exact count makes a database sort the table; repeated rows are not
looked for in a larger one.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from retrain.data.sql import Resolved, resolve
from retrain.data.sql.engines import querying
from retrain.drift.duplicates import Duplicates
from retrain.drift.profiles import LEVELS, Profile
from retrain.drift.tables import (
    SKETCH_ROWS,
    Drawn,
    Facts,
    Field,
    Options,
    estimate_distinct,
    flags,
    level_name,
    moments,
    plain,
    profile_table,
    share_for,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_PRIME = 2**31 - 1


def profile_sql(uri: str, options: Options) -> Profile:
    """Profile the rows that a `sql://` address means, in one transaction where the database has repeatable reads."""
    resolved = resolve(uri)
    with querying(uri), resolved.engine.connect() as connection:
        if resolved.engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        return profile_table(SqlTable(connection, resolved), options)


class SqlTable:
    """A table's rows, and the questions that are asked about them (`tables.Engine`)."""

    def __init__(self, connection: sa.Connection, resolved: Resolved) -> None:
        self._connection = connection
        self._resolved = resolved
        self.rows = int(self._one(sa.func.count())[0])
        self.fields = tuple(Field(one.name, _family(one.type), str(one.type).lower()) for one in resolved.table.columns)
        self._sample: dict[str, list[Any]] | None = None
        self._texts: dict[str, int] = {}

    def draw(self, fields: Sequence[Field], size: int) -> Drawn:
        """Let the database choose the rows; those of the row sample in one query for all columns."""
        import numpy as np

        whole = self.rows <= SKETCH_ROWS
        if self._sample is None:
            self._sample = self._drawn(self.fields, 1.0 if whole else share_for(size, self.rows))
        drawn = self._sample if whole else self._drawn(fields, share_for(SKETCH_ROWS, self.rows))
        for field in fields:
            if not (field.numeric or field.as_levels or field.family != "string") and not whole:
                texts = [value for value in drawn[field.name] if value is not None]
                self._texts[field.name] = _estimated(texts, self.rows)
        length = len(next(iter(self._sample.values()), ()))
        chosen = np.sort(np.random.default_rng(self.rows).permutation(length)[:size])
        return Drawn(
            {field.name: np.array(drawn[field.name], dtype=np.float64) for field in fields if field.numeric},
            {
                field.name: tuple(_cell(self._sample[field.name][row], field) for row in chosen)
                for field in fields
                if not field.private
            },
        )

    def facts(self, fields: Sequence[Field], centres: Mapping[str, float]) -> dict[str, Facts]:
        """Answer all counts of a group of columns in one query."""
        asked = {field.name: self._aggregates(field, centres.get(field.name, 0.0)) for field in fields}
        answers = iter(self._one(*[one for part in asked.values() for one in part]))
        found = {name: [next(answers) for _ in part] for name, part in asked.items()}
        return {field.name: self._facts(field, found[field.name], centres.get(field.name, 0.0)) for field in fields}

    def finite(self, field: Field) -> "Floats":
        """Read one column's finite values."""
        import numpy as np

        number = _number(self._resolved.table.columns[field.name])
        found = self._connection.execute(self._resolved.select(number).where(_is_finite(number))).scalars()
        return np.array([float(one) for one in found], dtype=np.float64)

    def levels(self, field: Field) -> tuple[list[tuple[str, int]], int]:
        """Count one column's levels; ties are in the order of their names, as the database sorts them."""
        column = self._resolved.table.columns[field.name]
        level = _number(column) if field.family == "number" else column
        there = column.is_not(None) if field.family != "number" else sa.and_(column.is_not(None), _is_number(level))
        counts = self._resolved.select(level.label("level"), sa.func.count().label("n")).where(there).group_by(level)
        table = counts.subquery()
        ranked = sa.select(table.c.level, table.c.n, sa.func.count().over()).order_by(table.c.n.desc(), table.c.level)
        found = self._connection.execute(ranked.limit(LEVELS)).all()
        return [(level_name(one, field.family), int(n)) for one, n, _ in found], int(found[0][2]) if found else 0

    def duplicates(self, fields: Sequence[Field]) -> Duplicates | None:
        """Look through a table that was drawn whole."""
        import numpy as np

        if self.rows > SKETCH_ROWS or self._sample is None:
            return None
        rows = zip(*(map(str, self._sample[field.name]) for field in fields), strict=True)
        hashes = np.fromiter((hash(row) & (2**64 - 1) for row in rows), dtype=np.uint64, count=self.rows)
        return Duplicates.of_hashes(hashes, self.rows)

    def _aggregates(self, field: Field, centre: float) -> list[Any]:
        column = self._resolved.table.columns[field.name]
        if field.family == "boolean":
            return [sa.func.count(column), sa.func.sum(sa.case((column, 1), else_=0))]
        if field.family == "datetime":
            return [sa.func.count(column), sa.func.min(column), sa.func.max(column)]
        if field.family != "number":
            return [sa.func.count(column)]
        number = _number(column)
        finite = sa.case((_is_finite(number), number))
        away = finite - sa.literal(centre, sa.Float(53))
        there = sa.func.count(sa.case((_is_number(number), 1)))
        ends = [sa.func.min(finite), sa.func.max(finite)]
        return [there, sa.func.count(finite), *ends, sa.func.sum(away), sa.func.sum(away * away)]

    def _facts(self, field: Field, answers: Sequence[Any], centre: float) -> Facts:
        there = int(answers[0])
        if field.family == "boolean":
            return Facts(there, levels=flags(there, int(answers[1] or 0)))
        if field.family == "datetime":
            return Facts(there, minimum=answers[1], maximum=answers[2])
        if field.family != "number":
            return Facts(there, distinct=self._texts.get(field.name))
        values, low, high, total, squares = answers[1:]
        mean, std = moments(int(values), total, squares, centre)
        return Facts(there, int(values), mean, std, low, high)

    def _one(self, *asked: Any) -> tuple[Any, ...]:
        return tuple(self._connection.execute(self._resolved.select(*asked)).one())

    def _drawn(self, fields: Sequence[Field], share: float) -> dict[str, list[Any]]:
        columns = self._resolved.table.columns
        selected = [_number(columns[one.name]) if one.family == "number" else columns[one.name] for one in fields]
        found = self._connection.execute(self._sampled([one.label(f"c{i}") for i, one in enumerate(selected)], share))
        values = list(zip(*found.all(), strict=True)) or [()] * len(fields)
        return {field.name: list(column) for field, column in zip(fields, values, strict=True)}

    def _sampled(self, columns: Sequence[Any], share: float) -> sa.Select[Any]:
        """Select some of the rows in the order of their key, if there is one."""
        table, where, dialect = self._resolved.table, self._resolved.where, self._resolved.engine.dialect.name
        key = list(table.primary_key.columns)
        if share >= 1:
            return self._resolved.select(*columns).order_by(*key)
        is_table = self._resolved.name in sa.inspect(self._connection).get_table_names(self._resolved.schema)
        if dialect != "postgresql" or not is_table:
            return self._resolved.select(*columns).where(_chance(dialect, share, is_table=is_table)).order_by(*key)
        drawn: Any = sa.tablesample(table, sa.func.bernoulli(100 * share), seed=sa.literal(self.rows % _PRIME))
        of_drawn: Any = sa.sql.util.ClauseAdapter(drawn).traverse
        query: sa.Select[Any] = sa.select(*map(of_drawn, columns)).select_from(drawn).order_by(*map(of_drawn, key))
        return query if where is None else query.where(of_drawn(where))


def _chance(dialect: str, share: float, *, is_table: bool) -> sa.ColumnElement[bool]:
    if dialect == "sqlite" and is_table:
        # Squares of scattered numbers, modulo a prime, are spread evenly; no product reaches 2**63.
        row = (sa.literal_column("rowid", sa.BigInteger) % _PRIME) * 48271 % _PRIME
        return (row * row + row) % _PRIME < int(share * _PRIME)
    if dialect == "sqlite":
        return sa.func.random().op("&")(_PRIME) < int(share * _PRIME)
    return sa.func.random() < share


def _family(kind: Any) -> str:
    if isinstance(kind, sa.Boolean):
        return "boolean"
    if isinstance(kind, sa.Integer | sa.Numeric | sa.Float):
        return "number"
    return "datetime" if isinstance(kind, sa.Date | sa.DateTime | sa.Time | sa.Interval) else "string"


def _number(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return a column as a floating-point number."""
    if isinstance(column.type, sa.Float):
        return sa.type_coerce(column, sa.Float(53))
    return sa.cast(column, sa.Float(53))


def _is_number(number: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    # PostgreSQL sorts NaN above infinity, and SQLite has none.
    return number <= sa.literal(math.inf, sa.Float(53))


def _is_finite(number: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(number < sa.literal(math.inf, sa.Float(53)), number > sa.literal(-math.inf, sa.Float(53)))


def _estimated(values: Sequence[Any], rows: int) -> int:
    import numpy as np

    return estimate_distinct(np.unique(list(map(str, values)), return_counts=True)[1], rows) if values else 0


def _cell(value: Any, field: Field) -> Any:
    if field.family == "number" and value is not None and float(value).is_integer():
        return int(value)
    return plain(value)
