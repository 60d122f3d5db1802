"""What a suite is inferred from: counts of each column, in one pass over the batches of a source.

Memory is bounded by the limits below, whatever the number of rows: a sample of numbers, the values of columns that
have few, and hashes of columns that may be keys.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.data import formats, readers, streaming, writers
from retrain.exceptions import DataError
from retrain.records import DataRef

if TYPE_CHECKING:
    import numpy as np

# A column with more values than this is not made of categories.
MOST_VALUES = 100
HASHED_ROWS = 1_000_000
_SAMPLE = 100_000
_SEED = 20130101


@dataclass
class Column:
    """What was seen of one column.

    `values` counts each value; it is None where there are too many, and for what is no category. `hashes` is None once
    a value has occurred twice, `drawn` where there are no numbers. Of a private column all three are None.
    """

    name: str
    kind: str
    stored: str = ""
    rows: int = 0
    nulls: int = 0
    values: dict[Any, int] | None = field(default_factory=dict)
    hashes: list[Any] | None = None
    drawn: list[Any] | None = None

    @property
    def filled(self) -> int:
        """How many rows have a value."""
        return self.rows - self.nulls

    def sample(self) -> "np.ndarray[Any, Any]":
        """Return the sampled finite numbers, in no order."""
        import numpy as np

        found = np.concatenate(self.drawn) if self.drawn else np.empty(0, dtype="float64")
        finite: np.ndarray[Any, Any] = found[np.isfinite(found)]
        return finite

    def unique(self) -> bool:
        """Say whether no value occurs twice among the first rows, at most `HASHED_ROWS`."""
        import numpy as np

        if not self.hashes:
            return False
        hashes = np.concatenate(self.hashes)
        return len(np.unique(hashes)) == len(hashes)


@dataclass(frozen=True)
class Observed:
    """The columns of a source, in order, and its number of rows."""

    rows: int
    columns: tuple[Column, ...]


def observe(source: readers.Source, *, private: Iterable[str] = ()) -> Observed:
    """Look at every row of a source once. Of `private` columns nothing but kind and nulls is kept.

    Parquet and CSV are read in batches. DataError where there is no row, or where two columns share a name.
    """
    import numpy as np

    columns: tuple[Column, ...] = ()
    rng, share, rows = np.random.default_rng(_SEED), 1.0, 0
    with _tables(source) as tables:
        for table in tables:
            columns = columns or _columns(table.schema, frozenset(private))
            drawn = np.flatnonzero(rng.random(table.num_rows) < share)
            for column, array in zip(columns, table.columns, strict=True):
                _add(column, array, drawn)
            rows += table.num_rows
            # Half of what was drawn so far goes, and from here on half as many are drawn: the sample stays uniform.
            if rows * share > 2 * _SAMPLE:
                share /= 2
                _thin(columns, rng)
    if not rows:
        raise DataError("there is no row to infer expectations from", expected="a reference with rows")
    return Observed(rows, columns)


def _columns(schema: Any, private: frozenset[str]) -> tuple[Column, ...]:
    formats.require_unique(formats.repeated(schema.names), "the reference")
    found = tuple(Column(one.name, _kind(one.type), str(one.type)) for one in schema)
    for column in found:
        open_ = column.name not in private
        # What is measured, or a yes and no, is no key.
        column.hashes = [] if open_ and column.kind in ("integer", "text") else None
        column.drawn = [] if open_ and column.kind in ("integer", "number") else None
        column.values = {} if open_ and column.kind in ("integer", "number", "text", "boolean") else None
    return found


def _kind(arrow: Any) -> str:
    """Return the kind of an Arrow type in the words of `expect_column_to_be_of_kind`; "" for any other."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(arrow):
        return _kind(arrow.value_type)
    tests = (
        (types.is_integer, "integer"), (types.is_floating, "number"), (types.is_decimal, "number"),
        (types.is_boolean, "boolean"), (types.is_timestamp, "time"), (types.is_date, "date"),
        (types.is_string, "text"), (types.is_large_string, "text"), (types.is_string_view, "text"),
    )  # fmt: skip
    return next((kind for test, kind in tests if test(arrow)), "")


@contextmanager
def _tables(source: readers.Source) -> Iterator[Iterator[Any]]:
    """Give the Arrow tables that a source consists of, each of bounded size."""
    import pyarrow as pa

    if not isinstance(source, DataRef | str | os.PathLike):
        table = writers.to_table(source)
        yield (table.slice(start, streaming.ROWS) for start in range(0, table.num_rows, streaming.ROWS))
    elif readers.format_of(source) == formats.PARQUET:
        with streaming.open_parquet(source) as file:
            names = formats.schema_of(file.schema_arrow)
            formats.require_unique(formats.repeated(file.schema_arrow.names), readers.location(source))
            # One row group at a time: Arrow keeps the bytes of all that it is asked for at once.
            yield (
                pa.Table.from_batches([batch])
                for group in range(file.num_row_groups)
                for batch in file.iter_batches(streaming.ROWS, row_groups=[group], columns=list(names))
            )
    else:
        yield (writers.to_table(frame) for frame in streaming.csv_batches(source))


def _add(column: Column, array: Any, drawn: "np.ndarray[Any, Any]") -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    column.rows += len(array)
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    # To pandas and to GX, a float that is no number is a null.
    kept = array.filter(pc.invert(pc.is_null(array, nan_is_null=True)))
    column.nulls += len(array) - len(kept)
    if column.values is not None:
        column.values = _counted(column.values, kept)
    if column.hashes is not None:
        column.hashes = _hashed(column.hashes, kept)
    if column.drawn is not None:
        numbers = array.take(pa.array(drawn)).cast(pa.float64(), safe=False)
        column.drawn.append(numbers.to_numpy())


def _counted(values: dict[Any, int], kept: Any) -> dict[Any, int] | None:
    import pyarrow.compute as pc

    for one in pc.value_counts(kept):
        value = one["values"].as_py()
        values[value] = values.get(value, 0) + one["counts"].as_py()
        if len(values) > MOST_VALUES:
            return None
    return values


def _hashed(hashes: list[Any], kept: Any) -> list[Any] | None:
    import numpy as np
    import pandas as pd

    first = kept.slice(0, max(0, HASHED_ROWS - sum(map(len, hashes))))
    found = pd.util.hash_array(first.to_pandas().to_numpy(), categorize=False)
    return [*hashes, found] if len(np.unique(found)) == len(found) else None


def _thin(columns: Iterable[Column], rng: Any) -> None:
    for column in columns:
        if column.drawn is not None:
            column.drawn = [part[rng.random(len(part)) < 0.5] for part in column.drawn]
