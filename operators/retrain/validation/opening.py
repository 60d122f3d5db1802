"""From a source to rows: what is small is read at once, what is large stays where it is."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from retrain.data import formats, readers, storage, streaming, writers
from retrain.exceptions import UnreadableDataError
from retrain.records import DataRef
from retrain.validation.rows import FrameRows, ParquetRows, Rows, TableRows

# An object of up to so many bytes is fetched in one request, and its digest costs no second one.
SMALL_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Opened:
    """A source with its rows; `ref` is None for a DataFrame, `rows` is None where there is not a byte."""

    ref: DataRef | None
    rows: Rows | None


class Damaged(Exception):  # noqa: N818 - it never leaves this package
    """The content is not of its format, which is a verdict and no error: `what` says how it shows."""

    def __init__(self, ref: DataRef, what: str) -> None:
        super().__init__(what)
        self.ref = ref
        self.what = what


@contextmanager
def open_rows(source: readers.Source, *, digest: bool) -> Iterator[Opened]:
    """Open a source while the block runs; `digest` asks for that of its bytes where the source does not carry one.

    Raises Damaged, here or where the block comes upon the damage; UnreadableDataError (not there, not allowed),
    DigestMismatchError, StoreUnavailableError.
    """
    if not isinstance(source, DataRef | str | os.PathLike):
        yield Opened(None, FrameRows(source))
        return
    name, uri = readers.format_of(source), readers.location(source)
    ref = source if isinstance(source, DataRef) else DataRef(uri=uri, format=name)
    size = storage.info(uri).size
    if size <= SMALL_BYTES:
        with _small(ref, readers.fetch(source)) as opened:
            yield opened
        return
    ref = replace(ref, bytes=size)
    if digest and ref.digest is None:
        ref = replace(ref, digest=storage.fingerprint(uri).digest)
    with _large(ref) as opened:
        yield opened


@contextmanager
def _small(ref: DataRef, content: bytes) -> Iterator[Opened]:
    ref = replace(ref, digest=storage.digest_of(content), bytes=len(content))
    if not content:
        yield Opened(ref, None)
        return
    rows: Rows
    with _content(ref):
        if ref.format == formats.PARQUET:
            import pyarrow as pa

            rows = ParquetRows(pa.BufferReader(content), ref.uri)
        else:
            parsed = formats.parse(content, ref.format, ref.uri)
            rows = TableRows(parsed.table, parsed.duplicates)
        yield Opened(_described(ref, rows), rows)


@contextmanager
def _large(ref: DataRef) -> Iterator[Opened]:
    with _content(ref):
        if ref.format == formats.PARQUET:
            with streaming.open_parquet(ref) as file:
                rows: Rows = ParquetRows(file, ref.uri)
                yield Opened(_described(ref, rows), rows)
            return
        with tempfile.TemporaryDirectory(prefix="retrain-csv-") as folder, _spooled(ref, folder) as spooled:
            yield Opened(_described(ref, spooled), spooled)


@contextmanager
def _spooled(ref: DataRef, folder: str) -> Iterator[Rows]:
    """Turn a CSV into Parquet on this machine: it is parsed once, however often its columns are wanted."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, writer = os.path.join(folder, "rows.parquet"), None
    try:
        for frame in streaming.csv_batches(ref):
            table = writers.to_table(frame)
            if writer is None:
                writer = pq.ParquetWriter(path, _settled(table.schema))
            writer.write_table(table.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()
    with pa.memory_map(path) as mapped:
        yield ParquetRows(mapped, ref.uri)


def _settled(schema: Any) -> Any:
    """Give columns that are blank so far their type: of a CSV's, only yes and no with nulls come without one."""
    import pyarrow as pa

    fields = [one.with_type(pa.bool_()) if pa.types.is_null(one.type) else one for one in schema]
    return pa.schema(fields)


def _described(ref: DataRef, rows: Rows) -> DataRef:
    return replace(ref, rows=rows.count, schema=rows.schema)


@contextmanager
def _content(ref: DataRef) -> Iterator[None]:
    """Tell what is wrong with the content from what is wrong with the store or the caller."""
    try:
        yield
    except UnreadableDataError as error:
        # Not there and not allowed come with the store's own error.
        if isinstance(error.__cause__, FileNotFoundError | PermissionError):
            raise
        raise Damaged(ref, error.what) from error
