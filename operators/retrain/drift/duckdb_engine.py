"""The profiling engine on DuckDB: Parquet and large CSV files in bounded memory. The only module that imports DuckDB.

A column is read twice, and only that column: once for the sketch and the row sample, once for what is exact (counts,
moments, ranges); columns of levels once more, and a hash of all of them finds rows that repeat. Rows are drawn by a
hash of their place in the file, so the same file gives the same profile. A CSV is parsed once, into a Parquet file on
the temporary disk. Distinct values of large columns are HyperLogLog estimates.
"""

import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from retrain.drift.duckdb_csv import as_parquet, quoted, text
from retrain.drift.duckdb_repeats import count_repeats, up_to
from retrain.drift.duplicates import Duplicates
from retrain.drift.profiles import LEVELS, Profile
from retrain.drift.tables import (
    SKETCH_ROWS,
    Drawn,
    Facts,
    Field,
    Options,
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

MEMORY = "256MB"
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_NUMBERS = (*_INTEGERS, "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
_TIMES = ("DATE", "TIME", "TIMESTAMP", "INTERVAL")
# As pandas calls them, so that profiles of both engines read alike.
_NAMES = {
    "TINYINT": "int8",
    "SMALLINT": "int16",
    "INTEGER": "int32",
    "BIGINT": "int64",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "VARCHAR": "str",
    "BOOLEAN": "bool",
}
# Columns that Parquet scans have without any file holding them: a row's place.
_PLACE = ("file_row_number", "file_index")
_ROW = "(file_index::BIGINT * 1099511627776 + file_row_number)"


class UnsuitableError(Exception):
    """DuckDB cannot read this source, or would read it otherwise than the other engine: use that one."""


def profile_files(paths: Sequence[str], filesystem: Any, names: Sequence[str] | None, options: Options) -> Profile:
    """Profile files of one schema as one table, without ever holding it.

    `names` are the columns as Parquet stores them; None is a CSV (one path). UnsuitableError where the pandas engine
    has to do it.
    """
    try:
        import duckdb
    except ImportError as error:
        raise UnsuitableError(str(error)) from error
    try:
        with _connection(filesystem) as connection, _parquet(connection, paths, csv=names is None) as files:
            return profile_table(DuckTable(connection, files, names), options)
    except (duckdb.Error, OSError, ValueError) as error:
        raise UnsuitableError(f"{type(error).__name__}: {error}") from error


def _connection(filesystem: Any) -> Any:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET memory_limit='{MEMORY}'")
    connection.execute("SET autoinstall_known_extensions=false")
    connection.execute(f"SET temp_directory='{os.path.join(tempfile.gettempdir(), f'retrain-duckdb-{os.getpid()}')}'")
    if "file" not in protocols(filesystem):
        connection.register_filesystem(filesystem)
    return connection


def protocols(filesystem: Any) -> tuple[str, ...]:
    """Return the protocols of an fsspec file system."""
    return (filesystem.protocol,) if isinstance(filesystem.protocol, str) else tuple(filesystem.protocol)


@contextmanager
def _parquet(connection: Any, paths: Sequence[str], *, csv: bool) -> Iterator[Sequence[str]]:
    """Give Parquet files as they are; parse a CSV into one that lasts as long as the block."""
    if not csv:
        yield paths
        return
    with tempfile.TemporaryDirectory(prefix="retrain-csv-") as folder:
        yield [as_parquet(connection, paths[0], folder)]


class DuckTable:
    """Parquet files of one schema, and the questions that are asked about them (`tables.Engine`)."""

    def __init__(self, connection: Any, paths: Sequence[str], names: Sequence[str] | None) -> None:
        self._connection = connection
        self._relation = f"read_parquet([{', '.join(map(text, paths))}])"
        connection.execute("SET preserve_insertion_order=false")
        described = connection.execute(f"DESCRIBE SELECT * FROM {self._relation}").fetchall()  # noqa: S608
        self._types = {str(row[0]): str(row[1]) for row in described}
        if names is not None and list(names) != list(self._types):
            raise UnsuitableError("column names repeat or differ in case only")
        if taken := [name for name in self._types if name.lower() in _PLACE]:
            raise UnsuitableError(f"the columns {taken} hide where a row is")
        self.fields = tuple(
            Field(name, _family(kind), _NAMES.get(kind, kind.lower()))
            for name, kind in self._types.items()
            if not name.startswith("__index_level_")
        )
        self.rows = int(self._one("count(*)")[0])

    def draw(self, fields: Sequence[Field], size: int) -> Drawn:
        """Draw by the hash of a row's place."""
        import numpy as np

        shown = [field for field in fields if not field.private]
        numeric = [field for field in fields if field.numeric]
        few, many = share_for(size, self.rows), share_for(SKETCH_ROWS, self.rows)
        sampled = up_to(few)
        inner, outer = [], []
        for index, field in enumerate(fields):
            inner.append(f"{self._plain(field)} AS c{index}")
            if field.numeric:
                outer.append(f"c{index}")
            elif not field.private:
                outer.append(f"CASE WHEN {sampled} THEN c{index} END AS c{index}")
        if not outer:
            return Drawn({}, {})
        rows = f"(SELECT {', '.join([*inner, f'{_ROW} AS place', f'hash({_ROW}) AS h'])} FROM {self._relation})"  # noqa: S608
        query = f"SELECT place, h, {', '.join(outer)} FROM {rows} WHERE {up_to(many if numeric else few)}"  # noqa: S608
        drawn = self._connection.sql(query).to_arrow_table()
        place, hashes = drawn["place"].to_numpy(), drawn["h"].to_numpy()
        chosen = np.argpartition(hashes, size - 1)[:size] if size < len(hashes) else np.arange(len(hashes))
        sample = drawn.take(chosen[np.argsort(place[chosen])])
        names = {field.name: f"c{index}" for index, field in enumerate(fields)}
        return Drawn(
            {field.name: _floats(drawn[names[field.name]]) for field in numeric},
            {field.name: _cells(sample[names[field.name]]) for field in shown},
        )

    def facts(self, fields: Sequence[Field], centres: Mapping[str, float]) -> dict[str, Facts]:
        """Answer all counts of a group of columns in a single scan; infinite values cost their columns another."""
        asked = {field.name: self._aggregates(field, centres.get(field.name, 0.0)) for field in fields}
        answers = iter(self._one(*[one for part in asked.values() for one in part]))
        found = {name: [next(answers) for _ in part] for name, part in asked.items()}
        odd = [field for field in fields if field.numeric and not all(map(_is_plain, found[field.name][2:4]))]
        if odd:
            again = {field.name: self._finite_aggregates(field, centres.get(field.name, 0.0)) for field in odd}
            answers = iter(self._one(*[one for part in again.values() for one in part]))
            for name, part in again.items():
                found[name][: len(part)] = [next(answers) for _ in part]
        return {field.name: _facts(field, found[field.name], centres.get(field.name, 0.0)) for field in fields}

    def finite(self, field: Field) -> "Floats":
        """Read one column's finite values."""
        number = self._number(field)
        query = f"SELECT {number} AS x FROM {self._relation} WHERE isfinite({number})"  # noqa: S608
        return _floats(self._connection.sql(query).to_arrow_table()["x"])

    def levels(self, field: Field) -> tuple[list[tuple[str, int]], int]:
        """Count one column's levels."""
        there, level = f"{quoted(field.name)} IS NOT NULL", f"{quoted(field.name)}::VARCHAR"
        if field.family == "number":
            there, level = f"{there} AND NOT isnan({self._number(field)})", self._number(field)
        counts = f"SELECT {level} AS level, count(*) AS n FROM {self._relation} WHERE {there} GROUP BY 1"  # noqa: S608
        query = f"SELECT level, n, count(*) OVER () FROM ({counts}) ORDER BY n DESC, level LIMIT {LEVELS}"  # noqa: S608
        found = self._connection.execute(query).fetchall()
        return [(level_name(one, field.family), int(count)) for one, count, _ in found], found[0][2] if found else 0

    def duplicates(self, fields: Sequence[Field]) -> Duplicates | None:
        """Look for them by hashes."""
        columns = [quoted(field.name) for field in fields]
        return count_repeats(self._connection, self._relation, _ROW, columns, self.rows)

    def _aggregates(self, field: Field, centre: float) -> list[str]:
        name = quoted(field.name)
        distinct = f"approx_count_distinct({name})"
        if field.numeric:
            # Of fractions the draw tells how many differ, as nearly all of them do or very few.
            distinct = distinct if self._types[field.name].endswith(_INTEGERS) else "NULL"
            return [f"count({name})", f"count({name})", *_range_and_moments(self._number(field), centre), distinct]
        if field.family == "datetime":
            return [f"count({name})", f"min({name})", f"max({name})", distinct]
        if field.family == "boolean":
            return [f"count({name})", f"count_if({name})"]
        if field.family == "number":
            return [f"count(CASE WHEN NOT isnan({self._number(field)}) THEN 1 END)", distinct]
        return [f"count({name})", distinct]

    def _finite_aggregates(self, field: Field, centre: float) -> list[str]:
        number = self._number(field)
        finite = f"CASE WHEN isfinite({number}) THEN {number} END"
        there = f"count(CASE WHEN NOT isnan({number}) THEN 1 END)"
        return [there, f"count({finite})", *_range_and_moments(finite, centre)]

    def _number(self, field: Field) -> str:
        """The column as a floating-point expression."""
        return quoted(field.name) if self._types[field.name] == "DOUBLE" else f"{quoted(field.name)}::DOUBLE"

    def _plain(self, field: Field) -> str:
        """The column as a type that Arrow and JSON have."""
        kind = self._types[field.name]
        return self._number(field) if kind.startswith("DECIMAL") or "HUGEINT" in kind else quoted(field.name)

    def _one(self, *asked: str) -> tuple[Any, ...]:
        # Column names and paths are quoted where they are put in; nothing else comes from outside.
        query = f"SELECT {', '.join(asked)} FROM {self._relation}"  # noqa: S608
        (row,) = self._connection.execute(query).fetchall()
        return tuple(row)


def _facts(field: Field, answers: Sequence[Any], centre: float) -> Facts:
    if field.numeric:
        there, values, low, high, total, squares, distinct = answers
        mean, std = moments(int(values), total, squares, centre)
        return Facts(int(there), int(values), mean, std, low, high, None if distinct is None else int(distinct))
    if field.family == "datetime":
        there, low, high, distinct = answers
        return Facts(int(there), minimum=low, maximum=high, distinct=int(distinct))
    if field.family == "boolean":
        return Facts(int(answers[0]), levels=flags(int(answers[0]), int(answers[1])))
    return Facts(int(answers[0]), distinct=int(answers[1]))


def _range_and_moments(number: str, centre: float) -> list[str]:
    away = f"({number} - ({centre!r})::DOUBLE)"
    return [f"min({number})", f"max({number})", f"sum({away})", f"sum({away} * {away})"]


def _family(kind: str) -> str:
    base = kind.split("(")[0].split(" ")[0]
    if "[" in kind or base in ("STRUCT", "MAP", "UNION"):
        return "string"
    if base in _NUMBERS:
        return "number"
    if base == "BOOLEAN":
        return "boolean"
    return "datetime" if base.startswith(_TIMES) else "string"


def _is_plain(end: Any) -> bool:
    """NaN sorts above all and infinities at the ends, so the range tells whether there is any."""
    return end is None or math.isfinite(end)


def _floats(column: Any) -> "Floats":
    import numpy as np

    values: Floats = column.to_numpy().astype(np.float64, copy=False)
    return values


def _cells(column: Any) -> tuple[Any, ...]:
    import pyarrow.types as of

    if of.is_floating(column.type):  # NumPy gives nulls as NaN
        return tuple(value if math.isfinite(value) else None for value in column.to_numpy().tolist())
    cells = column.to_pylist()
    as_they_are = of.is_integer(column.type) or of.is_string(column.type) or of.is_boolean(column.type)
    return tuple(cells) if as_they_are else tuple(map(plain, cells))
