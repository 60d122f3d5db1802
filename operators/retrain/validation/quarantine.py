"""Set failing rows aside, and keep the rest: two objects that together hold every row exactly once."""

from collections.abc import Mapping, Sequence
from typing import Any

from retrain.data.writers import write_table
from retrain.records import DataRef

BROKEN_COLUMN = "_retrain_broken"
ROW_COLUMN = "_retrain_row"


def write_quarantined(table: Any, broken: Mapping[int, Sequence[str]], uri: str, *, whole: bool) -> DataRef:
    """Write the rows that break something (`whole`: all rows), each with what it broke and its position in the source.

    `broken` maps a position to the expectations that its row breaks. A row that is there only because the whole
    partition is set aside has an empty list.
    """
    import numpy as np
    import pyarrow as pa

    positions = np.arange(table.num_rows) if whole else np.array(sorted(broken), dtype="int64")
    reasons = [list(broken.get(position, ())) for position in positions.tolist()]
    aside = table.take(pa.array(positions))
    aside = aside.append_column(BROKEN_COLUMN, pa.array(reasons, pa.list_(pa.string())))
    aside = aside.append_column(ROW_COLUMN, pa.array(positions, pa.int64()))
    return write_table(aside, uri, partition=None, version=None)


def write_accepted(table: Any, broken: Mapping[int, Sequence[str]], uri: str, like: DataRef) -> DataRef:
    """Write the rows that break nothing, under the partition and version of `like`."""
    import numpy as np
    import pyarrow as pa

    keep = np.ones(table.num_rows, dtype=bool)
    keep[list(broken)] = False
    return write_table(table.filter(pa.array(keep)), uri, partition=like.partition, version=like.version)
