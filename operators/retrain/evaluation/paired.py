"""The paired comparison: two models' metric on the same rows, their difference and how sure it is."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from retrain.evaluation.arrays import Array
    from retrain.evaluation.influence import Floats
    from retrain.evaluation.metrics import Metric

# Right and wrong are counted with so many imagined rows on which the two models differ, each way (in the spirit of
# Agresti & Min, 2005). Where no row differs, the one-sided 95% bound is then 3 / n: the rule of three, and not 0.
IMAGINED_FLIPS = 5 / 3

# The bootstrap's budget, in rows drawn, and its limits, in resamples.
BOOTSTRAP_ROWS = 4_000_000
BOOTSTRAP_LIMITS = (200, 2000)
SEED = 20


@dataclass(frozen=True)
class Estimate:
    """Champion and challenger in the metric's own units, and the difference where higher is better.

    `error` is the difference's standard error, `freedom` the degrees of freedom that stand behind it.
    """

    champion: float
    challenger: float
    difference: float
    error: float
    freedom: float
    rows: int
    test: str

    def reach(self, level: float) -> float:
        """Return how far the one-sided bound at confidence `level` lies from the difference."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, level)) * self.error

    def lower(self, level: float) -> float:
        """Return the one-sided lower confidence bound of the difference."""
        return self.difference - self.reach(level)

    def upper(self, level: float) -> float:
        """Return the one-sided upper confidence bound of the difference."""
        return self.difference + self.reach(level)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the two-sided confidence interval of the difference."""
        level = (1 + confidence) / 2
        return self.lower(level), self.upper(level)

    def p_worse_than(self, limit: float) -> float:
        """Return the one-sided p-value against "the difference is at least `limit`"."""
        from scipy.special import stdtr

        if self.error == 0:
            return 1.0 if self.difference >= limit else 0.0
        return float(stdtr(self.freedom, (self.difference - limit) / self.error))


def compare(metric: "Metric", y: "Array", champion: "Array", challenger: "Array", weight: "Floats") -> Estimate:
    """Estimate the difference on rows that both models scored: by influences, else by a bootstrap."""
    import numpy as np

    if metric.scorer is None:
        return _bootstrap(metric, y, champion, challenger, weight)
    # What overflows becomes infinite here, and is told as "not finite" by the gate.
    with np.errstate(over="ignore", invalid="ignore"):
        old = metric.scored(y, champion, weight)
        new = metric.scored(y, challenger, weight)
        gap = metric.sign * (new.influence - old.influence)
        squares = gap**2
    if not np.isfinite(squares).all():
        return Estimate(old.value, new.value, math.nan, math.nan, 1.0, len(y), "paired")
    variance = float(squares.sum())
    freedom = float(len(y) - 1)
    if old.flip > 0 and new.flip > 0:
        variance += 2 * IMAGINED_FLIPS * max(old.flip, new.flip) ** 2
    elif variance > 0:
        # How well a sum of squares is known depends on how many rows it rests on (Satterthwaite, 1946).
        spread = float((squares**2).sum()) - variance**2 / len(y)
        freedom = min(freedom, max(1.0, 2 * variance**2 / spread)) if spread > 0 else freedom
    return Estimate(
        old.value,
        new.value,
        metric.sign * (new.value - old.value),
        variance**0.5,
        max(freedom, 1.0),
        len(y),
        "DeLong" if metric.name in ("roc_auc", "roc_auc_score") else "paired",
    )


def _bootstrap(metric: "Metric", y: "Array", champion: "Array", challenger: "Array", weight: "Floats") -> Estimate:
    """Resample the rows, within the classes where there are classes; both models on the same resample."""
    import numpy as np

    everything = np.arange(len(y))
    strata = [everything] if metric.takes == "value" else [np.flatnonzero(y == label) for label in np.unique(y)]
    generator = np.random.default_rng(SEED)
    least, most = BOOTSTRAP_LIMITS
    draws = int(min(max(BOOTSTRAP_ROWS // len(y), least), most))

    def both(rows: "np.typing.NDArray[np.int64]") -> tuple[float, float]:
        return (
            metric.value(y[rows], champion[rows], weight[rows]),
            metric.value(y[rows], challenger[rows], weight[rows]),
        )

    drawn = np.array(
        [both(np.concatenate([generator.choice(part, len(part)) for part in strata])) for _ in range(draws)]
    )
    old, new = both(everything)
    return Estimate(
        old,
        new,
        metric.sign * (new - old),
        float(np.std(drawn[:, 1] - drawn[:, 0], ddof=1)),
        max(float(len(y) - len(strata)), 1.0),
        len(y),
        f"bootstrap, {draws:,} resamples",
    )
