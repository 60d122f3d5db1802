"""Has the model become worse? A batch test on the losses of labelled rows."""

import math
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError, DeclarationError
from retrain.records import PerformanceStatus, PerformanceVerdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

# Below this the normal approximation to a mean of 0/1 losses is not to be trusted.
MIN_ROWS = 30
STANDARDISED_FLOOR = 0.05
# Beyond it a variance is no number any more.
LARGEST = 1e150


def performance(
    reference_losses: "ArrayLike",
    current_losses: "ArrayLike",
    *,
    confidence: float = 0.99,
    min_effect: float | None = None,
) -> PerformanceVerdict:
    """Judge whether the mean loss per row went up, really and materially; an improvement is never an alarm.

    Losses are 1-d, one number per labelled row, lower is better (0/1, log loss, squared error, ...). One-sided Welch
    test at `confidence` (0.99: at most one false alarm in a hundred), and a rise of at least `min_effect` in the unit
    of the losses; by default 0.05 of their standard deviation, which is 2 points where one row in five is wrong. The
    rise has to be significant by the variance of both sides together, too: that differs where one side is small.
    Raises DataError for losses that are not finite or not 1-d.
    """
    import numpy as np

    if not 0.5 < confidence < 1:
        raise DeclarationError(f"confidence is {confidence}", expected="a number above 0.5 and below 1")
    reference, current = as_losses(reference_losses, "reference"), as_losses(current_losses, "current")
    rows = {"reference_rows": len(reference), "current_rows": len(current)}
    if min(rows.values()) < MIN_ROWS:
        counts = f"{len(current):,} labelled rows against {len(reference):,}"
        why = f"{counts}: at least {MIN_ROWS} are needed on either side"
        difference = float(current.mean() - reference.mean()) if min(rows.values()) else None
        return PerformanceVerdict(PerformanceStatus.INCONCLUSIVE, difference, None, why, rows_needed=MIN_ROWS, **rows)
    difference = float(current.mean() - reference.mean())
    p_value = _p_worse(reference, current)
    floor = min_effect
    if floor is None:
        floor = STANDARDISED_FLOOR * math.sqrt(float(np.var(reference, ddof=1) + np.var(current, ddof=1)) / 2)
    status = PerformanceStatus.OK
    if p_value < 1 - confidence and difference > 0 and difference >= floor:
        status = PerformanceStatus.DECAY
    why = _reason(status, difference, p_value, floor, confidence)
    return PerformanceVerdict(status, difference, p_value, why, **rows)


def _p_worse(reference: "NDArray[np.float64]", current: "NDArray[np.float64]") -> float:
    import numpy as np
    from scipy import stats

    if np.ptp(reference) == 0 and np.ptp(current) == 0:
        # Nothing varies: Welch's statistic is not defined, and any rise is a certain one.
        return 0.0 if current[0] > reference[0] else 1.0
    # A few losses with a heavy tail seldom show it, and are too sure of their own mean: then the variance of both sides
    # together counts. With as many rows on both sides it is the same statistic.
    return max(
        float(stats.ttest_ind(current, reference, equal_var=equal, alternative="greater").pvalue)
        for equal in (False, True)
    )


def _reason(status: PerformanceStatus, difference: float, p_value: float, floor: float, confidence: float) -> str:
    limits = f"Welch p={p_value:.2g}, alpha {1 - confidence:.2g}; floor {floor:.3g}"
    moved = f"the mean loss moved by {difference:+.4g} ({limits})"
    if status is PerformanceStatus.DECAY:
        return f"worse: {moved}"
    if difference <= 0:
        return f"not worse: {moved}"
    if p_value < 1 - confidence:
        return f"really but not materially worse: {moved}"
    return f"no more than chance: {moved}"


def as_losses(losses: Any, side: str) -> "NDArray[np.float64]":
    """Return losses as a 1-d array of finite numbers; DataError where they are not."""
    import numpy as np

    given = np.asarray(losses)
    try:
        if given.dtype.kind in "cmMUS":
            raise TypeError(f"they are of type {given.dtype}")
        array = np.asarray(losses, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"the {side} losses are not numbers: {error}", expected="one number per row") from error
    if array.ndim != 1:
        raise DataError(f"the {side} losses have shape {array.shape}", expected="one number per row (1-d)")
    if bad := int((~np.isfinite(array)).sum()):
        raise DataError(
            f"{bad:,} of {len(array):,} {side} losses are not finite",
            expected="finite numbers",
            remedy="leave rows without a label out, and clip probabilities before taking a log loss",
        )
    if len(array) and (largest := float(np.abs(array).max())) > LARGEST:
        raise DataError(f"the {side} losses go up to {largest:.3g}", expected=f"at most {LARGEST:g}")
    return array
