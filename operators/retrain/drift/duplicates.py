"""Whole rows that come more than once: how many there are, and when they are more than chance and size explain.

How many rows repeat depends on how many rows there are: with few columns of few levels nearly all do. So the counts of
two tables are not compared, but the current one with the most that rows like the reference's could give at its size.
Of rows drawn independently from any distribution, the number of repeated rows is a self-bounding function; its tails
are those of Boucheron, Lugosi and Massart (2009), "On concentration of self-bounding functions", theorem 1 with a = 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Chance, on an unchanged table, of so many repeated rows. No assumption about the rows stands behind it.
IMPLAUSIBLE = 1e-6


@dataclass(frozen=True)
class Duplicates:
    """Repeated rows among those that were looked at.

    `surplus` counts the rows beyond the first of each content, `contents` the contents that come more than once.
    `share` is the share of all contents that was looked at, chosen by a hash of the row (1.0: all of them), so that
    rows that are equal are looked at together. `within` is how many rows were looked through as one table; the parts of
    a merged profile are not searched for each other's rows.
    """

    surplus: int
    contents: int
    within: int
    share: float = 1.0

    @classmethod
    def of_counts(cls, counts: "NDArray[np.int64]", rows: int, share: float = 1.0) -> "Duplicates":
        """Count from how often each content comes."""
        repeated = counts[counts > 1]
        return cls(int(repeated.sum() - len(repeated)), len(repeated), rows, share)

    @property
    def rows(self) -> int:
        """How many rows could be dropped without losing a content; an estimate where `share` is not 1."""
        return round(self.surplus / self.share)

    def merge(self, other: "Duplicates") -> "Duplicates":
        """Count both tables' rows, each within itself."""
        share = min(self.share, other.share)
        scaled = [(part.surplus * share / part.share, part.contents * share / part.share) for part in (self, other)]
        filled = [part.within for part in (self, other) if part.within]
        surplus, contents = (round(sum(part[i] for part in scaled)) for i in (0, 1))
        return Duplicates(surplus, contents, min(filled, default=0), share)


def excess(reference: Sequence[tuple[Duplicates, int]], current: Duplicates, rows: int) -> float:
    """Return the share of the current `rows` that repeat others and that no reference explains; 0.0 where none does.

    `reference` holds the counts of tables that are as they should be, each with its number of rows.
    """
    if not rows or not reference:
        return 0.0
    allowed = max(_allowed(known, known_rows, current, rows) for known, known_rows in reference)
    whole = current.share == 1.0 and all(known.share == 1.0 for known, _ in reference)
    found = current.surplus if whole else current.contents
    beyond = found - allowed
    if beyond <= 0 or math.exp(-(beyond**2) / (4 * allowed + 5 * beyond / 3)) >= IMPLAUSIBLE:
        return 0.0
    natural = max(known.rows / max(1, known_rows) for known, known_rows in reference)
    return max(0.0, current.rows / rows - natural)


def _allowed(known: Duplicates, known_rows: int, current: Duplicates, rows: int) -> float:
    """Bound the expected count in the current table, at a confidence of 1 - IMPLAUSIBLE.

    Surplus rows are compared where all contents were looked at on both sides. Otherwise contents are, each of which
    counts once: whether the hash of one very frequent row is among those looked at decides nothing then.
    """
    whole = known.share == current.share == 1.0
    log = math.log(1 / IMPLAUSIBLE)
    expected = (math.sqrt(log) + math.sqrt(log + (known.surplus if whole else known.contents))) ** 2 / known.share
    block = min(known.within, known_rows)
    if block < 2:
        return math.inf
    blocks = known_rows / block
    if rows > block:
        # As pairs grow, which no distribution exceeds.
        return expected / blocks * (rows * (rows - 1)) / (block * (block - 1)) * current.share
    return expected / blocks * (rows / block if whole else 1.0) * current.share
