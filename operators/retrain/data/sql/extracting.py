"""A partition's rows out of a table and into a Parquet object, whose digest is then what identifies them."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from retrain.data import storage
from retrain.data.outgoing import upload
from retrain.data.scan import Found
from retrain.data.sql.engines import querying
from retrain.data.sql.tables import Resolved, resolve
from retrain.data.sql.values import Field, field_of
from retrain.data.writers import write_batches
from retrain.exceptions import UnreadableDataError
from retrain.records import DataRef

ROWS = 65_536


def extract(found: Found, uri: str | os.PathLike[str], *, rows: int = ROWS) -> DataRef:
    """Write the rows of a partition as Parquet to `uri`, `rows` at a time, and return the reference.

    The rows are ordered by the primary key, without one by all columns, so that equal rows give equal bytes under one
    version of pyarrow and the same `rows`. They are read in one statement, which sees one state of the table. Raises
    UnreadableDataError where there are none any more, or a value that its column's type cannot hold;
    StoreUnavailableError.
    """
    source = resolve(found.uri)
    fields = [field_of(column, source.engine.dialect) for column in source.table.columns]
    import pyarrow as pa

    schema = pa.schema([(field.name, field.type) for field in fields])
    return write_batches(_batches(source, fields, schema, rows), schema, uri, partition=found.partition)


def extract_into(found: Found, folder: str | os.PathLike[str]) -> DataRef:
    """Write the rows of a partition to `<folder>/<partition>-<digest>.parquet`, unless they are there already.

    Named by its content, the object is never written over: a reference to an earlier state of the rows stays true. The
    bytes gather in a temporary file of this machine. Raises as `extract`.
    """
    with tempfile.TemporaryDirectory(prefix="retrain-") as temporary:
        file = os.path.join(temporary, "rows.parquet")
        ref = extract(found, file)
        name = quote(found.partition, safe="=+:,@ ")
        if len(name) > 120:
            name = hashlib.sha256(name.encode()).hexdigest()
        uri = storage.join(folder, f"{name}-{str(ref.digest).removeprefix('sha256:')[:32]}.parquet")
        if not storage.exists(uri):
            upload(file, uri)
    return replace(ref, uri=uri)


def _batches(source: Resolved, fields: list[Field], schema: Any, rows: int) -> Iterator[Any]:
    import pyarrow as pa

    uri = source.uri
    key = list(source.table.primary_key.columns) or list(source.table.columns)
    query = source.select(*(field.selected for field in fields)).order_by(*(_orderable(column) for column in key))
    empty = True
    with querying(uri), source.engine.connect() as connection:
        for chunk in connection.execution_options(yield_per=rows).execute(query).partitions():
            empty = False
            columns = [field.array(values, uri) for field, values in zip(fields, zip(*chunk, strict=True), strict=True)]
            yield pa.Table.from_arrays(columns, schema=schema)
    if empty:
        raise UnreadableDataError(
            f"{uri} has no rows",
            expected="the rows that were there when the table was listed",
            remedy="Check whether they were moved or deleted",
        )


def _orderable(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    plain = (sa.Integer, sa.Numeric, sa.Float, sa.String, sa.Date, sa.DateTime, sa.Time, sa.Boolean, sa.Uuid)
    return column if isinstance(column.type, plain) else sa.cast(column, sa.Text)
