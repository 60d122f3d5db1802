"""Values beyond all that the reference ever held: by a margin, and in a number that chance does not explain.

How many of the current rows lie beyond the reference's extremes does not depend on the distribution: the k largest of
all rows are all current ones with probability C(m, k) / C(n + m, k). So a heavy tail alone is never an alarm. The
margin, a quarter of the reference's interquartile range, leaves out the small shift at a hard edge that nobody minds.
"""

import math
from collections.abc import Sequence

from retrain.drift.profiles import ColumnProfile
from retrain.drift.statistics import Finding

_MARGIN = 0.25
# Of the whole range, where half of the rows or more hold one value.
_MARGIN_OF_RANGE = 0.05


def beyond_range(reference: ColumnProfile, current: ColumnProfile) -> Finding:
    """Test whether rows lie beyond the reference's range; the effect is their share of the current rows."""
    outside = _outside(current, [_reach(reference)])
    share = sum(outside) / current.values
    rows = current.evidence_rows
    counts = [int(count * rows / current.values) for count in outside]
    p_value = min(1.0, 2 * min(_p_all_current(count, reference.values, rows) for count in counts))
    return Finding("beyond_range", share, p_value)


def beyond_others(past: Sequence[ColumnProfile], current: ColumnProfile) -> list[float]:
    """Return the share of each past column's rows beyond all other past ones and, last, of the current one's."""
    reaches = [_reach(column) for column in past]
    shares = []
    for index, column in enumerate(past):
        others = reaches[:index] + reaches[index + 1 :]
        shares.append(sum(_outside(column, others)) / column.values)
    return [*shares, sum(_outside(current, reaches)) / current.values]


def _reach(column: ColumnProfile) -> tuple[float, float, float]:
    """Return the least value, the largest and the margin: reading a sketch once is enough, however many ask."""
    return (*_ends(column), _margin(column))


def _outside(column: ColumnProfile, known: Sequence[tuple[float, float, float]]) -> tuple[int, int]:
    """Count the rows certainly below and above all that is known, by more than the margin."""
    if not known:
        return 0, 0
    lows, highs, margins = zip(*known, strict=True)
    low, high = min(lows) - max(margins), max(highs) + max(margins)
    least, most = _ends(column)
    if column.minimum is not None and low <= least and most <= high:
        return 0, 0
    below = above = 0
    values, at, between = column.sketch.values, column.sketch.at, column.sketch.below
    for index, value in enumerate(values):
        before = values[index - 1] if index else value
        below += (at[index] if value < low else 0) + (between[index] if value <= low else 0)
        above += (at[index] if value > high else 0) + (between[index] if before >= high else 0)
    return below, above


def _ends(column: ColumnProfile) -> tuple[float, float]:
    ends = column.minimum, column.maximum
    return (0.0, 0.0) if ends[0] is None or ends[1] is None else (float(ends[0]), float(ends[1]))


def _margin(column: ColumnProfile) -> float:
    quarters: list[float] = []
    seen, rows = 0, column.sketch.rows
    for value, at, below in zip(column.sketch.values, column.sketch.at, column.sketch.below, strict=True):
        seen += at + below
        while len(quarters) < 2 and seen >= (0.25, 0.75)[len(quarters)] * rows:
            quarters.append(value)
    low, high = _ends(column)
    spread = quarters[1] - quarters[0] if len(quarters) == 2 else 0.0
    return _MARGIN * spread if spread > 0 else _MARGIN_OF_RANGE * (high - low)


def _p_all_current(count: int, reference: int, current: int) -> float:
    """Probability that the `count` largest of all rows are all of the current side."""
    if count <= 0:
        return 1.0
    if count > current:
        return 0.0
    inside = math.lgamma(current + 1) - math.lgamma(current - count + 1)
    return math.exp(inside + math.lgamma(reference + current - count + 1) - math.lgamma(reference + current + 1))
