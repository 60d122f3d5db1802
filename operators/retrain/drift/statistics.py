"""Two-sample tests and effect sizes on sketches' cells and on shares; `levels` has those of categories.

Every test here conditions on the pooled data and asks how the rows could have fallen to the two sides, so both sample
sizes count. A numeric column is given as two arrays of rows per cell of one grid (`sketch.cells`), ordered by value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

TAIL = 0.005
# Times the reference's extreme, from its median, from which on a value is out of range.
REACH = 3.0
# From how many standard deviations on a value counts as no further out; told by the middle 90% of the rows, which are
# 3.29 of them wide where the distribution is normal.
FENCE = 10.0
MIDDLE_OF_NORMAL = 3.29


@dataclass(frozen=True)
class Finding:
    """What a test found. `effect` is signed where a direction exists (current minus reference)."""

    name: str
    effect: float
    p_value: float


def ks(reference: "Floats", current: "Floats") -> Finding:
    """Kolmogorov-Smirnov: the largest distance of the distribution functions, and its p-value.

    The p-value is that of `scipy.stats.ks_2samp(method="asymp")`; ties make it conservative.
    """
    import numpy as np
    from scipy import stats

    rows_r, rows_c = reference.sum(), current.sum()
    distance = ks_distance(reference, current)
    # The order of the two rows is scipy's: it decides the last bit of a half, and so the rounding.
    large, small = max(rows_r, rows_c), min(rows_r, rows_c)
    return Finding("ks", distance, float(stats.kstwo.sf(distance, np.round(large * small / (large + small)))))


def ks_distance(reference: "Floats", current: "Floats") -> float:
    """Return the largest distance of the distribution functions; its p-value costs 100 times as much."""
    import numpy as np

    cdf_r, cdf_c = np.cumsum(reference) / reference.sum(), np.cumsum(current) / current.sum()
    return float(np.max(np.abs(cdf_r - cdf_c)))


def ks_beyond(reference: "Floats", current: "Floats", grid: "Floats", slack: float) -> float:
    """Return the largest distance of the distribution functions that moving each value by `slack` cannot mend.

    Levy's way to compare distributions, with the slack in the column's unit: at a hard edge (the zero of a duration,
    the least amount) the smallest shift moves many ranks, and the plain distance with them.
    """
    import numpy as np

    if not slack > 0:
        return ks_distance(reference, current)
    with np.errstate(over="ignore"):
        moved = grid + slack
    before, after = (np.cumsum(side) / side.sum() for side in (reference, current))
    # The last cell at or below each moved value: rows between two grid values count as lying in their middle.
    last = np.searchsorted(_middles(grid), moved, side="right") - 1
    return float(max(0.0, np.max(after[1::2] - before[last]), np.max(before[1::2] - after[last])))


def location(reference: "Floats", current: "Floats") -> Finding:
    """Van der Waerden's normal scores test: the shift in (robust) standard deviations."""
    scores = _normal_scores(reference, current)
    return linear_rank("van_der_waerden", scores, reference, current)


def scale(reference: "Floats", current: "Floats") -> Finding:
    """Klotz's test: the difference of squared normal scores, in their standard deviations; positive is wider."""
    scores = _normal_scores(reference, current)
    return linear_rank("klotz", scores**2, reference, current)


def inner_scale(reference: "Floats", current: "Floats", most: float = 1.2) -> float:
    """Return the effect of `scale` with the squared scores capped, so that the outer eighths count as equally far."""
    import numpy as np

    scores = np.minimum(_normal_scores(reference, current) ** 2, most**2)
    return linear_rank("klotz", scores, reference, current).effect


def halves(reference: "Floats", current: "Floats") -> tuple[float, float]:
    """Return the effects of `scale` below and above the pooled median."""
    scores = _normal_scores(reference, current)
    below, above = ((scores * side > 0) * scores**2 for side in (-1, 1))
    return (
        linear_rank("klotz", below, reference, current).effect,
        linear_rank("klotz", above, reference, current).effect,
    )


