"""How far a fresh batch may stray from a reference without anything having changed.

A reference says how often something happened among n rows. What to demand of the next batch follows from a prediction
interval, not from the observed share: the reference is itself a sample, and so is the batch (Jeffreys' prior for the
share, then the batch's own binomial noise; Brown, Cai and DasGupta, 2001). Beyond that comes room for what changes in
earnest from month to month, as a factor on the odds.
"""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# A real feed moves with the season by more than a sample does.
SEASON = 2.0
# Below this a demand says nothing any more.
LEAST_MOSTLY = 0.5


def at_most(count: float, rows: int, *, risk: float) -> float:
    """Return the share that a batch of half as many rows exceeds with a probability below `risk`."""
    from scipy import stats

    smaller = max(1, rows // 2)
    share = stats.beta.ppf(1 - risk / 2, count + 0.5, rows - count + 0.5) if count < rows else 1.0
    return min(1.0, float(stats.binom.ppf(1 - risk / 2, smaller, share)) / smaller)


def mostly(count: float, rows: int, *, risk: float) -> float:
    """Return the `mostly` of an expectation that `count` of `rows` rows break: the share that has to hold.

    Rounded down to two significant digits of what may break. What never happens has no season.
    """
    broken = with_odds(at_most(count, rows, risk=risk), SEASON if count else 1.0)
    digits = max(2, 1 - math.floor(math.log10(broken))) if broken > 0 else 2
    return max(0.0, float(round(1 - math.ceil(broken * 10**digits) / 10**digits, digits)))


def share_between(count: int, rows: int, *, risk: float) -> tuple[float, float]:
    """Return limits for a share that was `count` of `rows`, rounded outwards to two digits."""
    high = with_odds(at_most(count, rows, risk=risk / 2), SEASON)
    low = 1 - with_odds(at_most(rows - count, rows, risk=risk / 2), SEASON)
    return math.floor(low * 100) / 100, math.ceil(high * 100) / 100


def with_odds(share: float, factor: float) -> float:
    """Multiply the odds of a share."""
    return factor * share / (1 + (factor - 1) * share)


def limits(sample: "np.ndarray[Any, Any]") -> tuple[float, float, int]:
    """Return a wide range for numbers, and how many of the sample are outside it.

    It reaches beyond the 1st and the 99th percentile by half of their distance, and as far as the sample itself where
    that is at most two distances: one absurd value does not stretch it. What is never negative has no range below zero.
    """
    import numpy as np

    low, high = (float(one) for one in np.quantile(sample, [0.01, 0.99]))
    least, most = float(sample.min()), float(sample.max())
    span = high - low or abs(high) or 1.0
    bottom = _outwards(min(low - 0.5 * span, max(least, low - 2 * span)), down=True)
    top = _outwards(max(high + 0.5 * span, min(most, high + 2 * span)), down=False)
    bottom = max(bottom, 0.0) if least >= 0 and most > 0 else bottom
    top = min(top, 0.0) if most <= 0 and least < 0 else top
    return bottom, top, int(np.count_nonzero((sample < bottom) | (sample > top)))


def _outwards(value: float, *, down: bool) -> float:
    """Round to two significant digits, away from the middle: a limit that a person can read."""
    if value == 0 or not math.isfinite(value):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    rounded = (math.floor if down else math.ceil)(value / step) * step
    return float(f"{rounded:.6g}")
