"""Ranking metrics with the influence of each row, in O(n log n), ties and weights included."""

from typing import TYPE_CHECKING

from retrain.evaluation.influence import Scored, bessel

if TYPE_CHECKING:
    from retrain.evaluation.influence import Bools, Floats, Ints


def roc_auc(y: "Ints", score: "Floats", weight: "Floats") -> Scored:
    """Score the area under the ROC curve; `y` is 0 or 1 and holds both.

    The squared influences are DeLong's variance: DeLong, DeLong & Clarke-Pearson (Biometrics 44, 1988), by ranks
    instead of pairs as in Sun & Xu (IEEE Signal Processing Letters 21, 2014). A tie counts one half.
    """
    import numpy as np

    positive = y == 1
    level = np.unique(score, return_inverse=True)[1]
    above = np.bincount(level, weight * positive)
    below = np.bincount(level, weight * ~positive)
    n_above, n_below = above.sum(), below.sum()
    if n_above == 0 or n_below == 0:
        return Scored(float("nan"), np.zeros(len(y)))
    # Placement: the share of the other class that a row is ranked on the right side of.
    over = (np.cumsum(below) - below / 2) / n_below
    under = 1 - (np.cumsum(above) - above / 2) / n_above
    value = float((above * over).sum() / n_above)
    return Scored(
        value,
        np.where(
            positive,
            weight * (over[level] - value) / n_above * bessel(int(positive.sum())),
            weight * (under[level] - value) / n_below * bessel(int((~positive).sum())),
        ),
        _flip_of_perfect(value, positive),
    )


def average_precision(y: "Ints", score: "Floats", weight: "Floats") -> Scored:
    """Score the average precision (scikit-learn's step sum; rows that tie share one threshold).

    It is the weighted mean over the positives of the precision at their score, so its derivative in a row's weight
    is a cumulative sum over the rows that are ranked no higher.
    """
    import numpy as np

    positive = weight * (y == 1)
    level = np.unique(score, return_inverse=True)[1]
    gained = np.bincount(level, positive)
    hits = np.cumsum(gained[::-1])[::-1]
    taken = np.cumsum(np.bincount(level, weight)[::-1])[::-1]
    precision, total = hits / taken, gained.sum()
    value = float((gained * precision).sum() / total)
    lifted = np.cumsum(gained / taken)
    lowered = np.cumsum(gained * hits / taken**2)
    slope = np.where(y == 1, precision[level] - value + lifted[level], 0.0) - lowered[level]
    return Scored(value, weight * slope / total * bessel(len(y)), _flip_of_perfect(value, y == 1))


def _flip_of_perfect(value: float, positive: "Bools") -> float:
    """Return what one misplaced row could cost: a perfect ranking shows no variance, which is not certainty."""
    return 1 / min(int(positive.sum()), int((~positive).sum())) if value == 1 else 0.0


def roc_auc_one_vs_rest(y: "Ints", proba: "Floats", weight: "Floats", *, weighted: bool) -> Scored:
    """Score the mean over the classes of each one's ROC AUC against the rest, plain or by the classes' weight."""
    import numpy as np

    classes = proba.shape[1]
    each = [roc_auc((y == code).astype(np.int64), proba[:, code], weight) for code in range(classes)]
    values = np.array([scored.value for scored in each])
    share = np.bincount(y, weight, classes) / weight.sum() if weighted else np.full(classes, 1 / classes)
    value = float((share * values).sum())
    influence = sum((part * scored.influence for part, scored in zip(share, each, strict=True)), np.zeros(len(y)))
    if weighted:
        influence = influence + weight * (values[y] - value) / weight.sum()
    return Scored(value, influence)
