"""Parquet out: equal rows give equal bytes, and a reader never sees half an object."""

import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from retrain.data import formats, storage
from retrain.data.outgoing import open_write
from retrain.exceptions import DataError
from retrain.records import DataRef

if TYPE_CHECKING:
    import pandas as pd

_COMPRESSION = "zstd"


def write_parquet(
    frame: "pd.DataFrame",
    uri: str | os.PathLike[str],
    *,
    partition: str | None = None,
    version: int | None = None,
) -> DataRef:
    """Write a frame (without its index) as zstd Parquet, atomically, and return its reference.

    Equal frames give equal bytes, hence equal digests, under one version of pyarrow. Raises DataError where a column
    has no Parquet type, such as numbers and text mixed, and StoreUnavailableError.
    """
    return write_table(to_table(frame), uri, partition=partition, version=version)


def to_table(frame: "pd.DataFrame") -> Any:
    """Turn a frame into an Arrow table without its index."""
    import pyarrow as pa

    if twice := formats.repeated([str(name) for name in frame.columns]):
        raise DataError(f"The frame has columns of the same name: {list(twice)}", expected="every column name once")
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise DataError(
            f"The frame cannot be written as Parquet: {error}",
            expected="one type per column",
            remedy="Cast the column that is named",
        ) from error


def write_table(table: Any, uri: str | os.PathLike[str], *, partition: str | None, version: int | None) -> DataRef:
    """Write an Arrow table as `write_parquet` does."""
    content = parquet_bytes(table)
    return DataRef(
        uri=storage.write_bytes(uri, content),
        format=formats.PARQUET,
        partition=partition,
        version=version,
        digest=storage.digest_of(content),
        rows=table.num_rows,
        bytes=len(content),
        schema=formats.schema_of(table.schema),
    )


def write_batches(
    batches: Iterable[Any], schema: Any, uri: str | os.PathLike[str], *, partition: str | None = None
) -> DataRef:
    """Write Arrow batches (or tables) of one schema as Parquet, one row group each, holding no more than one of them.

    The object appears when all are written. Equal batches give equal bytes. Raises StoreUnavailableError.
    """
    import pyarrow.parquet as pq

    rows = 0
    plain = schema.remove_metadata()
    with open_write(uri) as stream, pq.ParquetWriter(stream, plain, compression=_COMPRESSION) as writer:
        for batch in batches:
            writer.write(batch.replace_schema_metadata(None))
            rows += batch.num_rows
    return DataRef(
        uri=storage.normalise(uri),
        format=formats.PARQUET,
        partition=partition,
        digest=stream.digest,
        rows=rows,
        bytes=stream.size,
        schema=formats.schema_of(plain),
    )


def parquet_bytes(table: Any) -> bytes:
    """Encode an Arrow table deterministically."""
    import pyarrow.parquet as pq

    # pandas' metadata names its own version and the index: neither is data.
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink, compression=_COMPRESSION)
    return sink.getvalue()
