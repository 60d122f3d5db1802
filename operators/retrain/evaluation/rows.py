"""The rows to judge on: aligned, checked, and whether they can carry a verdict at all."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from retrain.evaluation.arrays import check_shape, class_codes, count_bad, flaw, numbers, plain, sortable
from retrain.evaluation.metrics import Metric
from retrain.evaluation.rules import Outcome
from retrain.exceptions import DataError
from retrain.records import GateStatus

if TYPE_CHECKING:
    from retrain.evaluation.arrays import Array
    from retrain.evaluation.influence import Bools, Floats

# Below these, a confidence interval says more about its assumptions than about the models.
MIN_ROWS = 30
MIN_CLASS_ROWS = 5


@dataclass(frozen=True)
class Rows:
    """The rows that both models scored, aligned and with positive weights. `champion` is None at the cold start."""

    y: "Array"
    champion: "Array | None"
    challenger: "Array"
    weight: "Floats"

    def part(self, mask: "Bools") -> "Rows":
        """Return the rows of the mask."""
        champion = None if self.champion is None else self.champion[mask]
        return Rows(self.y[mask], champion, self.challenger[mask], self.weight[mask])

    def encoded(self, metric: Metric) -> "Rows":
        """Return the rows with classes as column numbers where the metric takes probabilities.

        Done on all rows at once, because a slice may lack a class.
        """
        if metric.takes != "proba":
            return self
        columns = 2 if self.challenger.ndim == 1 else self.challenger.shape[1]
        return replace(self, y=class_codes(self.y, columns))


def align(
    y_true: Any, champion: Any | None, challenger: Any, sample_weight: Any, metric: Metric
) -> tuple[Rows, "Bools"]:
    """Return the rows with a positive weight, and which those are; DataError names what does not fit."""
    import numpy as np

    y = plain(y_true)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1:
        raise DataError(f"y_true has the shape {y.shape}", expected="one label or value per row")
    if bad := count_bad(y):
        raise DataError(
            f"{bad:,} of {len(y):,} rows of y_true have no finite label",
            expected="labelled rows only",
            remedy="Judge on the rows whose labels have matured",
        )
    if metric.takes != "value":
        sortable(y)
    elif len(y):
        numbers(y, "y_true")
    weight = np.ones(len(y)) if sample_weight is None else plain(sample_weight)
    if weight.shape != y.shape or weight.dtype.kind not in "biuf" or count_bad(weight) or (weight < 0).any():
        raise DataError(
            f"sample_weight has the shape {weight.shape} and may hold negative, missing or infinite weights",
            expected=f"{len(y):,} finite weights >= 0",
        )
    used = weight > 0
    old = None if champion is None else check_shape("champion", plain(champion), len(y), metric.takes)[used]
    new = check_shape("challenger", plain(challenger), len(y), metric.takes)[used]
    return Rows(y[used], old, new, weight[used].astype(float)), used


def unfit(rows: Rows, metric: Metric) -> Outcome | None:
    """Say why these rows cannot carry a verdict on the models; None where they can."""
    if wrong := flaw(rows.challenger, metric.takes):
        return Outcome(GateStatus.FAIL, (f"the challenger cannot be scored: {wrong}",))
    if rows.champion is not None and (wrong := flaw(rows.champion, metric.takes)):
        return Outcome(
            GateStatus.INCONCLUSIVE, (f"the champion cannot be scored, so there is nothing to compare with: {wrong}",)
        )
    return few(rows, metric) or _constant(rows, metric)


def _constant(rows: Rows, metric: Metric) -> Outcome | None:
    """Refuse a challenger whose scores or values are the same for every row: it has learned nothing, or is broken.

    Labels are let through: where a class is rare, a good model may name the other one on every row. Two such models
    are told apart by their accuracy, but not by a metric that gives every constant the same value.
    """
    constant, before = _is_constant(rows.challenger), rows.champion is not None and _is_constant(rows.champion)
    if not constant or not metric.differs or (metric.takes == "label" and not (before and metric.balanced)):
        return None
    said = f"the challenger predicts the same for all {len(rows.y):,} rows ({_shown(rows.challenger[0])})"
    if before:
        return Outcome(GateStatus.INCONCLUSIVE, (f"{said}, and so does the champion: nothing to compare",))
    return Outcome(GateStatus.FAIL, (f"{said}, as if the features did not reach it",))


def _is_constant(prediction: "Array") -> bool:
    return bool((prediction == prediction[0]).all())


def _shown(prediction: Any) -> str:
    import numpy as np

    return np.array2string(np.asarray(prediction), precision=4, threshold=5)


def few(rows: Rows, metric: Metric) -> Outcome | None:
    """Say that these rows are too few, as a whole or of a class; None where they are enough."""
    import numpy as np

    n = len(rows.y)
    if n < MIN_ROWS:
        reason = f"{n} {'row' if n == 1 else 'rows'} to judge on, at least {MIN_ROWS} are needed"
        return Outcome(GateStatus.INCONCLUSIVE, (reason,), MIN_ROWS)
    share = rows.weight / rows.weight.max()
    effective = float(share.sum() ** 2 / (share**2).sum())  # Kish (1965)
    if effective < MIN_ROWS:
        reason = f"the weights rest on few rows: {n:,} count as {effective:.3g}, at least {MIN_ROWS} are needed"
        return Outcome(GateStatus.INCONCLUSIVE, (reason,), math.ceil(n * MIN_ROWS / effective))
    if metric.takes == "value":
        return None
    classes, counts = np.unique(rows.y, return_counts=True)
    if len(classes) == 1:
        # No row of another class among n: its share is likely below 3 / n.
        needed = math.ceil(n * MIN_CLASS_ROWS / 3)
        reason = f"all {n:,} rows are of the class {classes[0]}; a classifier is judged on rows of each class"
        return Outcome(GateStatus.INCONCLUSIVE, (reason,), needed)
    if metric.takes == "score" and metric.scorer and len(classes) > 2:
        return None  # no number of rows helps: the metric refuses more than two classes
    rarest = int(counts.min())
    if metric.by_class and rarest < MIN_CLASS_ROWS:
        label = classes[counts.argmin()]
        reason = f"only {rarest} of {n:,} rows are of the class {label}, at least {MIN_CLASS_ROWS} are needed"
        return Outcome(GateStatus.INCONCLUSIVE, (reason,), math.ceil(n * MIN_CLASS_ROWS / rarest))
    return None
