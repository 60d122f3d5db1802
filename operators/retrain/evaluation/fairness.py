"""Gaps of a metric between named groups, with an interval that holds for all pairs of groups together."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.evaluation import influence
from retrain.evaluation import slices as parts
from retrain.evaluation.arrays import plain, same_kind, sortable
from retrain.evaluation.influence import Scored
from retrain.evaluation.metrics import Metric, get_metric
from retrain.evaluation.rows import align, few
from retrain.exceptions import ConfigurationError

if TYPE_CHECKING:
    from retrain.evaluation.arrays import Array
    from retrain.evaluation.influence import Floats

# What may be compared between groups beside the metrics.
RATES = ("selection_rate", "false_positive_rate")


@dataclass(frozen=True)
class Gap:
    """The widest gap between two groups: by how much `metric` of `high` exceeds that of `low`.

    `interval` is for the absolute gap and holds for all pairs together (Bonferroni). `values` are the groups' values,
    `left_out` the groups of too few rows. All of it is None or empty where fewer than two groups can be judged.
    """

    metric: str
    values: Mapping[str, float]
    low: str | None = None
    high: str | None = None
    size: float | None = None
    interval: tuple[float, float] | None = None
    left_out: tuple[str, ...] = ()


def fairness_gap(
    y_true: Any,
    prediction: Any,
    groups: Mapping[str, Any],
    *,
    metric: str | Metric,
    confidence: float = 0.95,
    sample_weight: Any = None,
) -> Gap:
    """Compare a metric between groups (masks that do not overlap).

    Beside the metrics: `selection_rate` (share predicted positive: demographic parity) and `false_positive_rate`;
    `recall` is equal opportunity. The interval's ends are the widest lower and the widest upper end over the pairs.
    """
    import numpy as np
    from scipy.special import stdtrit

    rate = _rates().get(metric) if isinstance(metric, str) else None
    if rate is not None:
        y_true, prediction = _as_positives(y_true, prediction)
    chosen = rate or get_metric(metric)
    if chosen.scorer is None:
        raise ConfigurationError(f"{chosen.name} has no standard error", expected="a built-in metric or a rate")
    rows, used = align(y_true, None, prediction, sample_weight, chosen)
    rows = rows.encoded(chosen)
    masks = {name: mask[used] for name, mask in parts.masks(groups, len(used)).items()}
    if len(masks) > 1 and np.sum(list(masks.values()), axis=0).max() > 1:
        raise ConfigurationError("the groups overlap", expected="each row in one group at most")
    found: dict[str, tuple[float, float, int]] = {}
    for name, mask in masks.items():
        part = rows.part(mask)
        if few(part, chosen) is None:
            scored = chosen.scored(part.y, part.challenger, part.weight)
            # A group in which no row differs is not known for certain: one more row, counted against it.
            error = float(((scored.influence**2).sum() + scored.flip**2) ** 0.5)
            found[name] = (scored.value, error, len(part.y))
    left_out = tuple(name for name in masks if name not in found)
    values = {name: value for name, (value, _, _) in found.items()}
    pairs = list(itertools.combinations(sorted(found, key=values.__getitem__), 2))
    if not pairs:
        return Gap(chosen.name, values, left_out=left_out)
    level = 1 - (1 - confidence) / (2 * len(pairs))
    ends = []
    for low, high in pairs:
        size = values[high] - values[low]
        freedom = min(found[low][2], found[high][2]) - 1
        reach = float(stdtrit(freedom, level)) * float(np.hypot(found[low][1], found[high][1]))
        ends.append((max(0.0, size - reach), size + reach))
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    interval = (max(end[0] for end in ends), max(end[1] for end in ends))
    return Gap(chosen.name, values, low, high, values[high] - values[low], interval, left_out)


def _as_positives(y_true: Any, prediction: Any) -> "tuple[Array, Array]":
    """Return 1 for the positive label, which is the greater one of the whole target, and 0 for others."""
    import numpy as np

    y, predicted = plain(y_true), plain(prediction)
    same_kind(y, predicted)
    sortable(y)
    positive = np.unique(y)[-1:]
    return np.isin(y, positive).astype(int), np.isin(predicted, positive).astype(int)


def _rates() -> dict[str, Metric]:
    def selected(y: "Array", prediction: "Array", weight: "Floats") -> Scored:
        scored = influence.mean((prediction == 1).astype(float), weight)
        return Scored(scored.value, scored.influence, 1 / len(y))

    def false_positive(y: "Array", prediction: "Array", weight: "Floats") -> Scored:
        import numpy as np

        negative = y == 0
        within = influence.mean((prediction[negative] == 1).astype(float), weight[negative])
        spread = np.zeros(len(y))
        spread[negative] = within.influence
        return Scored(within.value, spread, 1 / max(int(negative.sum()), 1))

    return {
        "selection_rate": Metric("selection_rate", True, "value", scorer=selected),
        "false_positive_rate": Metric("false_positive_rate", False, "label", scorer=false_positive),
    }