def clip(cells: "Floats", grid: "Floats", tail: float = 0.01) -> "Floats":
    """Return the grid with its values clipped to the middle 1 - 2 x `tail` of the rows in `cells`.

    And to `FENCE` robust standard deviations from the median: a sentinel in 3% of the rows makes every shift small.
    """
    import numpy as np

    share = np.cumsum(cells) / cells.sum()
    last = len(cells) - 1
    low, lower, middle, upper, high = (
        float(grid[min(int(np.searchsorted(share, at)), last) // 2]) for at in (tail, 0.05, 0.5, 0.95, 1 - tail)
    )
    far = FENCE * (upper - lower) / MIDDLE_OF_NORMAL
    if 0 < far < math.inf:
        low, high = max(low, middle - far), min(high, middle + far)
    clipped: Floats = np.clip(grid, low, high)
    return clipped


def units(reference: "Floats", current: "Floats", grid: "Floats") -> tuple[Finding, Finding]:
    """Return the shift and the change of spread in the column's own unit: Welch's test, and that of two log variances.

    Of values clipped to the middle 98% of both sides: the variance of a heavy tail is that of its last few rows. The
    shift is in pooled standard deviations, the spread the log ratio of the variances, its error from the fourth moment.
    """
    from scipy import stats

    (rows_r, mean_r, variance_r, fourth_r), (rows_c, mean_c, variance_c, fourth_c) = _clipped(reference, current, grid)
    if not (variance_r > 0 and variance_c > 0 and math.isfinite(variance_r + variance_c)):
        # One side is constant, or too large to square: the ranks have to do.
        return Finding("welch", math.nan, 0.0), Finding("log_variance", math.nan, 0.0)
    shift = (mean_c - mean_r) / math.sqrt((variance_r + variance_c) / 2)
    z = (mean_c - mean_r) / math.sqrt(variance_r / rows_r + variance_c / rows_c)
    spread = math.log(variance_c / variance_r)
    error = math.sqrt(max(fourth_r - 1, 1e-12) / rows_r + max(fourth_c - 1, 1e-12) / rows_c)
    return (
        Finding("welch", shift, float(2 * stats.norm.sf(abs(z)))),
        Finding("log_variance", spread, float(2 * stats.norm.sf(abs(spread) / error))),
    )


def unit(reference: "Floats", current: "Floats", grid: "Floats") -> float:
    """Return the standard deviation that `units` measures a shift in; 0 where there is none."""
    (_, _, variance_r, _), (_, _, variance_c, _) = _clipped(reference, current, grid)
    pooled = (variance_r + variance_c) / 2
    return math.sqrt(pooled) if math.isfinite(pooled) else 0.0


def _clipped(
    reference: "Floats", current: "Floats", grid: "Floats"
) -> tuple[tuple[float, float, float, float], tuple[float, float, float, float]]:
    values = _middles(clip(reference + current, grid))
    return _moments(reference, values), _moments(current, values)


def _middles(grid: "Floats") -> "Floats":
    """Return a value for each cell; rows between two grid values count as their middle."""
    import numpy as np

    values = np.repeat(grid, 2)
    with np.errstate(over="ignore", invalid="ignore"):
        values[2::2] = (grid[1:] + grid[:-1]) / 2
    return values


def _moments(cells: "Floats", values: "Floats") -> tuple[float, float, float, float]:
    """Return rows, mean, variance and kurtosis (3 for a normal distribution)."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rows = float(cells.sum())
        mean = float((cells * values).sum() / rows)
        squares = (values - mean) ** 2
        variance = float((cells * squares).sum() / rows)
        return rows, mean, variance, float((cells * squares**2).sum() / rows / variance**2) if variance > 0 else 3.0


def outliers(reference: "Floats", current: "Floats", grid: "Floats | None" = None) -> Finding:
    """How many more of the current rows lie beyond the reference's outer 0.5% on either side; exact test.

    The fences are order statistics of the reference, so the rows beyond them follow a negative hypergeometric law. With
    `grid` (the cells' values) a row has to be beyond them by a quarter of the interquartile range too: at a hard edge
    of the data the smallest shift puts many rows a hair beyond it. That makes the test conservative, never liberal.
    """
    import numpy as np
    from scipy import stats

    rows_r, rows_c = int(np.rint(reference.sum())), int(np.rint(current.sum()))
    order = max(1, math.ceil(TAIL * rows_r))
    outside = (np.cumsum(reference) < order - 0.5) | (np.cumsum(reference[::-1])[::-1] < order - 0.5)
    if grid is not None:
        outside &= _beyond(reference, outside, np.repeat(grid, 2))
    beyond = float(current[outside].sum())
    effect = beyond / rows_c - float(reference[outside].sum()) / rows_r
    count = int(beyond)
    if count == 0:
        return Finding("outliers", effect, 1.0)
    drawn = count + 2 * order - 1
    p_value = stats.hypergeom.cdf(2 * order - 1, rows_r + rows_c, rows_r, drawn)
    return Finding("outliers", effect, min(1.0, float(p_value)))


def out_of_range(reference: "Floats", current: "Floats", grid: "Floats") -> Finding:
    """Whether current rows lie so far out that no tail with a mean explains them: a wrong unit, a sentinel.

    Counted on each side beyond `REACH` times the reference's extreme, from its median. Of a tail no heavier than 1/x
    (regularly varying with index 1, the border of a finite mean) the current rows beyond follow a geometric law, since
    the reference's extreme is itself one draw; a lighter tail has fewer. The effect is their share.
    """
    import numpy as np

    rows_r, rows_c = float(reference.sum()), float(current.sum())
    seen = np.flatnonzero(reference > 0)
    values = _middles(grid)
    middle = values[min(int(np.searchsorted(np.cumsum(reference), rows_r / 2)), len(values) - 1)]
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = (middle + REACH * (values[end] - middle) for end in (seen[0], seen[-1]))
    below, above = int(current[values < low].sum()), int(current[values > high].sum())
    chance = rows_c / (rows_c + REACH * rows_r)
    return Finding("out_of_range", (below + above) / rows_c, min(1.0, 2 * chance ** max(below, above)))


def _beyond(reference: "Floats", outside: "Flags", values: "Floats") -> "Flags":
    """Which cells lie outside the fences by more than a quarter of the reference's interquartile range."""
    import numpy as np

    share = np.cumsum(reference) / reference.sum()
    inside = values[~outside]
    if not inside.size:
        return outside
    places = np.minimum(np.searchsorted(share, (0.25, 0.75)), len(values) - 1)
    quarter, three = values[places]
    with np.errstate(over="ignore"):
        margin = 0.25 * (three - quarter)
        far: Flags = (values < inside[0] - margin) | (values > inside[-1] + margin)
    return far


def share_increase(reference: tuple[int, int], current: tuple[int, int]) -> Finding:
    """Whether a share (count, rows) went up: one-sided Fisher's exact test; the effect is the difference."""
    from scipy import stats

    (hits_r, rows_r), (hits_c, rows_c) = reference, current
    p_value = stats.hypergeom.sf(hits_c - 1, rows_r + rows_c, hits_r + hits_c, rows_c)
    return Finding("fisher_exact", hits_c / rows_c - hits_r / rows_r, min(1.0, float(p_value)))


def adjust(p_values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Weighted Holm procedure: p-values that may be held against one alpha for the whole family (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index] / weights[index])
    remaining, largest, adjusted = sum(weights), 0.0, [1.0] * len(p_values)
    for index in order:
        largest = max(largest, min(1.0, p_values[index] * remaining / weights[index]))
        adjusted[index] = largest
        remaining -= weights[index]
    return adjusted


def _normal_scores(reference: "Floats", current: "Floats") -> "Floats":
    """Return the normal quantile of each cell's pooled mid-rank (empty cells get one too; they weigh nothing)."""
    import numpy as np
    from scipy.special import ndtri

    pooled = reference + current
    middle = (np.cumsum(pooled) - pooled / 2) / pooled.sum()
    edge = 0.5 / pooled.sum()
    scores: Floats = ndtri(np.clip(middle, edge, 1 - edge))
    return scores


def linear_rank(name: str, scores: "Floats", reference: "Floats", current: "Floats") -> Finding:
    """Compare mean scores; the variance is that over all ways to deal the pooled rows, so ties are right."""
    import numpy as np
    from scipy.special import ndtr

    pooled = reference + current
    rows_r, rows_c, rows = reference.sum(), current.sum(), pooled.sum()
    mean = float((pooled * scores).sum() / rows)
    variance = float((pooled * (scores - mean) ** 2).sum() / (rows - 1))
    if variance <= 1e-12:
        return Finding(name, 0.0, 1.0)
    difference = float((current * scores).sum() / rows_c - (reference * scores).sum() / rows_r)
    z = difference / math.sqrt(variance * (1 / rows_r + 1 / rows_c))
    return Finding(name, difference / math.sqrt(variance), float(2 * ndtr(-np.abs(z))))
