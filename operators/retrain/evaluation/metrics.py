"""The metrics by their scikit-learn names: which way is better, what they take, their value and influences."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.evaluation import confusion, influence, ranking, resampled
from retrain.evaluation.arrays import (
    Takes,
    binary_codes,
    check_shape,
    class_codes,
    flaw,
    label_codes,
    numbers,
    plain,
)
from retrain.evaluation.influence import Scored
from retrain.exceptions import ConfigurationError, DeclarationError, UserCodeError

if TYPE_CHECKING:
    from retrain.evaluation.arrays import Array
    from retrain.evaluation.influence import Floats

    Scorer = Callable[[Array, Array, Floats], Scored]


@dataclass(frozen=True)
class Metric:
    """A metric: its name, its direction and what it takes.

    `takes`: "score" (one number per row that ranks, for two classes), "proba" (probabilities: n x k, or of the positive
    class alone), "label" or "value". A metric of one's own gives `function(y_true, prediction, sample_weight)`; it is
    judged by a paired bootstrap.

    `differs`: predictions that are the same for every row mean that something is broken. `k`: it is asked of the first
    k of each query (0: of all), and by itself has no value; see `retrain.evaluation.per_query`.
    """

    name: str
    greater_is_better: bool
    takes: Takes
    function: Callable[[Any, Any, Any], float] | None = None
    scorer: "Scorer | None" = field(default=None, repr=False)
    differs: bool = field(default=True, repr=False)
    k: int | None = field(default=None, repr=False)

    @property
    def by_class(self) -> bool:
        """Whether rows are compared across classes."""
        return self.takes == "score" or self.name.startswith("roc_auc")

    @property
    def balanced(self) -> bool:
        """Whether every constant prediction has the same value."""
        return self.name in ("matthews_corrcoef", "balanced_accuracy", "balanced_accuracy_score")

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.greater_is_better else -1

    def score(self, y_true: Any, prediction: Any, sample_weight: Any = None) -> float:
        """Return the value, as scikit-learn does; NaN for predictions that are not finite or not probabilities."""
        import numpy as np

        y = plain(y_true)
        array = check_shape("prediction", plain(prediction), len(y), self.takes)
        if flaw(array, self.takes):
            return float("nan")
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        keep = weight > 0
        return self.value(y[keep], array[keep], weight[keep])

    def value(self, y: "Array", prediction: "Array", weight: "Floats") -> float:
        """Return the value alone; UserCodeError where a function of one's own raises or gives no finite number."""
        if self.function is None:
            return self.scored(y, prediction, weight).value
        try:
            value = float(self.function(y, prediction, weight))
        except DeclarationError:
            raise
        except Exception as error:
            raise UserCodeError(
                f"metric {self.name!r} raised {type(error).__name__}: {error}",
                expected="function(y_true, prediction, sample_weight) -> float",
                remedy="Try the function on the kept predictions",
            ) from error
        if not math.isfinite(value):
            raise UserCodeError(f"metric {self.name!r} returned {value}", expected="a finite number")
        return value

    def scored(self, y: "Array", prediction: "Array", weight: "Floats") -> Scored:
        """Return value and influences; `y` and `prediction` checked, `weight` positive."""
        if self.scorer is None:
            raise ConfigurationError(f"{self.name} has no influence function", expected="a built-in metric")
        return self.scorer(y, prediction, weight)


def get_metric(name: str | Metric) -> Metric:
    """Return the metric of that scikit-learn name; ConfigurationError names the known ones.

    `package.module:function[takes]` names a function of one's own (see `retrain.evaluation.own_metric`).
    """
    if isinstance(name, Metric):
        return name
    if not isinstance(name, str):
        raise ConfigurationError(
            f"the metric is {name!r}",
            expected="a name, or a retrain.evaluation.Metric",
            remedy="Name it as scikit-learn does (roc_auc), or give Metric(name, greater_is_better, takes, function)",
        )
    if ":" in name:
        from retrain.evaluation.own_metric import own_metric

        return own_metric(name)
    if name.startswith("ndcg"):
        from retrain.evaluation.per_query import ndcg_metric

        return ndcg_metric(name)
    known = _metrics()
    if name not in known:
        raise ConfigurationError(
            f"unknown metric {name!r}",
            expected=f"one of {', '.join(sorted(known))}",
            remedy="Choose one of these, or name a function of your own: package.module:function[takes]",
        )
    return known[name]


def metric_names() -> tuple[str, ...]:
    """Return the known names, sorted."""
    return tuple(sorted(_metrics()))


def _label_scorer(function: "influence.Totals") -> "Scorer":
    def score(y: "Array", prediction: "Array", weight: "Floats") -> Scored:
        codes, predicted, classes = label_codes(y, prediction)
        return influence.confusion(codes, predicted, weight, len(classes), function)

    return score


def _binary_scorer(name: str, function: "Callable[[int], influence.Totals]") -> "Scorer":
    def score(y: "Array", prediction: "Array", weight: "Floats") -> Scored:
        positive = y[binary_codes(y, name) == 1][0]
        codes, predicted, classes = label_codes(y, prediction)
        if len(classes) > 2:
            raise ConfigurationError(
                f"{name} is for two classes and the prediction adds others: {list(classes)[:5]}",
                expected="the labels of y_true",
                remedy=f"Use {name}_macro, or predict labels instead of scores",
            )
        index = int(next(i for i, label in enumerate(classes) if label == positive))
        return influence.confusion(codes, predicted, weight, len(classes), function(index))

    return score


def _rank_scorer(name: str, function: "Scorer") -> "Scorer":
    def score(y: "Array", prediction: "Array", weight: "Floats") -> Scored:
        return function(binary_codes(y, name), prediction.astype(float), weight)

    return score


