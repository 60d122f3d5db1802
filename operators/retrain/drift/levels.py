"""Two-sample tests and effect sizes on counts of levels; as those of `statistics` they condition on the pooled data."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from retrain.drift.statistics import Finding, linear_rank

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Rule of Cochran (1954): the chi-square approximation holds where every expected count is at least this.
EXPECTED = 5.0
# From this many levels on, a test for a trend in frequency stands beside chi-square.
TREND_LEVELS = 4
# A mean of reciprocals has to be finite.
LEAST_P = 1e-300


def contingency(reference: Mapping[str, int], current: Mapping[str, int]) -> Finding:
    """Chi-square of homogeneity (Fisher's exact test for small 2 x 2 tables) with the total variation distance.

    Levels too rare for the approximation are put together in order of how frequent they are in both tables, which
    does not look at where they differ. From four levels on chi-square, which spreads its power over every way in which
    they could differ, has two companions: a trend from frequent to rare levels, and one level against all others. The
    p-value is then the harmonic mean of the three (Wilson 2019), which is right for small ones, whatever they share.
    """
    import numpy as np
    from scipy import stats

    levels = sorted({*reference, *current})
    table = np.array([[side.get(level, 0) for level in levels] for side in (reference, current)], dtype=np.float64)
    effect = total_variation(reference, current)
    pooled = _pool_rare(table)
    if pooled.shape[1] < 2:
        return Finding("chi_square", effect, 1.0)
    expected = np.outer(pooled.sum(axis=1), pooled.sum(axis=0)) / pooled.sum()
    if pooled.shape[1] == 2 and expected.min() < EXPECTED:
        return Finding("fisher_exact", effect, float(stats.fisher_exact(pooled.astype(np.int64)).pvalue))
    statistic = float(((pooled - expected) ** 2 / expected).sum())
    p_value = float(stats.chi2.sf(statistic, pooled.shape[1] - 1))
    if pooled.shape[1] < TREND_LEVELS:
        return Finding("chi_square", effect, p_value)
    together = (p_value, _frequency_trend(table), _one_level(pooled))
    return Finding("chi_square_trend_level", effect, float(stats.hmean(np.maximum(together, LEAST_P))))


def _one_level(table: "Floats") -> float:
    """P-value of the level that differs most from all others together: exact, Bonferroni over the levels."""
    import numpy as np
    from scipy import stats

    rows, current, levels = table.sum(), table[1].sum(), table.sum(axis=0)
    # Integers: scipy's hypergeometric law refuses counts that are off by a rounding.
    whole = [np.rint(value).astype(np.int64) for value in (table[1], rows, levels, current)]
    fewer, more = stats.hypergeom.cdf(*whole), stats.hypergeom.sf(whole[0] - 1, *whole[1:])
    return min(1.0, 2 * len(levels) * float(min(fewer.min(), more.min())))


def total_variation(reference: Mapping[str, int], current: Mapping[str, int]) -> float:
    """Return the share of rows that would have to change level; its p-value costs 100 times as much."""
    rows_r, rows_c = sum(reference.values()), sum(current.values())
    levels = sorted({*reference, *current})
    return 0.5 * sum(abs(reference.get(level, 0) / rows_r - current.get(level, 0) / rows_c) for level in levels)


def _frequency_trend(table: "Floats") -> float:
    """P-value of a trend from frequent to rare levels (or back): one degree of freedom where chi-square spends many.

    The scores are the ranks of the levels by their frequency in both tables together, which do not look at where the
    tables differ (Cochran and Armitage's test).
    """
    import numpy as np
    from scipy import stats

    scores = stats.rankdata(-table.sum(axis=0), method="average")
    return linear_rank("trend", np.asarray(scores, dtype=np.float64), table[0], table[1]).p_value


def sampling_variation(reference: Mapping[str, int], current: Mapping[str, int]) -> float:
    """Return the total variation distance to expect between two samples of one distribution."""
    rows_r, rows_c = sum(reference.values()), sum(current.values())
    shares = [(reference.get(x, 0) + current.get(x, 0)) / (rows_r + rows_c) for x in {*reference, *current}]
    spread = (1 / rows_r + 1 / rows_c) * 2 / math.pi
    return 0.5 * sum(math.sqrt(share * (1 - share) * spread) for share in shares)


def unknown_levels(reference: Mapping[str, int], current: Mapping[str, int]) -> Finding:
    """Whether rows hold levels that the reference never showed, more than its own rare levels let one expect.

    Two ways in which chance makes unseen levels, and the smaller p-value twice: many rare ones together (the expected
    share is Good and Turing's) and one of them alone, `_one_unseen`. The effect is the share of rows above Good and
    Turing's.
    """
    rows_r, rows_c = sum(reference.values()), sum(current.values())
    fresh = [count for level, count in current.items() if level not in reference]
    if not fresh:
        return Finding("unseen_levels", 0.0, 1.0)
    once = sum(1 for count in reference.values() if count == 1)
    expected = rows_c / rows_r * once
    together = _unseen_together(reference, sum(fresh), rows_c / rows_r)
    alone = _one_unseen(reference, current, max(fresh))
    p_value = min(1.0, 2 * min(together, alone))
    return Finding("unseen_levels", max(0.0, (sum(fresh) - expected) / rows_c), p_value)


def _unseen_together(reference: Mapping[str, int], unseen: int, ratio: float) -> float:
    """P-value of that many rows of unseen levels; gamma-Poisson, as Good and Turing's estimate is itself uncertain."""
    from scipy import stats

    once = sum(1 for count in reference.values() if count == 1)
    twice = sum(1 for count in reference.values() if count == 2)
    expected, extra = ratio * (once + 1), ratio**2 * (once + 2 * twice + 1)
    shape = expected**2 / extra
    return float(stats.nbinom.sf(unseen - 1, shape, shape / (shape + expected)))


def _one_unseen(reference: Mapping[str, int], current: Mapping[str, int], count: int) -> float:
    """P-value of one level with `count` current rows and none in the reference.

    A level with k rows in both tables has all of them in the current one with probability (share of the current)^k. How
    many such levels there are is told by the others: a level seen k times could as well have been seen a few times more
    or less (negative binomial), and a quarter of a level more is granted, of any frequency (its logarithm uniform). In
    a column whose levels are all frequent, a new one is soon no accident; in one with a long tail it takes more rows.
    """
    import numpy as np
    from scipy import stats

    rows_r, rows_c = sum(reference.values()), sum(current.values())
    share = rows_c / (rows_r + rows_c)
    # Beyond this many rows the chance is below 1e-15, whatever the levels.
    last = count + math.ceil(-35 / math.log(share)) if share < 1 else count
    rows = np.arange(count, last + 1, dtype=np.float64)
    totals = np.array([known + current.get(level, 0) for level, known in reference.items()], dtype=np.float64)
    levels = 0.25 / (rows * math.log(max(3, rows_r + rows_c)))
    near = totals[totals < 4 * last + 50]
    if near.size:
        levels = levels + stats.nbinom.pmf(rows[:, None], near[None, :], 0.5).sum(axis=1)
    return float(-np.expm1(-(levels * share**rows).sum()))


def _pool_rare(table: "Floats") -> "Floats":
    """Join levels (columns of a 2 x levels table) until each expects at least EXPECTED rows on the smaller side."""
    import numpy as np

    totals = table.sum(axis=0)
    needed = EXPECTED * table.sum() / table.sum(axis=1).min()
    common = table[:, totals >= needed]
    rare = table[:, totals < needed]
    if not rare.size:
        return common
    rare = rare[:, np.argsort(-rare.sum(axis=0), kind="stable")]
    filled = np.cumsum(rare.sum(axis=0))
    group = np.floor((filled - rare.sum(axis=0)) / needed).astype(np.int64)
    joined = np.stack([rare[:, group == index].sum(axis=1) for index in np.unique(group)], axis=1)
    if joined.shape[1] > 1 and joined[:, -1].sum() < needed:
        joined = np.column_stack([joined[:, :-2], joined[:, -2] + joined[:, -1]])
    return np.column_stack([common, joined])
