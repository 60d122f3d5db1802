"""The profiling engine on DuckDB: Parquet and large CSV files in bounded memory. The only module that imports DuckDB.

A column is read three times at most, and only that column: once for what is exact (counts, moments, ranges, levels),
once for the sketch, once for the row sample. The sketch is made of all rows of a small file and of a uniform sample of
about `SKETCH_ROWS` of a large one: its distribution function is then within 0.5% of the file's with 99% confidence
(Dvoretzky, Kiefer and Wolfowitz), and `ColumnProfile.sketched` says how many rows the tests may count. Distinct values
of large columns are HyperLogLog estimates.
"""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.drift.pandas_engine import SAMPLE_CELLS, plain
from retrain.drift.profiles import LEVELS, SAMPLE_ROWS, ColumnProfile, Kind, Profile, looks_like_text
from retrain.drift.sketch import QuantileSketch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SKETCH_ROWS = 131_072
# Columns that are read together: bounds the memory of wide tables.
GROUP = 32
MEMORY = "400MB"
# A string column with more different values than this is text; its levels are not counted one by one.
MOST_DISTINCT = 20_000
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
# What pandas takes for a missing value in CSV, so that a large file reads like a small one.
_CSV_NULLS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "n/a", "#N/A", "<NA>", "-NaN", "-nan", "1.#QNAN")


class UnsuitableError(Exception):
    """DuckDB cannot read this source, or would read it otherwise than the other engine: use that one."""


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    as_levels: bool
    private: bool

    @property
    def quoted(self) -> str:
        return '"' + self.name.replace('"', '""') + '"'

    @property
    def family(self) -> str:
        base = self.type.split("(")[0].split(" ")[0]
        if "[" in self.type or base in ("STRUCT", "MAP", "UNION"):
            return "string"
        if base in _NUMBERS:
            return "number"
        if base == "BOOLEAN":
            return "boolean"
        return "datetime" if base.startswith(_TIMES) else "string"

    @property
    def number(self) -> str:
        """The column as a floating-point expression."""
        return self.quoted if self.type == "DOUBLE" else f"{self.quoted}::DOUBLE"


@dataclass(frozen=True)
class _Sketched:
    """A sketch, the finite values it was made of, and how many of them differ."""

    sketch: QuantileSketch
    rows: int
    distinct: int


def profile_file(
    path: str,
    filesystem: Any,
    *,
    columns: Sequence[str] | None,
    categorical: Sequence[str],
    target: str | None,
    prediction: str | None,
    pii: Sequence[str],
) -> Profile:
    """Profile a Parquet or CSV file without ever holding it; UnsuitableError where the pandas engine has to do it."""
    try:
        import duckdb
    except ImportError as error:
        raise UnsuitableError(str(error)) from error
    try:
        with _connection(filesystem) as connection:
            table = _Table(connection, _relation(path))
            names = table.names(path, filesystem)
            wanted = list(names) if columns is None else [name for name in columns if name in names]
            asked = dict.fromkeys([*(columns or names), *filter(None, (target, prediction))])
            found = [_Column(name, names[name], name in categorical, name in pii) for name in wanted]
            profiles = {made.name: made for group in _groups(found) for made in table.profile(group)}
            return Profile(
                rows=table.rows,
                columns={name: profiles[name] for name in wanted},
                sample=table.sample([column for column in found if not column.private]),
                target=target,
                prediction=prediction,
                categorical=tuple(categorical),
                pii=tuple(pii),
                absent=tuple(name for name in asked if name not in names),
            )
    except (duckdb.Error, OSError, ValueError) as error:
        raise UnsuitableError(f"{type(error).__name__}: {error}") from error


def _connection(filesystem: Any) -> Any:
    import tempfile

    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET memory_limit='{MEMORY}'")
    connection.execute("SET preserve_insertion_order=false")
    connection.execute("SET autoinstall_known_extensions=false")
    connection.execute(f"SET temp_directory='{os.path.join(tempfile.gettempdir(), f'retrain-duckdb-{os.getpid()}')}'")
    if "file" not in _protocols(filesystem):
        connection.register_filesystem(filesystem)
    return connection


def _protocols(filesystem: Any) -> tuple[str, ...]:
    return (filesystem.protocol,) if isinstance(filesystem.protocol, str) else tuple(filesystem.protocol)


def _relation(path: str) -> str:
    quoted = "'" + path.replace("'", "''") + "'"
    if path.lower().endswith((".csv", ".csv.gz")):
        nulls = ", ".join(f"'{null}'" for null in _CSV_NULLS)
        # Dates stay text, as they do in a small file that pandas reads.
        types = "['BOOLEAN', 'BIGINT', 'DOUBLE', 'VARCHAR']"
        return f"read_csv({quoted}, header=true, delim=',', nullstr=[{nulls}], auto_type_candidates={types})"
    return f"read_parquet({quoted})"


def _groups(columns: Sequence[_Column]) -> Iterator[list[_Column]]:
    for start in range(0, len(columns), GROUP):
        yield list(columns[start : start + GROUP])


