"""Harm in parts of the data: a challenger that is better on the whole may be worse where it hurts.

A slice fails when it is worse by more than the margin at the strict level, corrected for the number of slices by Holm's
method (1979): among slices that are all within the margin, the chance that any of them fails stays below that level.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retrain.evaluation.arrays import plain
from retrain.exceptions import DataError
from retrain.records import GateStatus

if TYPE_CHECKING:
    from retrain.evaluation.influence import Bools
    from retrain.evaluation.paired import Estimate
    from retrain.evaluation.rules import Question


def masks(slices: Mapping[str, Any] | None, rows: int) -> dict[str, "Bools"]:
    """Check and return the boolean masks; a missing value is outside the slice."""
    import numpy as np

    if slices is not None and not isinstance(slices, Mapping):
        raise DataError(
            f"slices is a {type(slices).__name__}", expected="a mapping from the slice's name to a boolean mask"
        )
    checked = {}
    for name, values in (slices or {}).items():
        mask = plain(values)
        if mask.dtype.kind == "f":
            mask = np.nan_to_num(mask)
        if mask.ndim != 1 or len(mask) != rows or mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
            raise DataError(
                f"slice {name!r} is an array of shape {mask.shape} and type {mask.dtype}",
                expected=f"a boolean mask of {rows:,} rows",
                remedy="Compute the mask on the rows of y_true",
            )
        checked[str(name)] = mask.astype(bool)
    return checked


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def judged(estimates: Mapping[str, "Estimate"], question: "Question") -> dict[str, dict[str, Any]]:
    """Judge the slices together. The intervals hold simultaneously (Bonferroni)."""
    if not estimates:
        return {}
    confidence = 1 - (1 - question.confidence) / len(estimates)
    adjusted = holm([estimate.p_worse_than(-question.margin) for estimate in estimates.values()])
    documents = {}
    for (name, estimate), p_value in zip(estimates.items(), adjusted, strict=True):
        interval = estimate.interval(confidence)
        status = GateStatus.PASS if interval[0] > -question.margin else GateStatus.INCONCLUSIVE
        if p_value < 1 - question.strict:
            status = GateStatus.FAIL
        documents[name] = {
            "status": status,
            "rows": estimate.rows,
            "champion": estimate.champion,
            "challenger": estimate.challenger,
            "difference": estimate.difference,
            "interval": list(interval),
            "p_value": p_value,
        }
    return documents


def reasons(documents: Mapping[str, Mapping[str, Any]], question: "Question") -> tuple[str, ...]:
    """Say which slices are harmed and which could not be judged."""
    lines = []
    for name, document in documents.items():
        if document["status"] is GateStatus.FAIL:
            low, high = document["interval"]
            lines.append(
                f"slice {name!r} ({document['rows']:,} rows) is worse by more than the margin {question.margin:.4g}: "
                f"{document['difference']:+.4g}, interval [{low:+.4g}, {high:+.4g}], corrected for the number of slices"
            )
    if small := [name for name, document in documents.items() if "reason" in document]:
        lines.append(f"not judged, for too few rows: {len(small)} of {len(documents)} slices ({', '.join(small[:5])})")
    return tuple(lines)
