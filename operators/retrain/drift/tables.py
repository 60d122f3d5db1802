"""From what an engine tells of a table to its profile. Another engine (Spark, a warehouse) implements `Engine`.

The sketch of a numeric column is made of all its values where there are few, and of a uniform sample of about
`SKETCH_ROWS` rows otherwise: its distribution function is then within 0.5% of the table's with 99% confidence
(Dvoretzky, Kiefer and Wolfowitz), and `ColumnProfile.sketched` says how many rows the tests may count. Counts, moments,
ranges and levels are of all rows, whatever was drawn.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from retrain.drift.duplicates import Duplicates
from retrain.drift.profiles import LEVELS, SAMPLE_ROWS, ColumnProfile, Kind, Profile, looks_like_text
from retrain.drift.sketch import QuantileSketch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SKETCH_ROWS = 131_072
# Columns that are asked for together: bounds the memory of wide tables.
GROUP = 32
# A string column with more different values than this is text; its levels are not counted one by one.
MOST_DISTINCT = 20_000
# A sample is kept with the model: at 500 columns 2,000 rows of it would be most of the document.
SAMPLE_CELLS = 200_000


@dataclass(frozen=True)
class Options:
    """What the caller of `profile` said. `columns` includes target and prediction; None is all."""

    columns: tuple[str, ...] | None = None
    categorical: tuple[str, ...] = ()
    target: str | None = None
    prediction: str | None = None
    pii: tuple[str, ...] = ()

    def wanted(self, names: Sequence[str]) -> list[str]:
        """Return the names that are there and wanted, in the order they were asked for."""
        return list(names) if self.columns is None else [name for name in self.columns if name in names]

    def absent(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the names that were asked for and are not there."""
        there = set(names)
        asked = dict.fromkeys([*(self.columns or ()), *filter(None, (self.target, self.prediction))])
        return tuple(name for name in asked if name not in there)


@dataclass(frozen=True)
class Field:
    """A column before it was read; `family` and `dtype` as in `ColumnProfile`."""

    name: str
    family: str
    dtype: str
    as_levels: bool = False
    private: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it is sketched, and not counted level by level."""
        return self.family == "number" and not self.as_levels


@dataclass(frozen=True)
class Drawn:
    """A draw of rows: about `SKETCH_ROWS` of the numeric columns (NaN for missing), and a sample in JSON values."""

    numbers: Mapping[str, "Floats"]
    rows: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Facts:
    """What is counted of one column. NaN counts as missing; `distinct` may be an estimate, None is not known.

    Numeric: `there` includes infinite values, all else is of the finite ones. `levels` where they came with the rest.
    """

    there: int
    values: int = 0
    mean: float | None = None
    std: float | None = None
    minimum: Any = None
    maximum: Any = None
    distinct: int | None = None
    levels: tuple[tuple[str, int], ...] | None = None


class Engine(Protocol):
    """One table that answers questions. Rows are drawn by chance that the table alone decides, where it can be."""

    @property
    def rows(self) -> int:
        """How many rows there are."""

    @property
    def fields(self) -> Sequence[Field]:
        """The columns, in order."""

    def draw(self, fields: Sequence[Field], size: int) -> Drawn:
        """Draw about `SKETCH_ROWS` rows (all, if there are fewer), and `size` of all `fields` that are not private.

        The `size` rows are the same ones for any `fields`.
        """

    def facts(self, fields: Sequence[Field], centres: Mapping[str, float]) -> Mapping[str, Facts]:
        """Count; `centres` are typical values of numeric columns, so that moments do not lose their digits."""

    def finite(self, field: Field) -> "Floats":
        """Return all finite values of a numeric column that has few."""

    def levels(self, field: Field) -> tuple[Sequence[tuple[str, int]], int]:
        """Return the `LEVELS` most frequent levels and their rows, ties by name, and how many levels there are."""

    def duplicates(self, fields: Sequence[Field]) -> Duplicates | None:
        """Count the rows that repeat another in all `fields`; None where that cannot be told."""


def profile_table(engine: Engine, options: Options) -> Profile:
    """Profile the columns that `options` name, a group of them at a time."""
    found = {field.name: field for field in engine.fields}
    fields = [
        dataclasses.replace(found[name], as_levels=name in options.categorical, private=name in options.pii)
        for name in options.wanted(list(found))
    ]
    size = sample_size(engine.rows, sum(not field.private for field in fields))
    columns: dict[str, ColumnProfile] = {}
    sample: dict[str, tuple[Any, ...]] = {}
    for group in _groups(fields):
        drawn = engine.draw(group, size)
        sample |= drawn.rows
        columns |= {column.name: column for column in _profile_group(engine, group, drawn)}
    return Profile(
        rows=engine.rows,
        columns=columns,
        sample=sample if engine.rows else {},
        target=options.target,
        prediction=options.prediction,
        categorical=options.categorical,
        pii=options.pii,
        absent=options.absent(found),
        duplicates=_duplicates(engine, fields),
    )


def _duplicates(engine: Engine, fields: Sequence[Field]) -> Duplicates | None:
    found = engine.duplicates(fields) if fields else None
    return found.of_columns(field.name for field in fields) if found else None


def sample_size(rows: int, columns: int) -> int:
    """Return how many rows are kept of a table."""
    return min(rows, SAMPLE_ROWS, max(1, SAMPLE_CELLS // max(1, columns)))


def share_for(size: int, rows: int) -> float:
    """Return the probability of a row at which fewer than `size` of `rows` are improbable; 1 is all of them."""
    return min(1.0, (size + 5 * math.sqrt(size) + 10) / rows) if rows else 1.0


def estimate_distinct(counts: "NDArray[np.int64]", rows: int) -> int:
    """Estimate how many values differ from how often each was drawn: Chao and Lin (2012), without replacement."""
    drawn = int(counts.sum())
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    if drawn >= rows or once == 0:
        return len(counts)
    share = drawn / rows
    unseen = once**2 / (drawn / (drawn - 1) * 2 * twice + share / (1 - share) * once) if drawn > 1 else rows - drawn
    return min(rows, len(counts) + round(unseen))


def level_name(level: Any, family: str) -> str:
    """Give each level one name, however the number or flag behind it is stored."""
    if family == "number":
        return str(int(level)) if float(level).is_integer() else repr(float(level))
    return str(level)


def flags(there: int, true: int) -> tuple[tuple[str, int], ...]:
    """Return the levels of a boolean column, the more frequent first."""
    counts = [("False", there - true), ("True", true)]
    return tuple(sorted([one for one in counts if one[1]], key=lambda one: (-one[1], one[0])))


def moments(rows: int, total: float | None, squares: float | None, centre: float) -> tuple[float | None, float | None]:
    """Return mean and (population) standard deviation from the sums of differences from `centre`."""
    if not rows or total is None or squares is None:
        return None, None
    shift = float(total) / rows
    variance = float(squares) / rows - shift**2
    return centre + shift, math.sqrt(max(0.0, variance)) if math.isfinite(variance) else None


def plain(value: Any) -> Any:
    """Turn a cell into a JSON value; an infinite one into None."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return utf8(value)
    if hasattr(value, "tolist"):
        # A number of NumPy's own; or an array, which is how pandas reads lists from Parquet.
        value = value.tolist()
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    return iso(value)


