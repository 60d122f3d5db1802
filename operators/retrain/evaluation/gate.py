"""The gate: whether the challenger may replace the champion."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from retrain.evaluation import rules
from retrain.evaluation import slices as parts
from retrain.evaluation.baseline import trivial
from retrain.evaluation.metrics import Metric
from retrain.evaluation.own_metric import metric_of
from retrain.evaluation.paired import compare
from retrain.evaluation.rows import Rows, align, few, unfit
from retrain.evaluation.rules import GateRule, Outcome, Question, is_number
from retrain.exceptions import ConfigurationError, UserCodeError
from retrain.records import GateStatus, Verdict

if TYPE_CHECKING:
    from retrain.evaluation.influence import Bools
    from retrain.evaluation.paired import Estimate

UNDEFINED = "not defined on these rows: the target is constant, or a class is absent"


def judge(
    y_true: Any,
    champion: Any | None,
    challenger: Any,
    *,
    metric: str | Metric | Callable[..., Any],
    margin: float,
    rule: str = "non_inferior",
    confidence: float = 0.95,
    slices: Mapping[str, Any] | None = None,
    sample_weight: Any = None,
    minimum: float | None = None,
) -> Verdict:
    """Say whether the challenger may replace the champion: pass, fail or inconclusive.

    Both predictions are for the same rows, which neither model has seen, and are what the metric takes: scores for
    `roc_auc`, labels for `accuracy`, an n x k array for probabilities of several classes, values for regression.
    `metric`: a name of scikit-learn's, a `Metric`, or a function (see `retrain.evaluation.own_metric.of_function`).
    `margin` is in units of the metric, `minimum` the worst value of it that may pass (for a loss: the largest).
    `slices` maps names to boolean masks. The rules and their error rates: `retrain.evaluation.rules`.

    `champion=None` is the cold start: the challenger passes when it is significantly better than the trivial baseline
    (`retrain.evaluation.baseline`: the best constant), whatever the rule and the margin; the verdict's difference is
    then that to this baseline.

    Predictions that are not finite (or not probabilities, where they must be) fail the challenger; the same of the
    champion, few rows or a single class are inconclusive. Raises DataError for lengths that do not fit, missing labels
    and bad weights, ConfigurationError for an unknown metric or rule.
    """
    question = Question.of(metric_of(metric, y_true, challenger), margin, rule, confidence)
    cold = champion is None
    if cold:
        question = dataclasses.replace(
            question, rule=GateRule.SUPERIOR, margin=0.0, against="the trivial baseline (no champion yet)"
        )
    rows, used = align(y_true, champion, challenger, sample_weight, question.metric)
    masks = {name: mask[used] for name, mask in parts.masks(slices, len(used)).items()}
    estimate: Estimate | None = None
    baseline: float | None = None
    outcome = unfit(rows, question.metric)
    documents: dict[str, dict[str, Any]] = {}
    if outcome is None:
        rows = rows.encoded(question.metric)
        estimate = _estimate(rows, question.metric)
        if math.isfinite(estimate.difference):
            baseline = estimate.champion if cold else _baseline(rows, question.metric)
            outcome = rules.apply(estimate, question)
            outcome = outcome if cold else _beside(outcome, estimate, question, baseline)
            outcome = _limit(outcome, estimate, question, minimum)
            documents = {} if cold else _slices(rows, masks, question)
            outcome = _with_slices(outcome, documents, question)
        else:
            outcome = _undefined(estimate, question)
            estimate = None
    verdict = _verdict(outcome, question, Terms(rule, margin, cold), len(rows.y), estimate, documents)
    return dataclasses.replace(verdict, baseline=baseline)


@dataclasses.dataclass(frozen=True)
class Terms:
    """The terms as they were asked, which the cold start replaces."""

    rule: str
    margin: float
    cold_start: bool


def evaluate(
    y_true: Any, prediction: Any, metrics: Iterable[str | Metric | Callable[..., Any]], *, sample_weight: Any = None
) -> dict[str, float]:
    """Return the value of each metric by its name; all must take the same kind of prediction."""
    chosen = [metric_of(metric, y_true, prediction) for metric in metrics]
    return {metric.name: metric.score(y_true, prediction, sample_weight) for metric in chosen}


def _estimate(rows: Rows, metric: Metric) -> "Estimate":
    champion = rows.champion
    if champion is None:
        champion = trivial(metric, rows.y, rows.challenger, rows.weight)
    return compare(metric, rows.y, champion, rows.challenger, rows.weight)


def _baseline(rows: Rows, metric: Metric) -> float | None:
    """Return the metric of the trivial baseline; None where it cannot be computed, which is no reason to stop."""
    try:
        constant = trivial(metric, rows.y, rows.challenger, rows.weight)
        value = metric.value(rows.y, constant, rows.weight)
    except UserCodeError:
        return None
    return value if math.isfinite(value) else None


def _beside(outcome: Outcome, estimate: "Estimate", question: Question, baseline: float | None) -> Outcome:
    """Say so where the challenger is no better than the trivial baseline. The rule decides; this tells a person."""
    if baseline is None or question.metric.sign * (estimate.challenger - baseline) > 0:
        return outcome
    said = f"no better than the trivial baseline, whose {question.metric.name} is {baseline:.4g}"
    return dataclasses.replace(outcome, reasons=(*outcome.reasons, said))


def _undefined(estimate: "Estimate", question: Question) -> Outcome:
    """Tell a challenger whose errors are beyond all numbers from rows on which the metric says nothing."""
    name = question.metric.name
    if math.isinf(estimate.challenger) and not math.isinf(estimate.champion):
        return Outcome(GateStatus.FAIL, (f"{name} of the challenger is infinite: its predictions are absurdly large",))
    if math.isinf(estimate.challenger) or math.isinf(estimate.champion):
        return Outcome(GateStatus.INCONCLUSIVE, (f"{name} is infinite: the numbers are too large to compare",))
    return Outcome(GateStatus.INCONCLUSIVE, (f"{name} is {UNDEFINED}",))


def _limit(outcome: Outcome, estimate: "Estimate", question: Question, minimum: float | None) -> Outcome:
    """Fail a challenger whose value is on the wrong side of the declared limit."""
    if minimum is None:
        return outcome
    if not is_number(minimum):
        raise ConfigurationError(f"minimum is {minimum!r}", expected="a finite value of the metric")
    least = "least" if question.metric.greater_is_better else "most"
    kept = question.metric.sign * (estimate.challenger - minimum) >= 0
    verb = "keeps" if kept else "breaks"
    said = f"{question.metric.name} {estimate.challenger:.4g} {verb} the limit of at {least} {minimum:.4g}"
    if kept:
        return dataclasses.replace(outcome, reasons=(*outcome.reasons, said))
    return Outcome(GateStatus.FAIL, (*outcome.reasons, said))


def _slices(rows: Rows, masks: Mapping[str, "Bools"], question: Question) -> dict[str, dict[str, Any]]:
    estimates, documents = {}, {}
    for name, mask in masks.items():
        part = rows.part(mask)
        if lacking := few(part, question.metric):
            documents[name] = {"status": GateStatus.INCONCLUSIVE, "rows": len(part.y), "reason": lacking.reasons[0]}
            continue
        estimate = _estimate(part, question.metric)
        if math.isfinite(estimate.difference):
            estimates[name] = estimate
        else:
            documents[name] = {"status": GateStatus.INCONCLUSIVE, "rows": len(part.y), "reason": UNDEFINED}
    return documents | parts.judged(estimates, question)


def _with_slices(outcome: Outcome, documents: Mapping[str, Mapping[str, Any]], question: Question) -> Outcome:
    outcome = dataclasses.replace(outcome, reasons=outcome.reasons + parts.reasons(documents, question))
    if any(document["status"] is GateStatus.FAIL for document in documents.values()):
        return Outcome(GateStatus.FAIL, outcome.reasons)
    return outcome


def _verdict(
    outcome: Outcome,
    question: Question,
    terms: Terms,
    rows: int,
    estimate: "Estimate | None",
    documents: Mapping[str, Mapping[str, Any]],
) -> Verdict:
    numbers: dict[str, Any] = {}
    if estimate is not None:
        numbers = {
            "champion": None if terms.cold_start else estimate.champion,
            "challenger": estimate.challenger,
            "difference": estimate.difference,
            "interval": estimate.interval(question.confidence),
        }
    return Verdict(
        status=outcome.status,
        metric=question.metric.name,
        rule=str(terms.rule),
        reasons=outcome.reasons,
        rows=rows,
        margin=float(terms.margin),
        confidence=question.confidence,
        rows_needed=outcome.rows_needed,
        cold_start=terms.cold_start,
        slices={name: dict(document) for name, document in documents.items()},
        **numbers,
    )
