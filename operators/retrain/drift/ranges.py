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
    outside = _outside(current, [reference])
    share = sum(outside) / current.values
    rows = current.evidence_rows
    counts = [int(count * rows / current.values) for count in outside]
    p_value = min(1.0, 2 * min(_p_all_current(count, reference.values, rows) for count in counts))
    return Finding("beyond_range", share, p_value)


def beyond_others(past: Sequence[ColumnProfile], current: ColumnProfile) -> list[float]:
    """Return the share of each past column's rows beyond all other past ones and, last, of the current one's."""
    shares = []
    for index, column in enumerate(past):
        others = [other for place, other in enumerate(past) if place != index]
        shares.append(sum(_outside(column, others)) / column.values)
    return [*shares, sum(_outside(current, past)) / current.values]


def _outside(column: ColumnProfile, known: Sequence[ColumnProfile]) -> tuple[int, int]:
    """Count the rows certainly below and above all that is known, by more than the margin."""
    if not known:
        return 0, 0
    margin = max(map(_margin, known))
    low, high = min(_ends(one)[0] for one in known) - margin, max(_ends(one)[1] for one in known) + margin
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
    seen = 0
    for value, at, below in zip(column.sketch.values, column.sketch.at, column.sketch.below, strict=True):
        seen += at + below
        while len(quarters) < 2 and seen >= (0.25, 0.75)[len(quarters)] * column.sketch.rows:
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
