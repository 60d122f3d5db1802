"""Conditions of a gate beyond the main rule: each one's terms, as plain JSON, and how it is judged.

Every condition must pass for the gate to pass (so none needs a correction for the others: an intersection-union test,
Berger 1982); within a condition over slices or groups the error is controlled over all of them together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrain.evaluation.calibration import calibration
from retrain.evaluation.evidence import Evidence, Finding
from retrain.evaluation.fairness import RATES, fairness_gap
from retrain.evaluation.gate import judge
from retrain.evaluation.limits import Custom, DataAge, Latency, ModelSize
from retrain.evaluation.losses import row_losses
from retrain.evaluation.metrics import get_metric
from retrain.evaluation.slicing import find_slices, slices_by, slices_where
from retrain.exceptions import DataError, DeclarationError
from retrain.records import GateStatus
from retrain.records._codec import Record

PASS, FAIL, INCONCLUSIVE = GateStatus.PASS, GateStatus.FAIL, GateStatus.INCONCLUSIVE


@dataclass(frozen=True)
class Minimum(Record):
    """The challenger's metric reaches `value` (for a loss: stays at or below it), as it was measured."""

    value: float
    metric: str | None = None
    kind: str = "minimum"

    def check(self, evidence: Evidence) -> Finding:
        """Compare the value on the rows with the limit."""
        metric = get_metric(self.metric or evidence.metric)
        prediction = evidence.prediction("challenger", metric.takes)
        value = metric.score(evidence.y_true, prediction, evidence.sample_weight)
        least = "least" if metric.greater_is_better else "most"
        limit = f"{metric.name} {value:.4g}; at {least} {self.value:.4g} is asked"
        if not math.isfinite(value):
            return Finding(INCONCLUSIVE, f"{metric.name} cannot be computed on these rows", limit=self.value)
        kept = metric.sign * (value - self.value) >= 0
        return Finding(PASS if kept else FAIL, limit, value, self.value)


@dataclass(frozen=True)
class Compared(Record):
    """Another metric is not worse than the champion's by `margin`, or with `rule="superior"` better by it."""

    metric: str
    margin: float
    rule: str = "non_inferior"
    confidence: float = 0.95
    kind: str = "compared"

    def check(self, evidence: Evidence) -> Finding:
        """Judge this metric by the same rules as the main one."""
        takes = get_metric(self.metric).takes
        verdict = judge(
            evidence.y_true,
            evidence.prediction("champion", takes),
            evidence.prediction("challenger", takes),
            metric=self.metric,
            margin=self.margin,
            rule=self.rule,
            confidence=self.confidence,
            sample_weight=evidence.sample_weight,
        )
        interval = None if verdict.interval is None else (verdict.interval[0], verdict.interval[1])
        reason = "; ".join(verdict.reasons)
        return Finding(verdict.status, reason, verdict.difference, self.margin, interval, verdict.rows_needed)


@dataclass(frozen=True)
class Slices(Record):
    """No slice is worse than the champion by more than `margin` (in units of the main metric).

    `by`: columns whose values are slices; `where`: name to expression; `found`: so many slices searched for on half of
    the rows where the challenger's loss exceeds the champion's most, and judged on the other half. Holm's method over
    all. `strict`: a slice that is neither harmed nor shown to be within the margin makes it inconclusive.
    """

    margin: float
    by: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    found: int = 0
    confidence: float = 0.95
    strict: bool = False
    kind: str = "slices"

    def check(self, evidence: Evidence) -> Finding:
        """Judge all slices together."""
        if evidence.champion is None:
            return Finding(PASS, "there is no champion to compare slices with")
        metric = get_metric(evidence.metric)
        predictions = {who: evidence.prediction(who, metric.takes) for who in ("champion", "challenger")}
        verdict = judge(
            evidence.y_true,
            **predictions,
            metric=metric,
            margin=self.margin,
            confidence=self.confidence,
            slices=self._masks(evidence, predictions, metric.takes),
            sample_weight=evidence.sample_weight,
        )
        return self._finding(verdict.slices)

    def _masks(self, evidence: Evidence, predictions: Mapping[str, Any], takes: Any) -> dict[str, Any]:
        frame = evidence.columns("a condition over slices")
        masks: dict[str, Any] = {**slices_by(frame, self.by), **slices_where(frame, self.where)}
        if self.found:
            losses = {who: row_losses(evidence.y_true, given, takes=takes) for who, given in predictions.items()}
            found = find_slices(frame, losses["challenger"] - losses["champion"], most=self.found)
            masks.update({f"found: {slice_.name}": slice_.mask for slice_ in found})
        return masks

    def _finding(self, slices: Mapping[str, Mapping[str, Any]]) -> Finding:
        harmed = [name for name, part in slices.items() if part["status"] is FAIL]
        unsure = [name for name, part in slices.items() if part["status"] is INCONCLUSIVE]
        said = (
            f"{len(slices) - len(harmed) - len(unsure)} of {len(slices)} slices are within the margin {self.margin:.4g}"
        )
        if harmed:
            worst = min(harmed, key=lambda name: slices[name]["difference"])
            said = f"{len(harmed)} of {len(slices)} slices are worse by more than the margin {self.margin:.4g}"
            said += f", the worst {worst!r} by {-slices[worst]['difference']:.4g} on {slices[worst]['rows']:,} rows"
        elif unsure:
            said += f", {len(unsure)} cannot be told ({', '.join(unsure[:3])})"
        status = FAIL if harmed else INCONCLUSIVE if unsure and self.strict else PASS
        return Finding(status, said, float(len(harmed)), 0.0, slices=slices)


