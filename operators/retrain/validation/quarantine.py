"""Set failing rows aside, and keep the rest: two objects that together hold every row exactly once."""

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrain.data import formats, readers, storage
from retrain.data._errors import writing
from retrain.data.writers import write_table
from retrain.exceptions import DataError, UnreadableDataError
from retrain.records import DataRef

BROKEN_COLUMN = "_retrain_broken"
ROW_COLUMN = "_retrain_row"
_PII = b"retrain.pii"


def write_quarantined(
    table: Any, broken: Mapping[int, Sequence[str]], uri: str, *, whole: bool, pii: Sequence[str] = ()
) -> DataRef:
    """Write the rows that break something (`whole`: all rows), each with what it broke and its position in the source.

    `broken` maps a position to the expectations that its row breaks. A row that is there only because the whole
    partition is set aside has an empty list. The names of the columns of `pii` are kept with the rows, so that whoever
    lists them knows what not to show.
    """
    import numpy as np
    import pyarrow as pa

    positions = np.arange(table.num_rows) if whole else np.array(sorted(broken), dtype="int64")
    reasons = [list(broken.get(position, ())) for position in positions.tolist()]
    aside = table.take(pa.array(positions))
    aside = aside.append_column(BROKEN_COLUMN, pa.array(reasons, pa.list_(pa.string())))
    aside = aside.append_column(ROW_COLUMN, pa.array(positions, pa.int64()))
    content = quarantine_bytes(aside, pii)
    return DataRef(
        uri=storage.write_bytes(uri, content),
        format=formats.PARQUET,
        digest=storage.digest_of(content),
        rows=aside.num_rows,
        bytes=len(content),
        schema=formats.schema_of(aside.schema),
    )


def quarantine_bytes(aside: Any, pii: Sequence[str]) -> bytes:
    """Encode rows that were set aside deterministically, with the names of the columns that nobody is to be shown."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    metadata = {_PII: json.dumps(sorted(pii)).encode()} if pii else None
    pq.write_table(aside.replace_schema_metadata(metadata), sink, compression="zstd")
    return sink.getvalue()


def write_accepted(table: Any, broken: Mapping[int, Sequence[str]], uri: str, like: DataRef) -> DataRef:
    """Write the rows that break nothing, under the partition and version of `like`."""
    import numpy as np
    import pyarrow as pa

    keep = np.ones(table.num_rows, dtype=bool)
    keep[list(broken)] = False
    return write_table(table.filter(pa.array(keep)), uri, partition=like.partition, version=like.version)


@dataclass(frozen=True)
class Aside:
    """Rows that were set aside: the rows as they were, their positions in the source, and what each broke.

    `table` is an Arrow table in the order of `positions`; `pii` are the columns that nobody is to be shown; `digest`
    is that of the object.
    """

    table: Any
    positions: tuple[int, ...]
    broken: tuple[tuple[str, ...], ...]
    pii: tuple[str, ...]
    digest: str


def read_quarantined(uri: str) -> Aside:
    """Read what `write_quarantined` wrote; UnreadableDataError where the object is not there or something else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = storage.read_bytes(uri)
    try:
        table = pq.read_table(io.BytesIO(content))
        positions = tuple(table.column(ROW_COLUMN).to_pylist())
        broken = tuple(tuple(reasons or ()) for reasons in table.column(BROKEN_COLUMN).to_pylist())
        pii = tuple(json.loads((table.schema.metadata or {}).get(_PII, b"[]")))
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise UnreadableDataError(f"{uri} holds no rows that were set aside: {error}") from error
    rows = table.drop_columns([BROKEN_COLUMN, ROW_COLUMN]).replace_schema_metadata(None)
    return Aside(rows, positions, broken, pii, storage.digest_of(content))


def erase_quarantined(uri: str) -> None:
    """Delete an object with rows that were set aside; one that is not there is no error."""
    fs, path = storage.filesystem(uri)
    with writing(uri), contextlib.suppress(FileNotFoundError):
        fs.rm_file(path)


def rebuild(accepted: DataRef | None, aside: Aside) -> Any:
    """Return the partition as an Arrow table as it was before rows were set aside: all rows, in their order.

    DataError where the two do not make up a partition: a position twice, or beyond the number of rows.
    """
    import numpy as np
    import pyarrow as pa

    parts = [aside.table]
    if accepted is not None:
        parts.insert(0, formats.parse(readers.fetch(accepted), accepted.format, accepted.uri).table)
    total = sum(part.num_rows for part in parts)
    positions = np.array(aside.positions, dtype="int64")
    mine = np.zeros(total, dtype=bool)
    inside = bool(((positions >= 0) & (positions < total)).all())
    if inside:
        mine[positions] = True
    if not inside or int(mine.sum()) != len(positions):
        raise DataError(
            f"{len(positions)} rows were set aside and {total - len(positions)} accepted, but their positions do not "
            f"make up {total} rows",
            expected="each position from 0 to the number of rows once",
            remedy="Deliver the partition anew",
        )
    order = np.empty(total, dtype="int64")
    order[np.concatenate([np.flatnonzero(~mine), positions])] = np.arange(total)
    try:
        together = pa.concat_tables([part.replace_schema_metadata(None) for part in parts], promote_options="default")
    except pa.ArrowException as error:
        raise DataError(
            f"the rows set aside and the accepted ones have other columns: {error}", remedy="Deliver the partition anew"
        ) from error
    return together.take(pa.array(order))
