"""A metric of one's own, named in a declaration: `package.module:function[takes]`, with `lower` where lower is better.

`shop.metrics:profit[label]` and `shop.metrics:cost[value, lower]` are two. The function is imported when it is first
called, from where the caller lets imports look; it gets the true values, the predictions and the weights as arrays.
"""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from retrain.evaluation.metrics import Metric
from retrain.exceptions import ConfigurationError, DeclarationError

_FORM = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)\[(?P<takes>\w+)(?:, ?(?P<way>\w+))?\]")
_TAKES = ("score", "label", "value", "proba")
_EXPECTED = "package.module:function[takes], or [takes, lower] where lower is better; takes: " + " | ".join(_TAKES)


def own_metric(name: str) -> Metric:
    """Return the metric; ConfigurationError for a name of another form. Imports nothing."""
    found = _FORM.fullmatch(name)
    if found is None or found["takes"] not in _TAKES or found["way"] not in (None, "lower", "higher"):
        raise ConfigurationError(f"the metric is {name!r}", expected=_EXPECTED)
    return Metric(found["name"], found["way"] != "lower", found["takes"], Named(found["module"], found["name"]))  # type: ignore[arg-type]


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
