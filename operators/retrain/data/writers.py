"""Parquet out: equal rows give equal bytes, and a reader never sees half an object."""

import io
import os
from typing import TYPE_CHECKING, Any

from retrain.data import formats, storage
from retrain.exceptions import DataError
from retrain.records import DataRef

if TYPE_CHECKING:
    import pandas as pd


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


def parquet_bytes(table: Any) -> bytes:
    """Encode an Arrow table deterministically."""
    import pyarrow.parquet as pq

    # pandas' metadata names its own version and the index: neither is data.
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink, compression="zstd")
    return sink.getvalue()
