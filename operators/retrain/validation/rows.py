"""Rows under judgement, given as columns: whole, in batches, or as Arrow tables to be written.

A batch must look to Great Expectations like a part of the whole, so the type of a pandas column is decided by the whole
column: integers become floats where any row has a null, whether this batch has one or not.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from retrain.data import formats, writers

if TYPE_CHECKING:
    import pandas as pd

_TABLE_BYTES = 64 * 1024 * 1024
_TABLE_ROWS = 1024 * 1024  # a row group, as pyarrow writes them
_PROBE_ROWS = 10_000
_INDEX_COLUMN = "__index_level_"


class Rows(Protocol):
    """Rows wherever they are."""

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def names(self) -> list[Any]:
        """The columns, in order; those of a DataFrame may be anything."""

    @property
    def schema(self) -> Mapping[str, str]:
        """Columns, in order, and the names of their Arrow types."""

    @property
    def duplicates(self) -> tuple[str, ...]:
        """Column names that occur more than once."""

    def frames(self, columns: Sequence[str], most: int) -> "Iterator[pd.DataFrame]":
        """Yield the columns in frames of at most `most` rows, each with an index of 0..n-1."""

    def divisible(self, columns: Iterable[str]) -> bool:
        """Say whether each batch of these columns looks the same to pandas as it does within the whole."""

    def is_blank(self, column: str) -> bool:
        """Say whether every value of a column is null (or, among floats, no number)."""

    def tables(self) -> Iterator[Any]:
        """Yield all columns of all rows as Arrow tables of bounded size."""

    def read_rest(self) -> None:
        """Decode the columns that nobody has asked for yet: damage must show wherever it is."""


class FrameRows:
    """The rows of a DataFrame. `schema` is known only where the frame can be written as Parquet (else DataError)."""

    def __init__(self, frame: "pd.DataFrame") -> None:
        # GX names rows by index label: with 0..n-1, labels are positions.
        self._frame = frame.reset_index(drop=True)
        self.count = len(frame)
        self.duplicates = formats.repeated([str(name) for name in frame.columns])
        self.names = list(frame.columns)
        self._table: Any = None

    @property
    def schema(self) -> Mapping[str, str]:
        """Columns, in order, and the names of their Arrow types."""
        return formats.schema_of(self._arrow().schema)

    def frames(self, columns: Sequence[str], most: int) -> "Iterator[pd.DataFrame]":
        """Yield the columns in frames of at most `most` rows."""
        wanted = self._frame[list(columns)]
        if self.count <= most:
            yield wanted
            return
        for start in range(0, self.count, most):
            yield wanted.iloc[start : start + most].reset_index(drop=True)

    def divisible(self, columns: Iterable[str]) -> bool:
        """Objects may be of several types, and then of one in each batch."""
        return all(self._frame[name].dtype.kind not in "OV" and _is_plain(self._frame[name]) for name in columns)

    def is_blank(self, column: str) -> bool:
        """Say whether every value of a column is null."""
        return bool(self._frame[column].isna().all())

    def tables(self) -> Iterator[Any]:
        """Yield the rows as one Arrow table."""
        yield self._arrow()

    def read_rest(self) -> None:
        """Do nothing: what is in memory is readable."""

    def _arrow(self) -> Any:
        if self._table is None:
            self._table = writers.to_table(self._frame)
        return self._table


class _ArrowRows:
    """What Arrow columns have in common, whether they are in memory or in a file."""

    def __init__(self, arrow_schema: Any, count: int) -> None:
        self.count = count
        # What pandas wrote about its index is no data.
        self._fields = {one.name: one.type for one in arrow_schema if not one.name.startswith(_INDEX_COLUMN)}
        self.names = list(self._fields)
        self.schema: Mapping[str, str] = formats.schema_of(arrow_schema)
        self.duplicates = formats.repeated([name for name in arrow_schema.names if not name.startswith(_INDEX_COLUMN)])
        self._nullable: dict[str, bool] = {}

    def frames(self, columns: Sequence[str], most: int) -> "Iterator[pd.DataFrame]":
        """Yield the columns in frames of at most `most` rows."""
        import pandas as pd

        if not columns:
            for start in range(0, self.count, most):
                yield pd.DataFrame(index=pd.RangeIndex(min(most, self.count - start)))
            return
        if self.count <= most:
            yield self._whole(columns).to_pandas(ignore_metadata=True)
            return
        # Before the first batch: a Parquet reader has one batch size, whoever reads on the side would change it.
        changed = frozenset(name for name in columns if self._changes_with_nulls(name))
        for table in self._batches(columns, most):
            yield _as_of_the_whole(table, changed)

    def divisible(self, columns: Iterable[str]) -> bool:
        """Categories differ from batch to batch, and so do the insides of nested values."""
        import pyarrow.types as types

        kinds = [self._fields[name] for name in columns]
        return not any(types.is_nested(kind) or types.is_dictionary(kind) for kind in kinds)

    def _changes_with_nulls(self, name: str) -> bool:
        """Say whether a null, which some batches may lack, makes pandas choose another type for a column."""
        import pyarrow.types as types

        kind = self._fields[name]
        return (types.is_integer(kind) or types.is_boolean(kind)) and self._has_nulls(name)

    def _has_nulls(self, name: str) -> bool:
        if name not in self._nullable:
            self._nullable[name] = self._look_for_nulls(name)
        return self._nullable[name]

    def _look_for_nulls(self, name: str) -> bool:
        return any(part.column(0).null_count for part in self._batches([name], _TABLE_ROWS))

    def _is_blank(self, name: str) -> bool:
        import pyarrow.compute as pc

        batches = self._batches([name], _PROBE_ROWS)
        return all(pc.all(pc.is_null(part.column(0), nan_is_null=True)).as_py() is not False for part in batches)

    def _whole(self, columns: Sequence[str]) -> Any:
        raise NotImplementedError

    def _batches(self, columns: Sequence[str], most: int) -> Iterator[Any]:
        raise NotImplementedError


class TableRows(_ArrowRows):
    """The rows of an Arrow table in memory; `duplicates` are column names that repeat."""

    def __init__(self, table: Any, duplicates: tuple[str, ...]) -> None:
        super().__init__(table.schema, table.num_rows)
        self.duplicates = duplicates
        self._table = table

    def is_blank(self, column: str) -> bool:
        """Say whether every value of a column is null."""
        return self._is_blank(column)

    def tables(self) -> Iterator[Any]:
        """Yield the table."""
        yield self._table

    def read_rest(self) -> None:
        """Do nothing: what is in memory is readable."""

    def _whole(self, columns: Sequence[str]) -> Any:
        return self._table.select(list(columns))

    def _batches(self, columns: Sequence[str], most: int) -> Iterator[Any]:
        table = self._whole(columns)
        return (table.slice(start, most) for start in range(0, self.count, most))


class ParquetRows(_ArrowRows):
    """The rows of a Parquet file: only the columns that are asked for are read.

    `file` is what `pyarrow.parquet.ParquetFile` takes. UnreadableDataError, naming `uri`, where it is damaged: at once,
    or when a damaged page is come upon.
    """

    def __init__(self, file: Any, uri: str) -> None:
        import pyarrow.parquet as pq

        self._uri = uri
        with self._reading():
            self._file = file if isinstance(file, pq.ParquetFile) else pq.ParquetFile(file)
            super().__init__(self._file.schema_arrow, self._file.metadata.num_rows)
        self._unread = set(self._fields)

    def is_blank(self, column: str) -> bool:
        """Ask the file's statistics, and where they do not tell, the values up to the first that is there."""
        import pyarrow.types as types

        known = self._statistics(column)
        if known is None:
            return self._is_blank(column)
        if not any(one.num_values for one in known):
            return True
        if not types.is_floating(self._fields[column]):
            return False
        # Of floats that are no numbers writers keep no minimum.
        return not any(one.has_min_max and one.min == one.min for one in known) and self._is_blank(column)

    def tables(self) -> Iterator[Any]:
        """Yield all columns in tables of about 64 MiB."""
        return self._batches(self.names, self._table_rows(self.names))

    def read_rest(self) -> None:
        """Decode what is left, a table at a time, and let go of it."""
        if rest := sorted(self._unread):
            for _ in self._batches(rest, self._table_rows(rest)):
                pass

    def _whole(self, columns: Sequence[str]) -> Any:
        self._unread.difference_update(columns)
        with self._reading():
            return self._file.read(columns=list(columns)).select(list(columns))

    def _batches(self, columns: Sequence[str], most: int) -> Iterator[Any]:
        import pyarrow as pa

        with self._reading():
            batches = self._file.iter_batches(most, columns=list(columns))
        while True:
            # Not around the loop: what becomes of a batch is not the file's fault.
            with self._reading():
                batch = next(batches, None)
            if batch is None:
                break
            yield pa.Table.from_batches([batch]).select(list(columns))
        # Only now: who stops half-way has not seen the rest.
        self._unread.difference_update(columns)

    def _look_for_nulls(self, name: str) -> bool:
        known = self._statistics(name)
        return super()._look_for_nulls(name) if known is None else any(one.null_count for one in known)

    def _statistics(self, name: str) -> list[Any] | None:
        """Return a flat column's statistics in each row group; None where one of them lacks the number of nulls."""
        metadata = self._file.metadata
        place = next((i for i in range(metadata.num_columns) if metadata.schema.column(i).path == name), None)
        if place is None:
            return None
        groups = (metadata.row_group(i).column(place) for i in range(metadata.num_row_groups))
        found = [one.statistics if one.is_stats_set else None for one in groups]
        return None if any(one is None or not one.has_null_count for one in found) else found

    def _table_rows(self, columns: Collection[str]) -> int:
        metadata = self._file.metadata
        size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        share = size * len(columns) / max(1, len(self._fields))
        return int(min(_TABLE_ROWS, max(1024, _TABLE_BYTES * max(1, self.count) / max(1, share))))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except pa.ArrowException as error:
            raise formats.not_parquet(self._uri, error) from error
        except OSError as error:
            # Arrow's own complaint about a damaged page is an OSError as well, but without a number.
            if type(error) is not OSError or error.errno is not None:
                raise
            raise formats.not_parquet(self._uri, error) from error


def _is_plain(column: "pd.Series[Any]") -> bool:
    import pandas as pd

    return not isinstance(column.dtype, pd.CategoricalDtype)


def _as_of_the_whole(table: Any, changed: frozenset[str]) -> "pd.DataFrame":
    """Turn a batch into a frame; integers and booleans in `changed` have a null in some batch."""
    import pyarrow as pa
    import pyarrow.types as types

    to_object = []
    for i, field in enumerate(table.schema):
        if field.name in changed and types.is_integer(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.float64(), safe=False))
        elif field.name in changed:
            to_object.append(field.name)
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame.astype(dict.fromkeys(to_object, object)) if to_object else frame
