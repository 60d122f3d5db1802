"""Metrics that scikit-learn computes and that have no influence function here: judged by a paired bootstrap."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrain.evaluation.arrays import Takes

    Function = Callable[[Any, Any, Any], float]


def gains() -> "list[tuple[str, Takes, Function]]":
    """Return name, what it takes and the function of those that are better when higher."""
    return [
        ("explained_variance", "value", sklearn_metric("explained_variance_score")),
        ("d2_absolute_error_score", "value", sklearn_metric("d2_absolute_error_score")),
        ("roc_auc_ovo", "proba", _one_vs_one("macro")),
        ("roc_auc_ovo_weighted", "proba", _one_vs_one("weighted")),
    ]


def losses() -> "list[tuple[str, Takes, Function]]":
    """Return the same of those that are better when lower; each has a `neg_` of its own."""
    names = (
        "median_absolute_error",
        "mean_squared_log_error",
        "root_mean_squared_log_error",
        "mean_poisson_deviance",
        "mean_gamma_deviance",
    )
    return [(name, "value", sklearn_metric(name)) for name in names]


def sklearn_metric(name: str, **options: Any) -> "Function":
    """Return the function of `sklearn.metrics`, imported when it is called."""

    def function(y: Any, prediction: Any, weight: Any) -> float:
        import sklearn.metrics

        # Without weights scikit-learn takes a path that is several times faster.
        weights = None if (weight == weight[0]).all() else weight
        return float(getattr(sklearn.metrics, name)(y, prediction, sample_weight=weights, **options))

    return function


def _one_vs_one(average: str) -> "Function":
    """Return the mean area under the ROC curve over all pairs of classes; `y` are columns of the probabilities."""

    def function(y: Any, prediction: Any, weight: Any) -> float:
        import numpy as np
        from sklearn.metrics import roc_auc_score

        if not (weight == weight[0]).all():
            raise ValueError("scikit-learn's one-vs-one takes no sample_weight; roc_auc_ovr does")
        there = np.unique(y)
        if prediction.ndim == 1 or prediction.shape[1] == 2:
            return float(roc_auc_score(y, prediction if prediction.ndim == 1 else prediction[:, 1]))
        if len(there) < prediction.shape[1]:
            raise ValueError(f"{prediction.shape[1]} columns and rows of {len(there)} classes; roc_auc_ovr takes those")
        return float(roc_auc_score(y, prediction, multi_class="ovo", average=average, labels=there))

    return function
