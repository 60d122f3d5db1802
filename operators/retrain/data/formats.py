"""Parquet and CSV from bytes to tables: every reader's own error becomes one that names the file.

All work on bytes that are already here, so that whatever fails is the content and never the store.
"""

import csv
import gzip
import io
import itertools
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from retrain.exceptions import UnreadableDataError

if TYPE_CHECKING:
    import pandas as pd

_FIELD_LIMIT = 2**31 - 1
PARQUET, CSV = "parquet", "csv"
_EXTENSIONS = {".parquet": PARQUET, ".pq": PARQUET, ".csv": CSV, ".csv.gz": CSV}
GZIP_MAGIC = b"\x1f\x8b"
GZIP_ERRORS = (OSError, EOFError, zlib.error)
_BLANK = b"\xef\xbb\xbf \t\r\n"
_FOOTER_BYTES = 8  # the length of the footer, then the magic "PAR1"
_INDEX_COLUMN = "__index_level_"


@dataclass(frozen=True)
class Content:
    """A parsed object: an Arrow table (column names may repeat) and the names that do."""

    table: Any
    duplicates: tuple[str, ...] = ()

    def frame(self) -> "pd.DataFrame":
        """Return a DataFrame with every column of the file and an index of 0..n-1."""
        # What pandas wrote about its index would otherwise take columns away from the frame.
        frame: pd.DataFrame = self.table.to_pandas(ignore_metadata=True)
        return frame


def format_of(uri: str, declared: str | None = None) -> str:
    """Return `parquet` or `csv`: as declared, else by extension; UnreadableDataError where neither tells."""
    if declared is not None:
        if declared not in (PARQUET, CSV):
            raise UnreadableDataError(f"{uri} is declared as {declared!r}", expected=f"{PARQUET!r} or {CSV!r}")
        return declared
    lowered = uri.lower()
    for extension, name in _EXTENSIONS.items():
        if lowered.endswith(extension):
            return name
    raise UnreadableDataError(
        f"The name of {uri} does not tell its format",
        expected=" or ".join(sorted(_EXTENSIONS)),
        remedy="Rename it, or pass format='parquet' or format='csv'",
    )


def parse(content: bytes, name: str, uri: str, columns: Sequence[str] | None = None) -> Content:
    """Parse an object's bytes in format `name`; UnreadableDataError where they are not that.

    `columns` that are not in the data are left out: the caller knows whether that matters. A CSV of zero bytes is a
    table of no columns and no rows.
    """
    return _parse_parquet(content, uri, columns) if name == PARQUET else _parse_csv(content, uri, columns)


def parquet_footer(tail: bytes, uri: str) -> tuple[int, dict[str, str]]:
    """Return rows and schema from the end of a Parquet file, without reading a value."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(pa.BufferReader(tail))
        arrow = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise not_parquet(uri, error) from error
    return int(metadata.num_rows), schema_of(arrow)


def footer_size(tail: bytes) -> int:
    """Return how many of a Parquet file's last bytes `parquet_footer` needs, as these last bytes say."""
    return int.from_bytes(tail[-_FOOTER_BYTES:-4], "little") + _FOOTER_BYTES


def schema_of(arrow_schema: Any) -> dict[str, str]:
    """Return column names and Arrow type names, in order, without pandas' stored index."""
    return {field.name: str(field.type) for field in arrow_schema if not field.name.startswith(_INDEX_COLUMN)}


