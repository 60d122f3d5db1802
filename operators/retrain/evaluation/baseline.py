"""The trivial baseline: the best prediction that ignores the features."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrain.evaluation.arrays import Array
    from retrain.evaluation.influence import Floats
    from retrain.evaluation.metrics import Metric

# Only so many labels, the most frequent ones, are tried.
MOST_LABELS = 20
SEED = 20


def trivial(metric: "Metric", y: "Array", like: "Array", weight: "Floats") -> "Array":
    """Return one constant prediction per row, the best by the metric on these very rows.

    Share of the classes for probabilities, a constant for scores, one label for labels (also where that is "always
    positive", which is hard to beat by F1), mean or median for values. It is fitted on the rows it is judged on, which
    makes it slightly harder to beat.

    "Always positive" has all the recall there is, so by recall it is the prediction's own labels in another order: as
    many positives, drawn without a look at the features.
    """
    import numpy as np

    rows = len(y)
    if metric.takes == "score":
        return np.zeros(rows)
    if metric.takes == "proba":
        return _shares(y, like, weight)
    if metric.name in ("recall", "recall_score"):
        return np.random.default_rng(SEED).permutation(like)
    if metric.takes == "label":
        labels, counts = np.unique(y, return_counts=True)
        often = np.argsort(-counts, kind="stable")[:MOST_LABELS]
        choices = [np.full(rows, label) for label in labels[often]]
    else:
        choices = [np.full(rows, float(np.average(y, weights=weight))), np.full(rows, _median(y, weight))]
    return max(choices, key=lambda constant: metric.sign * metric.score(y, constant, weight))


def _shares(y: "Array", like: "Array", weight: "Floats") -> "Array":
    import numpy as np

    from retrain.evaluation.arrays import class_codes

    columns = 2 if like.ndim == 1 else like.shape[1]
    shares = np.bincount(class_codes(y, columns), weight, columns) / weight.sum()
    return np.full(len(y), shares[1]) if like.ndim == 1 else np.tile(shares, (len(y), 1))


def _median(y: "Array", weight: "Floats") -> float:
    import numpy as np

    order = np.argsort(y)
    reached = np.cumsum(weight[order])
    return float(y[order][np.searchsorted(reached, reached[-1] / 2)])
