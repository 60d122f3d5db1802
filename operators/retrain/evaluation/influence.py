"""Metrics with the influence of each row: the value, and by how much a row moves it.

For a metric that is a smooth function of weighted means (accuracy, log loss, RMSE, R2, F1, ...) the influence is its
derivative in the weight of a row: the infinitesimal jackknife of Jaeckel (1972); see Efron, "The Jackknife, the
Bootstrap and Other Resampling Plans" (1982). The sum of the squared influences estimates the metric's variance; the
sum of the squared *differences* of two models' influences that of their difference on the same rows. For a mean this
is the paired t-test's variance, for the area under the ROC curve DeLong's (see `ranking`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.exceptions import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

    # A metric as a function of (hits, predicted, true) per class, as shares of the total weight.
    Totals = Callable[[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]], Any]

# More classes than this are a number that was taken for a label.
MAX_CLASSES = 1000


@dataclass(frozen=True)
class Scored:
    """A metric's value and the influence of each row on it.

    `flip` is the largest influence of one row (of average weight) whose prediction turns from right to wrong; 0 where
    the rows' influences say enough.
    """

    value: float
    influence: "Floats"
    flip: float = 0.0


def bessel(rows: int) -> float:
    """Return the factor that makes a sum of squared influences an unbiased variance (n / (n - 1))."""
    return float((rows / (rows - 1)) ** 0.5) if rows > 1 else 1.0


def mean(values: "Floats", weight: "Floats") -> Scored:
    """Score a mean of one value per row."""
    total = weight.sum()
    value = float((weight * values).sum() / total)
    return Scored(value, weight * (values - value) / total * bessel(len(values)))


def root_mean_squared(y: "Floats", prediction: "Floats", weight: "Floats") -> Scored:
    """Score the root of the mean squared error (delta method)."""
    squared = mean((y - prediction) ** 2, weight)
    root = squared.value**0.5
    return Scored(root, squared.influence / (2 * root) if root > 0 else squared.influence * 0.0)


def r_squared(y: "Floats", prediction: "Floats", weight: "Floats") -> Scored:
    """Score 1 - MSE / variance of the target; NaN where the target is constant."""
    error = mean((y - prediction) ** 2, weight)
    spread = mean((y - mean(y, weight).value) ** 2, weight)
    if spread.value == 0:
        return Scored(float("nan"), error.influence * 0.0)
    ratio = error.value / spread.value
    return Scored(1 - ratio, -(error.influence - ratio * spread.influence) / spread.value)


def confusion(y: "Ints", prediction: "Ints", weight: "Floats", classes: int, function: "Totals") -> Scored:
    """Score a metric of the confusion matrix; `y` and `prediction` are class codes below `classes`.

    `function` is differentiated by a complex step, exactly to rounding.
    """
    import numpy as np

    if classes > MAX_CLASSES:
        raise ConfigurationError(
            f"target and prediction hold {classes:,} different labels",
            expected=f"at most {MAX_CLASSES:,}",
            remedy="Predict labels instead of scores, or use a metric for values such as mae",
        )
    share = weight / weight.sum()
    hit = share * (y == prediction)
    totals = np.stack(
        [
            np.bincount(y, hit, classes),
            np.bincount(prediction, share, classes),
            np.bincount(y, share, classes),
        ]
    )
    step = 1e-30
    slope = np.zeros_like(totals)
    for index in np.ndindex(*totals.shape):
        moved = totals.astype(complex)
        moved[index] += 1j * step
        slope[index] = np.imag(function(*moved)) / step
    gain = slope[0][y] * (y == prediction) + slope[1][prediction] + slope[2][y]
    influence = share * (gain - (share * gain).sum()) * bessel(len(y))
    # Row of class i, prediction turned from i to j.
    change = np.abs((slope[0] + slope[1])[:, None] - slope[1][None, :])
    np.fill_diagonal(change, 0.0)
    present = totals[2] > 0
    flip = float(change[present].max()) / len(y) if classes > 1 and present.any() else 0.0
    return Scored(float(np.real(function(*totals))), influence, flip)