@dataclass(frozen=True)
class CalibrationError(Record):
    """The expected calibration error of the challenger's probabilities is at most `maximum`, with confidence."""

    maximum: float
    confidence: float = 0.95
    kind: str = "calibration"

    def check(self, evidence: Evidence) -> Finding:
        """Pass when the whole interval is at or below the maximum, fail when it lies above."""
        proba = evidence.prediction("challenger", "proba")
        found = calibration(evidence.y_true, proba, sample_weight=evidence.sample_weight, confidence=self.confidence)
        low, high = found.interval
        said = (
            f"expected calibration error {found.error:.4g} on {found.rows:,} rows, {100 * self.confidence:.4g}% "
            f"interval [{low:.4g}, {high:.4g}]; at most {self.maximum:.4g} is asked (Brier {found.brier:.4g}: "
            f"reliability {found.reliability:.4g}, resolution {found.resolution:.4g}, "
            f"uncertainty {found.uncertainty:.4g})"
        )
        needed = None
        if low <= self.maximum < high:
            gap = self.maximum - low if found.error > self.maximum else self.maximum - found.error
            needed = math.ceil(found.rows * max(1.01, ((high - found.error) / gap) ** 2)) if gap > 0 else None
        return Finding(_between(low, high, self.maximum), said, found.error, self.maximum, found.interval, needed)


@dataclass(frozen=True)
class FairnessGap(Record):
    """The widest gap of `metric` between the values of `column` is at most `maximum`, with confidence.

    `metric` may also be `selection_rate` or `false_positive_rate`. `groups` names the values to compare (all).
    """

    column: str
    maximum: float
    metric: str = "selection_rate"
    groups: tuple[str, ...] = ()
    confidence: float = 0.95
    kind: str = "fairness_gap"

    def check(self, evidence: Evidence) -> Finding:
        """Pass when the whole interval of the gap is at or below the maximum, fail when it lies above."""
        masks = slices_by(evidence.columns("a fairness gap"), [self.column])
        wanted = {f"{self.column}={value}" for value in self.groups}
        if unknown := sorted(wanted - set(masks)):
            raise DataError(f"there are no groups {unknown}", expected=f"some of {sorted(masks)[:20]}")
        takes = "label" if self.metric in RATES else get_metric(self.metric).takes
        gap = fairness_gap(
            evidence.y_true,
            evidence.prediction("challenger", takes),
            {name: mask for name, mask in masks.items() if not wanted or name in wanted},
            metric=self.metric,
            confidence=self.confidence,
            sample_weight=evidence.sample_weight,
        )
        if gap.size is None or gap.interval is None or gap.low is None or gap.high is None:
            return Finding(INCONCLUSIVE, f"fewer than two groups of {self.column} have enough rows", limit=self.maximum)
        said = (
            f"{gap.metric} is {gap.values[gap.high]:.4g} for {gap.high} and {gap.values[gap.low]:.4g} for {gap.low}: "
            f"a gap of {gap.size:.4g}, interval [{gap.interval[0]:.4g}, {gap.interval[1]:.4g}]; "
            f"at most {self.maximum:.4g} is asked"
        )
        if gap.left_out:
            said += f"; left out for too few rows: {', '.join(gap.left_out[:5])}"
        status = _between(*gap.interval, self.maximum)
        return Finding(status, said, gap.size, self.maximum, gap.interval)


Condition = Minimum | Compared | Slices | CalibrationError | FairnessGap | Latency | ModelSize | DataAge | Custom
_KINDS: dict[str, Any] = {
    "minimum": Minimum,
    "compared": Compared,
    "slices": Slices,
    "calibration": CalibrationError,
    "fairness_gap": FairnessGap,
    "latency": Latency,
    "model_size": ModelSize,
    "data_age": DataAge,
    "custom": Custom,
}


def conditions_from_dicts(documents: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Rebuild conditions from their `to_dict`; DeclarationError names an unknown kind."""
    for document in documents:
        if document.get("kind") not in _KINDS:
            raise DeclarationError(f"the condition is {document.get('kind')!r}", expected=" | ".join(_KINDS))
    return tuple(_KINDS[document["kind"]].from_dict(document) for document in documents)


def _between(low: float, high: float, maximum: float) -> GateStatus:
    return PASS if high <= maximum else FAIL if low > maximum else INCONCLUSIVE
