"""Objects that are larger than memory, in: Parquet opened in place, CSV in frames, both proven before they are used."""

import gzip
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from retrain.data import csv_types, formats, storage
from retrain.data._errors import reading
from retrain.data.readers import location, prove, select
from retrain.exceptions import DigestMismatchError, UnreadableDataError
from retrain.records import DataRef

if TYPE_CHECKING:
    import pandas as pd

ROWS = 100_000


@contextmanager
def open_parquet(source: DataRef | str | os.PathLike[str]) -> Iterator[Any]:
    """Open a Parquet object as a `pyarrow.parquet.ParquetFile` without loading it; it is closed with the block.

    A DataRef's digest is proven first, in one pass over the bytes. Raises DigestMismatchError where they differ, or
    where the object changes before the block ends; UnreadableDataError, also for damage that shows inside the block;
    StoreUnavailableError. Column names may repeat: that is for the caller to judge.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    uri = location(source)
    with proven(source) as stream:
        try:
            # Buffered ahead, the bytes of every row group would stay in memory until the end.
            yield pq.ParquetFile(stream, pre_buffer=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise formats.not_parquet(uri, error) from error
        except OSError as error:
            # Arrow's own complaint about a damaged page is an OSError as well, but without a number.
            if type(error) is not OSError or error.errno is not None:
                raise
            raise formats.not_parquet(uri, error) from error


def csv_batches(
    source: DataRef | str | os.PathLike[str], *, columns: Sequence[str] | None = None, rows: int = ROWS
) -> Iterator["pd.DataFrame"]:
    """Read a CSV in frames of at most `rows` rows, which together are what `read` returns, types included.

    The types are those of the whole file, so it is gone through before the first frame: its bytes are read three times,
    with the proof of a DataRef's digest four times. Nothing is yielded of a file that is damaged anywhere. A file
    without rows gives one empty frame. Raises as `open_parquet`, and MissingColumnError.
    """
    uri = location(source)
    with proven(source) as stream:
        for frame in _frames(stream, uri, columns, rows):
            yield frame if columns is None else select(frame, columns, uri)


def _frames(stream: BinaryIO, uri: str, columns: Sequence[str] | None, rows: int) -> Iterator["pd.DataFrame"]:
    import pandas as pd

    def text() -> BinaryIO:
        return _text(stream, uri)

    with formats.parsing_csv(uri):
        header = None if _is_blank(text()) else formats.csv_header(text())
    if header is None:
        yield pd.DataFrame()
        return
    formats.require_unique(formats.repeated(header), uri)
    wanted = [name for name in (header if columns is None else columns) if name in header]
    with formats.parsing_csv(uri):
        formats.refuse_ragged_rows(text(), len(header))
        types = csv_types.of_columns(text, wanted, rows)
    batches = csv_types.batches(text, types, rows)
    while True:
        # Not around the loop: what the consumer of a frame raises is not the file's fault.
        with formats.parsing_csv(uri):
            frame = next(batches, None)
        if frame is None:
            return
        yield frame


@contextmanager
def proven(source: DataRef | str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open an object, prove its digest, and prove when the block ends that it is still the same object.

    For readers that open the object again by its name. Raises as `open_parquet`.
    """
    uri = location(source)
    before = storage.info(uri)
    fs, path = storage.filesystem(uri)
    with reading(uri), fs.open(path, "rb", block_size=storage.CHUNK_BYTES) as stream:
        try:
            if isinstance(source, DataRef) and source.digest is not None:
                prove(source, _digest(stream))
            yield stream
        except Exception as error:
            if not isinstance(error, DigestMismatchError) and _changed(before):
                raise _replaced(uri) from error
            raise
        if _changed(before):
            raise _replaced(uri)


def _digest(stream: BinaryIO) -> str:
    hasher = hashlib.sha256()
    while chunk := stream.read(storage.CHUNK_BYTES):
        hasher.update(chunk)
    stream.seek(0)
    return f"sha256:{hasher.hexdigest()}"


def _changed(before: storage.Entry) -> bool:
    try:
        now = storage.info(before.uri)
    except UnreadableDataError:
        return True
    return (now.size, now.token) != (before.size, before.token)


def _replaced(uri: str) -> DigestMismatchError:
    return DigestMismatchError(
        f"{uri} changed while it was being read",
        expected="an object that stays as it is",
        remedy="Try again when it is written; declare `complete` so that unfinished objects are passed over",
    )


def _text(stream: BinaryIO, uri: str) -> BinaryIO:
    """Start an object's text again from its beginning, decompressed."""
    stream.seek(0)
    magic = stream.read(2)
    stream.seek(0)
    return cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if formats.is_gzip(magic, uri) else stream


def _is_blank(text: BinaryIO) -> bool:
    while chunk := text.read(storage.CHUNK_BYTES):
        if not formats.is_blank(chunk):
            return False
    return True
