"""Metrics of the confusion matrix as functions of three totals per class; undefined ratios count 0.

`hits`, `predicted` and `true` are arrays over the classes, as shares of the whole weight. All of it also holds for
complex arrays, by which `influence.confusion` differentiates it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    from retrain.evaluation.influence import Totals

    Array = npt.NDArray[Any]
    Ratio = Callable[[Array, Array, Array], Array]


# The sum of the shares of a side that is constant differs from 1 by less; one row of a hundred million makes more.
ROUNDING = 1e-9


def _divide(over: "Array", under: "Array") -> "Array":
    import numpy as np

    quotient: Array = np.divide(over, under, out=np.zeros_like(over), where=np.real(under) > 0)
    return quotient


def f1(hits: "Array", predicted: "Array", true: "Array") -> "Array":
    """F1 per class."""
    return _divide(2 * hits, predicted + true)


def precision(hits: "Array", predicted: "Array", true: "Array") -> "Array":  # noqa: ARG001
    """Precision per class."""
    return _divide(hits, predicted)


def recall(hits: "Array", predicted: "Array", true: "Array") -> "Array":  # noqa: ARG001
    """Recall per class."""
    return _divide(hits, true)


def jaccard(hits: "Array", predicted: "Array", true: "Array") -> "Array":
    """Jaccard index per class: what both name, of what either names."""
    return _divide(hits, predicted + true - hits)


def one_class(ratio: "Ratio", index: int) -> "Totals":
    """Return the ratio of one class, the positive one."""
    return lambda hits, predicted, true: ratio(hits, predicted, true)[index]


def macro(ratio: "Ratio", hits: "Array", predicted: "Array", true: "Array") -> Any:
    """Plain mean over the classes that are there or are predicted."""
    import numpy as np

    return ratio(hits, predicted, true)[np.real(predicted + true) > 0].mean()


def weighted(ratio: "Ratio", hits: "Array", predicted: "Array", true: "Array") -> Any:
    """Mean over the classes by how often they are there."""
    return (ratio(hits, predicted, true) * true).sum() / true.sum()


def micro(ratio: "Ratio", hits: "Array", predicted: "Array", true: "Array") -> Any:
    """Compute the ratio of the summed totals; with one label per row it is the accuracy."""
    return ratio(hits.sum(keepdims=True), predicted.sum(keepdims=True), true.sum(keepdims=True))[0]


def accuracy(hits: "Array", predicted: "Array", true: "Array") -> Any:  # noqa: ARG001
    """Share of right predictions."""
    return hits.sum() / true.sum()


def balanced_accuracy(hits: "Array", predicted: "Array", true: "Array") -> Any:
    """Mean recall of the classes that are there."""
    import numpy as np

    return recall(hits, predicted, true)[np.real(true) > 0].mean()


def matthews_corrcoef(hits: "Array", predicted: "Array", true: "Array") -> Any:
    """Matthews' correlation, for any number of classes; 0 where one side is constant."""
    import numpy as np

    n = true.sum()
    spreads = n**2 - (predicted**2).sum(), n**2 - (true**2).sum()
    if min(np.real(spread) for spread in spreads) < ROUNDING:
        return n * 0
    return (hits.sum() * n - (predicted * true).sum()) / (spreads[0] * spreads[1]) ** 0.5
