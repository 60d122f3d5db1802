"""Calibration: whether the probabilities mean what they say, with a confidence interval that respects small samples.

The usual estimate of the expected calibration error is too high on few rows: noise alone moves each bin off the
diagonal. So the interval's upper end starts from that estimate (it errs upwards, by Jensen's inequality), and its lower
end from a cross-fitted one, which takes the direction of each bin's error from other rows than its size and so errs
downwards. The decomposition of the Brier score is Murphy's (1973), with the bias correction of Ferro & Fricker (2012).
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.evaluation.arrays import binary_codes, check_shape, class_codes, flaw, plain
from retrain.exceptions import DataError

if TYPE_CHECKING:
    from retrain.evaluation.influence import Floats, Ints

BINS = 15
FOLDS = 5
# Where noise alone decides the directions, the folds' parts correlate, since each helps to direct the others: their
# sum's variance is then larger by this factor (for normal errors, whatever the number of folds); else by less.
SHARED = 1 + 2 / math.pi
SEED = 20


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error (`error`, the plain estimate), its interval, and the Brier score's parts.

    `brier = reliability - resolution + uncertainty`. `bins` holds, per bin of equal numbers of rows: rows, mean
    probability, share of positives. For several classes all of it is about the most probable class and whether it is
    the right one.
    """

    error: float
    interval: tuple[float, float]
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    rows: int
    bins: tuple[tuple[int, float, float], ...]


def calibration(
    y_true: Any, proba: Any, *, sample_weight: Any = None, confidence: float = 0.95, bins: int = BINS
) -> Calibration:
    """Measure how far the probabilities are from the frequencies.

    `proba`: of the positive (greater) class, or n x k. DataError for what is not a probability, or no rows.
    """
    import numpy as np

    y, said = plain(y_true), plain(proba)
    said = check_shape("proba", said, len(y), "proba")
    if not len(y) or (wrong := flaw(said, "proba")):
        raise DataError(f"the calibration cannot be measured: {wrong if len(y) else 'there are no rows'}")
    hit, said = _events(y, said)
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    keep = weight > 0
    hit, said, weight = hit[keep], said[keep], weight[keep] / weight[keep].sum()
    bin_of, bins = _bins(said, bins)
    return _measured(hit, said, weight, bin_of, bins, confidence)


def _measured(
    hit: "Floats", said: "Floats", weight: "Floats", bin_of: "Ints", bins: int, confidence: float
) -> Calibration:
    import numpy as np
    from scipy.special import ndtri

    share = np.bincount(bin_of, weight, bins)
    forecast = np.bincount(bin_of, weight * said, bins) / share
    seen = np.bincount(bin_of, weight * hit, bins) / share
    count = np.bincount(bin_of, minlength=bins)
    gap = weight * (hit - said)
    plain_error = float(np.abs(np.bincount(bin_of, gap, bins)).sum())
    deviation = _deviation(gap, bin_of, np.sign(np.bincount(bin_of, gap, bins)), bins)
    reach = float(ndtri((1 + confidence) / 2))
    crossed, crossed_deviation = _cross_fitted(gap, bin_of, bins)
    base = float((weight * hit).sum())
    noise = seen * (1 - seen) / np.maximum(count - 1, 1)
    total_noise = base * (1 - base) / max(len(hit) - 1, 1)
    return Calibration(
        error=plain_error,
        interval=(max(0.0, crossed - reach * crossed_deviation), min(1.0, plain_error + reach * deviation)),
        brier=float((weight * (said - hit) ** 2).sum()),
        reliability=float((share * ((forecast - seen) ** 2 - noise)).sum()),
        resolution=float((share * ((seen - base) ** 2 - noise)).sum()) + total_noise,
        uncertainty=base * (1 - base) + total_noise,
        rows=len(hit),
        bins=tuple((int(n), float(p), float(o)) for n, p, o in zip(count, forecast, seen, strict=True)),
    )


def _cross_fitted(gap: "Floats", bin_of: "Ints", bins: int) -> tuple[float, float]:
    """Return the error with each bin's direction taken from the other folds, and its standard error."""
    import numpy as np

    fold = np.random.default_rng(SEED).integers(0, FOLDS, len(gap))
    whole = np.bincount(bin_of, gap, bins)
    signed = np.zeros(len(gap))
    for number in range(FOLDS):
        inside = fold == number
        direction = np.sign(whole - np.bincount(bin_of[inside], gap[inside], bins))
        signed[inside] = direction[bin_of[inside]] * gap[inside]
    variance = float(((signed - signed.mean()) ** 2).sum())
    return float(signed.sum()), (SHARED * variance) ** 0.5


def _deviation(gap: "Floats", bin_of: "Ints", direction: "Floats", bins: int) -> float:
    """Return the standard error of the plain estimate, and at least that of one row that turns."""
    import numpy as np

    mean = np.bincount(bin_of, gap, bins) / np.maximum(np.bincount(bin_of, minlength=bins), 1)
    within = direction[bin_of] * (gap - mean[bin_of])
    return float(max(np.sqrt((within**2).sum()), 1 / len(gap)))


def _events(y: Any, said: Any) -> "tuple[Floats, Floats]":
    import numpy as np

    if said.ndim == 1:
        positive = binary_codes(y, "calibration") if len(np.unique(y)) > 1 else class_codes(y, 2)
        return positive.astype(float), said.astype(float)
    codes = class_codes(y, said.shape[1])
    if said.shape[1] == 2:
        return codes.astype(float), said[:, 1].astype(float)
    return (said.argmax(axis=1) == codes).astype(float), said.max(axis=1).astype(float)


def _bins(said: "Floats", bins: int) -> "tuple[Ints, int]":
    """Return bins of about equal numbers of rows; equal probabilities share one."""
    import numpy as np

    bins = max(1, min(bins, len(said) // 10))
    edges = np.unique(np.quantile(said, np.linspace(0, 1, bins + 1)[1:-1]))
    found, codes = np.unique(np.searchsorted(edges, said, side="right"), return_inverse=True)
    return codes, len(found)
