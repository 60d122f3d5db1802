"""Rows of Parquet files that repeat others whole, found by hashes of few columns at a time, in bounded memory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retrain.drift.duplicates import Duplicates
from retrain.drift.tables import GROUP, SKETCH_ROWS, share_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HASHES = 2**64
_MIX = 0x9E3779B97F4A7C15


def up_to(share: float) -> str:
    """Return the condition that a hash `h` is among the lowest `share` of all."""
    return "true" if share >= 1 else f"h <= {int(share * _HASHES)}"


def count_repeats(connection: Any, relation: str, place: str, columns: Sequence[str], rows: int) -> Duplicates | None:
    """Count repeated rows among the contents whose hash is small, about `SKETCH_ROWS` at most.

    `columns` are quoted, `place` is an expression for where a row is. Of a wide table it is the hash of the first
    columns that chooses, and only rows that repeat in these are looked at in the others; None where these are too many.
    """
    share = share_for(SKETCH_ROWS, rows)
    first = f"SELECT hash({', '.join(columns[:GROUP])}) AS h, {place} AS place FROM {relation}"  # noqa: S608
    query = f"SELECT h, count(*) AS n FROM ({first}) WHERE {up_to(share)} GROUP BY h HAVING n > 1"  # noqa: S608
    repeated = connection.sql(query).to_arrow_table()
    counts = repeated["n"].to_numpy()
    if len(columns) <= GROUP or not len(counts):
        return Duplicates.of_counts(counts, rows, share)
    if counts.sum() > SKETCH_ROWS:
        return None
    connection.register("repeated", repeated)
    connection.execute(f"CREATE TEMP TABLE looked_at AS {first} WHERE h IN (SELECT h FROM repeated)")  # noqa: S608
    hashes = _hashes(connection, "SELECT place, h FROM looked_at")
    for start in range(GROUP, len(columns), GROUP):
        more = f"SELECT {place} AS place, hash({', '.join(columns[start : start + GROUP])}) AS h FROM {relation}"  # noqa: S608
        found = _hashes(connection, f"SELECT place, h FROM ({more}) WHERE place IN (SELECT place FROM looked_at)")  # noqa: S608
        hashes = hashes * _MIX + found
    return Duplicates.of_hashes(hashes, rows, share)


def _hashes(connection: Any, query: str) -> "NDArray[np.uint64]":
    import numpy as np

    found = connection.sql(query).to_arrow_table()
    hashes: NDArray[np.uint64] = found["h"].to_numpy()[np.argsort(found["place"].to_numpy())]
    return hashes
