"""Whole rows that come more than once: how many there are, and when they are more than chance and size explain.

How many rows repeat depends on how many rows there are: with few columns of few levels nearly all do. So the counts of
two tables are not compared, but the current one with the most that rows like the reference's could give at its size.
Two bounds that hold for independent rows of any distribution, and either of them may prove a surge:

contents   Whether each content comes more than once is negatively associated over the contents (Joag-Dev and Proschan
           1983), so their number has Chernoff's tails. More rows repeat more contents, at most as pairs grow.
surplus    The rows beyond the first of each content are a self-bounding function: Boucheron, Lugosi and Massart (2009),
           theorem 1 with a = 2. Their share only grows with the number of rows. Needs all contents on both sides.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Chance, on an unchanged table, of so many repeated rows: two bounds, each of them with two sides.
IMPLAUSIBLE = 1e-4
_LOG = math.log(4 / IMPLAUSIBLE)


@dataclass(frozen=True)
class Duplicates:
    """Repeated rows among those that were looked at.

    `surplus` counts the rows beyond the first of each content, `contents` the contents that come more than once.
    `share` is the share of all contents that was looked at, chosen by a hash of the row (1.0: all of them), so that
    rows that are equal are looked at together. `within` is how many rows were looked through as one table; the parts of
    a merged profile are not searched for each other's rows. `columns` stands for the columns that rows were compared
    in: with a column more rows repeat less often, so that only counts of the same columns can be compared.
    """

    surplus: int
    contents: int
    within: int
    share: float = 1.0
    columns: str = ""

    @classmethod
    def of_counts(cls, counts: "NDArray[np.int64]", rows: int, share: float = 1.0) -> "Duplicates":
        """Count from how often each content comes."""
        repeated = counts[counts > 1]
        return cls(int(repeated.sum() - len(repeated)), len(repeated), rows, share)

    @classmethod
    def of_hashes(cls, hashes: "NDArray[np.uint64]", rows: int, share: float = 1.0) -> "Duplicates":
        """Count from one hash for each row that was looked at."""
        import numpy as np

        return cls.of_counts(np.unique(hashes, return_counts=True)[1], rows, share)

    @property
    def rows(self) -> int:
        """How many rows could be dropped without losing a content; an estimate where `share` is not 1."""
        return round(self.surplus / self.share)

    def of_columns(self, names: Iterable[str]) -> "Duplicates":
        """Return the counts marked with the columns they are about."""
        return replace(self, columns=hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16])

    def merge(self, other: "Duplicates") -> "Duplicates | None":
        """Count both tables' rows, each within itself; None where they are about other columns."""
        if self.columns != other.columns:
            return None
        share = min(self.share, other.share)
        scaled = [(part.surplus * share / part.share, part.contents * share / part.share) for part in (self, other)]
        filled = [part.within for part in (self, other) if part.within]
        surplus, contents = (round(sum(part[i] for part in scaled)) for i in (0, 1))
        return Duplicates(surplus, contents, min(filled, default=0), share, self.columns)


def excess(reference: Sequence[tuple[Duplicates, int]], current: Duplicates, rows: int) -> float:
    """Return the share of the current `rows` that repeat others and that no reference explains; 0.0 where none does.

    `reference` holds the counts of tables that are as they should be, each with its number of rows.
    """
    if not rows or not reference:
        return 0.0
    tables = [(known, min(known.within, known_rows), known_rows) for known, known_rows in reference]
    if any(block < 2 for _, block, _ in tables):
        return 0.0
    whole = current.share == 1.0 and all(known.share == 1.0 for known, _ in reference)
    most = max(_contents(known, block, rows) for known, block, _ in tables) * current.share
    proven = current.contents > most and _chernoff(current.contents, most) > _LOG
    if whole and not proven:
        most = max(_surplus(known, block, known_rows, rows) for known, block, known_rows in tables)
        beyond = current.surplus - most
        proven = beyond > 0 and beyond**2 / (4 * most + 5 * beyond / 3) > _LOG
    natural = max(known.rows / max(1, known_rows) for known, known_rows in reference)
    return max(0.0, current.rows / rows - natural) if proven else 0.0


def _contents(known: Duplicates, block: int, rows: int) -> float:
    """Bound the expected number of contents that come more than once among `rows` rows."""
    low, high = float(known.contents), known.contents + 3 * _LOG + 3 * math.sqrt(_LOG * (known.contents + 1))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _chernoff(known.contents, middle) > _LOG else (middle, high)
    return high / known.share * max(1.0, _pairs(rows) / _pairs(block))


def _surplus(known: Duplicates, block: int, known_rows: int, rows: int) -> float:
    """Bound the expected number of surplus rows among `rows` rows."""
    expected = (math.sqrt(_LOG) + math.sqrt(_LOG + known.surplus)) ** 2 * block / known_rows
    return expected * (_pairs(rows) / _pairs(block) if rows > block else rows / block)


def _chernoff(count: float, expected: float) -> float:
    """Return the exponent of Chernoff's bound on a count so far from what is expected."""
    return (count * math.log(count / expected) if count else 0.0) - count + expected


def _pairs(rows: int) -> float:
    return rows * (rows - 1) / 2