def iso(value: Any) -> str:
    """Return ISO 8601 where there is one, else the value as text."""
    return utf8(str(value.isoformat()) if hasattr(value, "isoformat") else str(value))


def utf8(text: str) -> str:
    """Return text that can be written as UTF-8: half of a surrogate pair, alone, is escaped."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _groups(fields: Sequence[Field]) -> Iterator[Sequence[Field]]:
    for start in range(0, len(fields), GROUP):
        yield fields[start : start + GROUP]


def _profile_group(engine: Engine, fields: Sequence[Field], drawn: Drawn) -> Iterator[ColumnProfile]:
    counted = {name: _counted(values) for name, values in drawn.numbers.items()}
    centres = {name: float(values[len(values) // 2]) for name, (values, _) in counted.items() if len(values)}
    facts = engine.facts(fields, centres)
    for field in fields:
        found = facts[field.name]
        base: dict[str, Any] = {
            "name": field.name,
            "family": field.family,
            "dtype": field.dtype,
            "rows": engine.rows,
            "nulls": engine.rows - found.there,
            "private": field.private,
        }
        if field.numeric:
            values, counts = counted[field.name]
            if counts.sum() < found.values <= SKETCH_ROWS:
                values, counts = _counted(engine.finite(field))
            yield _numeric(base, found, values, counts)
        elif field.family == "datetime":
            yield _datetime(base, found)
        elif not found.there:
            yield ColumnProfile(kind=Kind.EMPTY, **{**base, "family": "empty"})
        else:
            yield _levels(engine, field, base, found)


def _counted(values: "Floats") -> "tuple[Floats, NDArray[np.int64]]":
    """Return the finite values that differ, ascending, and how often each comes."""
    import numpy as np

    different, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return different, counts


def _numeric(base: dict[str, Any], facts: Facts, different: "Floats", counts: "NDArray[np.int64]") -> ColumnProfile:
    base |= {"kind": Kind.NUMERIC, "infinite": facts.there - facts.values}
    if not facts.values:
        return ColumnProfile(**base)
    drawn = int(counts.sum())
    whole = drawn == facts.values
    estimate = facts.distinct if facts.distinct is not None else estimate_distinct(counts, facts.values)
    base |= {"distinct": len(different) if whole else estimate, "distinct_exact": whole}
    if base["private"]:
        return ColumnProfile(**base)
    return ColumnProfile(
        mean=_finite(facts.mean),
        std=_finite(facts.std),
        minimum=float(facts.minimum),
        maximum=float(facts.maximum),
        sketch=QuantileSketch.of_counts(different, counts).scaled(facts.values),
        sketched=0 if whole else drawn,
        **base,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _datetime(base: dict[str, Any], facts: Facts) -> ColumnProfile:
    base |= {"kind": Kind.DATETIME, "distinct": facts.distinct or 0, "distinct_exact": False}
    if base["private"] or not facts.there:
        return ColumnProfile(**base)
    return ColumnProfile(minimum=plain(facts.minimum), maximum=plain(facts.maximum), **base)


def _levels(engine: Engine, field: Field, base: dict[str, Any], facts: Facts) -> ColumnProfile:
    values = base["rows"] - base["nulls"]
    ranked, distinct, certain = facts.levels, facts.distinct, facts.levels is not None
    if ranked is None and (field.as_levels or distinct is None or distinct <= MOST_DISTINCT):
        found, distinct = engine.levels(field)
        ranked, certain = tuple(found), True
    distinct = distinct if ranked is None or distinct is not None else len(ranked)
    distinct = distinct or 0
    kind = Kind.BOOLEAN if field.family == "boolean" else Kind.CATEGORICAL
    if not field.as_levels and looks_like_text(distinct, values):
        kind = Kind.TEXT
    base |= {"distinct": distinct, "distinct_exact": certain}
    if field.private:
        return ColumnProfile(kind=kind, **base)
    kept = {} if kind is Kind.TEXT and distinct > LEVELS else dict((ranked or ())[:LEVELS])
    return ColumnProfile(kind=kind, counts=kept, other=values - sum(kept.values()), **base)