class _Table:
    """One file, and the questions that are asked about it."""

    def __init__(self, connection: Any, relation: str) -> None:
        self._connection = connection
        self._relation = relation
        self.rows = int(self._one("count(*)")[0])

    def names(self, path: str, filesystem: Any) -> dict[str, str]:
        """Return column names and DuckDB types; names that DuckDB would change are not for it."""
        described = self._select("*", describe=True).fetchall()
        names = {str(row[0]): str(row[1]) for row in described}
        if path.lower().endswith(".parquet"):
            import pyarrow.parquet as pq

            with filesystem.open(path) as file:
                stored = pq.read_schema(file).names
            if stored != list(names):
                raise UnsuitableError("column names repeat or differ in case only")
        return {name: kind for name, kind in names.items() if not name.startswith("__index_level_")}

    def profile(self, columns: Sequence[_Column]) -> Iterator[ColumnProfile]:
        """Profile a group of columns, in the group's order."""
        exact = self._exact(columns)
        numbers = [column for column in columns if column.family == "number" and not column.as_levels]
        sketches = self._sketches([column for column in numbers if exact[column.name]["values"]])
        for column in columns:
            yield self._column(column, exact[column.name], sketches.get(column.name))

    def sample(self, columns: Sequence[_Column]) -> dict[str, tuple[Any, ...]]:
        """Draw rows without replacement; the same file gives the same sample."""
        import numpy as np

        if not columns or not self.rows:
            return {}
        size = min(self.rows, SAMPLE_ROWS, max(1, SAMPLE_CELLS // len(columns)))
        named = ", ".join(
            f"{column.number} AS {column.quoted}" if column.type.startswith("DECIMAL") else column.quoted
            for column in columns
        )
        drawn = self._draw(named, size).fetchall()
        chosen = np.sort(np.random.default_rng(self.rows).permutation(len(drawn))[:size])
        return {
            column.name: tuple(plain(None if _is_nan(drawn[row][index]) else drawn[row][index]) for row in chosen)
            for index, column in enumerate(columns)
        }

    def _draw(self, named: str, size: int) -> Any:
        """Select each row with a probability that makes fewer than `size` rows improbable; in file order."""
        share = (size + 5 * math.sqrt(size) + 10) / self.rows
        sampled = "" if share >= 1 else f" USING SAMPLE {100 * share:.12f}% (bernoulli, {self.rows % 2**31})"
        # One thread: only then does the seed decide.
        self._connection.execute("SET threads=1" if sampled else "RESET threads")
        return self._select(named, sampled)

    def _exact(self, columns: Sequence[_Column]) -> dict[str, dict[str, Any]]:
        """Count, and what else a single scan tells exactly (distinct values are estimated)."""
        found: dict[str, dict[str, Any]] = {}
        self._connection.execute("RESET threads")
        answers = iter(self._one(*[asked for column in columns for asked in _aggregates(column)]))
        for column in columns:
            found[column.name] = dict(zip(_FIELDS[_kind_of_query(column)], answers, strict=False))
        odd = [column for column in columns if _is_odd(found[column.name])]
        if odd:
            answers = iter(self._one(*[asked for column in odd for asked in _finite_aggregates(column)]))
            for column in odd:
                found[column.name] |= dict(zip(_FINITE_FIELDS, answers, strict=False))
        return found

    def _sketches(self, columns: Sequence[_Column]) -> dict[str, "_Sketched"]:
        """Sketch each column from the rows drawn for it."""
        import numpy as np

        if not columns:
            return {}
        named = ", ".join(f"{column.number} AS c{index}" for index, column in enumerate(columns))
        arrays = self._draw(named, min(self.rows, SKETCH_ROWS)).fetchnumpy()
        found = {}
        for index, column in enumerate(columns):
            values = np.ma.filled(np.ma.asarray(arrays[f"c{index}"], dtype=np.float64), np.nan)
            finite = values[np.isfinite(values)]
            sketch = QuantileSketch.of(finite)
            distinct = len(sketch.values) if sketch.exact else len(np.unique(finite))
            found[column.name] = _Sketched(sketch, len(finite), distinct)
        return found

    def _column(self, column: _Column, exact: dict[str, Any], sketch: "_Sketched | None") -> ColumnProfile:
        base: dict[str, Any] = {
            "name": column.name,
            "family": column.family,
            "dtype": _NAMES.get(column.type, column.type.lower()),
            "rows": self.rows,
            "nulls": self.rows - int(exact["there"]),
            "private": column.private,
        }
        if column.family == "number" and not column.as_levels:
            return _numeric(base, exact, sketch)
        if not exact["there"] and column.family != "datetime":
            return ColumnProfile(kind=Kind.EMPTY, **{**base, "family": "empty"})
        if column.family == "datetime":
            return _datetime(base, exact)
        return self._levels(column, base, exact)

    def _levels(self, column: _Column, base: dict[str, Any], exact: dict[str, Any]) -> ColumnProfile:
        values = base["rows"] - base["nulls"]
        distinct, certain = int(exact["distinct"]), False
        ranked: list[tuple[str, int]] = []
        if column.as_levels or distinct <= MOST_DISTINCT:
            ranked, distinct = self._counts(column)
            certain = True
        kind = Kind.BOOLEAN if column.family == "boolean" else Kind.CATEGORICAL
        if not column.as_levels and looks_like_text(distinct, values):
            kind = Kind.TEXT
        base |= {"distinct": distinct, "distinct_exact": certain}
        if column.private:
            return ColumnProfile(kind=kind, **base)
        kept = {} if kind is Kind.TEXT and distinct > LEVELS else dict(ranked[:LEVELS])
        return ColumnProfile(kind=kind, counts=kept, other=values - sum(kept.values()), **base)

    def _counts(self, column: _Column) -> tuple[list[tuple[str, int]], int]:
        """Return the most frequent levels and how many there are."""
        there = f"{column.quoted} IS NOT NULL"
        if column.family == "number":
            there += f" AND NOT isnan({column.number})"
        self._connection.execute("RESET threads")
        asked = f"{_level(column)} AS level, count(*) AS n, count(*) OVER ()"
        rest = f" WHERE {there} GROUP BY 1 ORDER BY n DESC, level LIMIT {LEVELS}"
        found = self._select(asked, rest).fetchall()
        ranked = [(_named(level, column.family), int(count)) for level, count, _ in found]
        return ranked, int(found[0][2]) if found else 0

    def _one(self, *asked: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._select(", ".join(asked)).fetchone()
        return row

    def _select(self, asked: str, rest: str = "", *, describe: bool = False) -> Any:
        # Column names and the path are quoted where they are put in; nothing else comes from outside.
        query = f"SELECT {asked} FROM {self._relation}{rest}"  # noqa: S608
        return self._connection.execute(f"DESCRIBE {query}" if describe else query)


_FIELDS = {
    "number": ("there", "values", "sum", "squares", "minimum", "maximum", "distinct"),
    "datetime": ("there", "minimum", "maximum", "distinct"),
    "levels": ("there", "distinct"),
}
_FINITE_FIELDS = ("there", "values", "sum", "squares", "minimum", "maximum")


def _kind_of_query(column: _Column) -> str:
    if column.family == "number" and not column.as_levels:
        return "number"
    return "datetime" if column.family == "datetime" else "levels"


def _aggregates(column: _Column) -> list[str]:
    name, number = column.quoted, column.number
    kind = _kind_of_query(column)
    distinct = f"approx_count_distinct({name})"
    if kind == "number":
        ends = [f"min({number})", f"max({number})"]
        return [f"count({name})", f"count({name})", f"avg({number})", f"stddev_pop({number})", *ends, distinct]
    if kind == "datetime":
        return [f"count({name})", f"min({name})", f"max({name})", distinct]
    there = f"count(CASE WHEN NOT isnan({number}) THEN 1 END)" if column.family == "number" else f"count({name})"
    return [there, distinct]


def _finite_aggregates(column: _Column) -> list[str]:
    number = column.number
    finite = f"CASE WHEN isfinite({number}) THEN {number} END"
    there = f"count(CASE WHEN NOT isnan({number}) THEN 1 END)"
    return [there, f"count({finite})", *(f"{of}({finite})" for of in ("avg", "stddev_pop", "min", "max"))]


def _is_odd(exact: dict[str, Any]) -> bool:
    """NaN sorts above all and infinities at the ends, so the range tells whether there is any."""
    ends = [exact.get("minimum"), exact.get("maximum")] if "sum" in exact else []
    return any(isinstance(end, float) and not math.isfinite(end) for end in ends)


def _numeric(base: dict[str, Any], exact: dict[str, Any], sketch: "_Sketched | None") -> ColumnProfile:
    values = int(exact["values"])
    base |= {"kind": Kind.NUMERIC, "infinite": int(exact["there"]) - values}
    if not values or sketch is None:
        return ColumnProfile(**base)
    whole = sketch.rows == values
    base |= {"distinct": sketch.distinct if whole else int(exact["distinct"]), "distinct_exact": whole}
    if base["private"]:
        return ColumnProfile(**base)
    mean, std = exact["sum"], exact["squares"]
    return ColumnProfile(
        mean=mean if mean is not None and math.isfinite(mean) else None,
        std=std if std is not None and math.isfinite(std) else None,
        minimum=float(exact["minimum"]),
        maximum=float(exact["maximum"]),
        sketch=sketch.sketch.scaled(values),
        sketched=0 if whole else sketch.rows,
        **base,
    )


def _datetime(base: dict[str, Any], exact: dict[str, Any]) -> ColumnProfile:
    base |= {"kind": Kind.DATETIME, "distinct": int(exact["distinct"]), "distinct_exact": False}
    if base["private"] or not exact["there"]:
        return ColumnProfile(**base)
    return ColumnProfile(minimum=plain(exact["minimum"]), maximum=plain(exact["maximum"]), **base)


def _level(column: _Column) -> str:
    return column.number if column.family == "number" else f"{column.quoted}::VARCHAR"


def _named(level: Any, family: str) -> str:
    if family == "number":
        return str(int(level)) if float(level).is_integer() else repr(float(level))
    return str(level).capitalize() if family == "boolean" else str(level)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
