"""A metric of one's own, named in a declaration: `package.module:function[takes]`, with `lower` where lower is better.

`shop.metrics:profit[label]` and `shop.metrics:cost[value, lower]` are two. The function is imported when it is first
called, from where the caller lets imports look; it gets the true values, the predictions and the weights as arrays.

Where there is no declaration, in a notebook, the function itself will do: `of_function`.
"""

import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from retrain.evaluation.arrays import Takes, plain
from retrain.evaluation.metrics import Metric, get_metric, metric_names
from retrain.exceptions import ConfigurationError, DeclarationError

_FORM = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)\[(?P<takes>\w+)(?:, ?(?P<way>\w+))?\]")
_TAKES = ("score", "label", "value", "proba")
# How scikit-learn ends the names of what is better when lower.
_LOWER = ("_error", "_loss", "_deviance")
_EXPECTED = "package.module:function[takes], or [takes, lower] where lower is better; takes: " + " | ".join(_TAKES)


def own_metric(name: str) -> Metric:
    """Return the metric; ConfigurationError for a name of another form. Imports nothing."""
    found = _FORM.fullmatch(name)
    if found is None or found["takes"] not in _TAKES or found["way"] not in (None, "lower", "higher"):
        raise ConfigurationError(f"the metric is {name!r}", expected=_EXPECTED)
    return Metric(found["name"], found["way"] != "lower", found["takes"], Named(found["module"], found["name"]))  # type: ignore[arg-type]


def metric_of(metric: "str | Metric | Callable[..., Any]", y_true: Any, prediction: Any) -> Metric:
    """Return the metric of a name, or of a function that is asked about these rows."""
    if isinstance(metric, str | Metric) or not callable(metric):
        return get_metric(metric)
    return of_function(metric, y_true, prediction)


def of_function(function: Callable[..., Any], y_true: Any, prediction: Any) -> Metric:
    """Return the metric of `function(y_true, prediction)`, or with `sample_weight` as a third parameter.

    Higher is better, unless its name ends as scikit-learn's losses do: `_error`, `_loss`, `_deviance`. Scikit-learn's
    own functions are taken by their names. Otherwise give a `Metric`, which says all of it.
    """
    name = getattr(function, "__name__", type(function).__name__)
    if name in metric_names() and str(getattr(function, "__module__", "")).startswith("sklearn.metrics"):
        return get_metric(name)
    return Metric(name, not name.endswith(_LOWER), _taken(y_true, prediction), Plain(function, _weighted(function)))


def _taken(y_true: Any, prediction: Any) -> Takes:
    """Tell n x k probabilities, and labels from values: a target of whole numbers, text or truths has classes."""
    y, array = plain(y_true), plain(prediction)
    if array.ndim == 2 and array.shape[1] > 1:
        return "proba"
    return "value" if y.dtype.kind == "f" and not (y == y.round()).all() else "label"


def _weighted(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(one.name == "sample_weight" for one in parameters)


@dataclass(frozen=True)
class Plain:
    """A function of the true values and the predictions, and of weights where it names them."""

    function: Callable[..., Any]
    weighted: bool

    def __call__(self, y_true: Any, prediction: Any, sample_weight: Any) -> float:
        """Call the function; TypeError where there are weights and it takes none."""
        if self.weighted:
            return float(self.function(y_true, prediction, sample_weight=sample_weight))
        if not (sample_weight == sample_weight[0]).all():
            raise TypeError("it has no parameter sample_weight, and the rows have different weights")
        return float(self.function(y_true, prediction))


@dataclass(frozen=True)
class Named:
    """A function by its name."""

    module: str
    name: str

    def __call__(self, y_true: Any, prediction: Any, sample_weight: Any) -> float:
        """Import the function and call it."""
        return float(self.load()(y_true, prediction, sample_weight))

    def load(self) -> Callable[[Any, Any, Any], Any]:
        """Import the function; DeclarationError when it is not there."""
        try:
            found: Callable[[Any, Any, Any], Any] = getattr(importlib.import_module(self.module), self.name)
        except (ImportError, AttributeError) as error:
            raise DeclarationError(
                f"the metric {self.module}:{self.name} cannot be imported: {error}",
                expected="module:function of the project",
            ) from error
        return found