def _proba_scorer(function: "Scorer") -> "Scorer":
    def score(y: "Array", prediction: "Array", weight: "Floats") -> Scored:
        import numpy as np

        proba = prediction.astype(float)
        proba = np.column_stack([1 - proba, proba]) if proba.ndim == 1 else proba
        return function(class_codes(y, proba.shape[1]), proba, weight)

    return score


def _value_scorer(function: "Scorer") -> "Scorer":
    def score(y: "Array", prediction: "Array", weight: "Floats") -> Scored:
        return function(numbers(y, "y_true"), prediction.astype(float), weight)

    return score


def log_losses(y: "Array", proba: "Floats") -> "Floats":
    """Return each row's log loss; probabilities are kept off zero by the float's precision, as scikit-learn does."""
    import numpy as np

    epsilon = np.finfo(np.float64).eps
    losses: Floats = -np.log(np.clip(proba[np.arange(len(y)), y], epsilon, 1 - epsilon))
    return losses


def _brier(y: "Array", proba: "Floats", weight: "Floats") -> Scored:
    import numpy as np

    if proba.shape[1] == 2:  # Brier's own sum over both classes would be twice the usual number
        return influence.mean((proba[:, 1] - y) ** 2, weight)
    return influence.mean(((proba - np.eye(proba.shape[1])[y]) ** 2).sum(axis=1), weight)


def _absolute_percentage(y: "Floats", prediction: "Floats", weight: "Floats") -> Scored:
    import numpy as np

    floor = np.finfo(np.float64).eps
    return influence.mean(np.abs(prediction - y) / np.maximum(np.abs(y), floor), weight)


def _negated(metric: Metric, name: str) -> Metric:
    scorer, function = metric.scorer, metric.function

    def score(y: "Array", prediction: "Array", weight: "Floats") -> Scored:
        scored = scorer(y, prediction, weight)  # type: ignore[misc]
        return Scored(-scored.value, -scored.influence, scored.flip)

    negative = None if function is None else lambda y, prediction, weight: -function(y, prediction, weight)
    return Metric(name, not metric.greater_is_better, metric.takes, negative, score if scorer else None)


def _gains() -> list[tuple[tuple[str, ...], Takes, "Scorer"]]:
    ovr = functools.partial(ranking.roc_auc_one_vs_rest, weighted=False)
    ovr_weighted = functools.partial(ranking.roc_auc_one_vs_rest, weighted=True)
    rows: list[tuple[tuple[str, ...], Takes, Scorer]] = [
        (("roc_auc", "roc_auc_score"), "score", _rank_scorer("roc_auc", ranking.roc_auc)),
        (
            ("average_precision", "average_precision_score"),
            "score",
            _rank_scorer("average_precision", ranking.average_precision),
        ),
        (("roc_auc_ovr",), "proba", _proba_scorer(ovr)),
        (("roc_auc_ovr_weighted",), "proba", _proba_scorer(ovr_weighted)),
        (("accuracy", "accuracy_score"), "label", _label_scorer(confusion.accuracy)),
        (("balanced_accuracy", "balanced_accuracy_score"), "label", _label_scorer(confusion.balanced_accuracy)),
        (("matthews_corrcoef",), "label", _label_scorer(confusion.matthews_corrcoef)),
        (("r2", "r2_score"), "value", _value_scorer(influence.r_squared)),
    ]
    ratios = {
        "f1": confusion.f1,
        "precision": confusion.precision,
        "recall": confusion.recall,
        "jaccard": confusion.jaccard,
    }
    for name, ratio in ratios.items():
        one = functools.partial(confusion.one_class, ratio)
        rows.append(((name, f"{name}_score"), "label", _binary_scorer(name, one)))
        for average in ("macro", "micro", "weighted"):
            averaged = functools.partial(getattr(confusion, average), ratio)
            rows.append(((f"{name}_{average}",), "label", _label_scorer(averaged)))
    return rows


def _losses() -> list[tuple[tuple[str, ...], tuple[str, ...], Takes, "Scorer"]]:
    log = _proba_scorer(lambda y, proba, weight: influence.mean(log_losses(y, proba), weight))
    squared = _value_scorer(lambda y, value, weight: influence.mean((y - value) ** 2, weight))
    absolute = _value_scorer(lambda y, value, weight: influence.mean(abs(y - value), weight))
    return [
        (("log_loss",), ("neg_log_loss",), "proba", log),
        (("brier", "brier_score", "brier_score_loss"), ("neg_brier_score",), "proba", _proba_scorer(_brier)),
        (("mse", "mean_squared_error"), ("neg_mean_squared_error",), "value", squared),
        (
            ("rmse", "root_mean_squared_error"),
            ("neg_root_mean_squared_error",),
            "value",
            _value_scorer(influence.root_mean_squared),
        ),
        (("mae", "mean_absolute_error"), ("neg_mean_absolute_error",), "value", absolute),
        (
            ("mape", "mean_absolute_percentage_error"),
            ("neg_mean_absolute_percentage_error",),
            "value",
            _value_scorer(_absolute_percentage),
        ),
    ]


@functools.cache
def _metrics() -> Mapping[str, Metric]:
    metrics = [Metric(name, True, takes, scorer=scorer) for names, takes, scorer in _gains() for name in names]
    for names, negatives, takes, scorer in _losses():
        metrics += [Metric(name, False, takes, scorer=scorer) for name in names]
        metrics += [_negated(Metric(names[0], False, takes, scorer=scorer), name) for name in negatives]
    metrics += [Metric(name, True, takes, function) for name, takes, function in resampled.gains()]
    for name, takes, function in resampled.losses():
        loss = Metric(name, False, takes, function)
        metrics += [loss, _negated(loss, f"neg_{name}")]
    return {metric.name: metric for metric in metrics}