def repeated(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that occur more than once, in order."""
    return tuple(name for name, count in Counter(names).items() if count > 1)


def _parse_parquet(content: bytes, uri: str, columns: Sequence[str] | None) -> Content:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # ParquetFile and not read_table: the latter refuses repeated names before anybody can report them.
        file = pq.ParquetFile(pa.BufferReader(content))
        names = [name for name in file.schema_arrow.names if not name.startswith(_INDEX_COLUMN)]
        wanted = None if columns is None else [name for name in columns if name in names]
        table = file.read(columns=wanted if wanted is not None else None)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise not_parquet(uri, error) from error
    stored_index = [name for name in table.column_names if name.startswith(_INDEX_COLUMN)]
    return Content(table.drop_columns(stored_index) if stored_index else table, repeated(names))


def _parse_csv(content: bytes, uri: str, columns: Sequence[str] | None) -> Content:
    import pandas as pd
    import pyarrow as pa

    text = _decompressed(content, uri)
    if is_blank(text):
        return Content(pa.table({}))
    with parsing_csv(uri):
        header = csv_header(io.BytesIO(text))
        duplicates = repeated(header)
        refuse_ragged_rows(io.BytesIO(text), len(header))
        frame = pd.read_csv(io.BytesIO(text), **csv_options())
        if columns is not None:
            frame = frame[[name for name in columns if name in frame.columns]]
        return Content(pa.Table.from_pandas(frame, preserve_index=False), duplicates)


def csv_options() -> dict[str, Any]:
    """Return what pandas is told of every CSV: no column is an index, no type is guessed by pieces."""
    return {"encoding": "utf-8-sig", "index_col": False, "low_memory": False}


@contextmanager
def parsing_csv(uri: str) -> Iterator[None]:
    """Turn what the parsers raise into UnreadableDataError."""
    import pandas as pd
    import pyarrow as pa

    try:
        with warnings.catch_warnings():
            # A row longer than the header is only a warning to pandas, which then drops its last field.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except (ValueError, csv.Error, pd.errors.ParserWarning, pa.ArrowException, OverflowError) as error:
        raise UnreadableDataError(
            f"{uri} is not readable as CSV: {type(error).__name__}: {_first_line(error)}",
            expected="UTF-8 text, comma-separated, one header line, as many fields in every row",
            remedy="Export it again, or set it aside",
        ) from error
    except GZIP_ERRORS as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        raise not_gzip(uri, error) from error


def is_blank(text: bytes) -> bool:
    """Say whether there is nothing in a text but a byte order mark and white space."""
    return not text.strip(_BLANK)


def csv_header(stream: BinaryIO) -> list[str]:
    """Return the first record of a CSV, which names its columns."""
    lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        return next((row for row in csv.reader(lines) if row), [])
    finally:
        lines.detach()  # else the stream would be closed with it


def refuse_ragged_rows(stream: BinaryIO, fields: int) -> None:
    """Raise ValueError for a row with more or fewer fields than the header.

    pandas fills what is missing with nulls, and drops what is too much in the first rows of a chunk, both in silence.
    As it does, a comma at the end of all lines is let pass.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))  # of the process; pandas knows no limit
    lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        rows = (row for row in csv.reader(lines) if row)
        next(rows, None)
        first = next(rows, None)
        if first is None:
            return
        trailing = len(first) == fields + 1
        for number, row in enumerate(itertools.chain([first], rows), start=1):
            if len(row) != fields and not (trailing and len(row) == fields + 1 and not row[-1]):
                raise ValueError(f"Expected {fields} fields in row {number}, saw {len(row)}")
    finally:
        lines.detach()  # else the stream would be closed with it


def is_gzip(magic: bytes, uri: str) -> bool:
    """Tell by its first two bytes whether an object is gzip; UnreadableDataError where only its name says so."""
    if magic.startswith(GZIP_MAGIC):
        return True
    if magic and uri.lower().endswith(".gz"):
        raise UnreadableDataError(f"{uri} is named .gz and is not gzip", expected="gzip-compressed CSV")
    return False


def _decompressed(content: bytes, uri: str) -> bytes:
    if not is_gzip(content[:2], uri):
        return content
    try:
        return gzip.decompress(content)
    except GZIP_ERRORS as error:
        raise not_gzip(uri, error) from error


def not_gzip(uri: str, error: Exception) -> UnreadableDataError:
    """Say that an object cannot be decompressed."""
    return UnreadableDataError(
        f"{uri} cannot be decompressed: {type(error).__name__}: {_first_line(error)}",
        expected="a complete gzip stream",
        remedy="It may still be in transfer, or was cut off: deliver it again",
    )


def require_unique(duplicates: Sequence[str], uri: str) -> None:
    """Raise UnreadableDataError where there are repeated column names: which of them is meant, nobody can say."""
    if duplicates:
        raise UnreadableDataError(
            f"{uri} has columns of the same name: {list(duplicates)}",
            expected="every column name once",
            remedy="Rename or drop the repeated columns where the file is made",
        )


def not_parquet(uri: str, error: Exception) -> UnreadableDataError:
    """Say that an object is not the Parquet that it was taken for."""
    return UnreadableDataError(
        f"{uri} is not readable as Parquet: {type(error).__name__}: {_first_line(error)}",
        expected="a complete Parquet file, from magic number to footer",
        remedy="It may still be in transfer, or was cut off: deliver it again",
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
