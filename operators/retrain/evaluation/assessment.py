"""The whole gate: the main rule and every condition, as one verdict."""

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from typing import Any

from retrain.evaluation.conditions import Condition
from retrain.evaluation.evidence import Evidence, Finding
from retrain.evaluation.gate import judge
from retrain.evaluation.limits import STATUSES, Custom
from retrain.evaluation.metrics import get_metric
from retrain.evaluation.per_query import per_query
from retrain.evaluation.queries import judge_ranking
from retrain.exceptions import DataError, DeclarationError, UserCodeError
from retrain.records import GateStatus, Verdict

_ANSWERS = {True: GateStatus.PASS, False: GateStatus.FAIL, None: GateStatus.INCONCLUSIVE}


def load_function(reference: str) -> Callable[[Evidence], Any]:
    """Import `module:function`; DeclarationError when it is not there."""
    module, _, name = reference.partition(":")
    try:
        function: Callable[[Evidence], Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise DeclarationError(
            f"the condition {reference!r} cannot be imported: {error}", expected="module:function of the project"
        ) from error
    return function


def assess(
    evidence: Evidence,
    *,
    margin: float,
    rule: str = "non_inferior",
    confidence: float = 0.95,
    minimum: float | None = None,
    conditions: Sequence[Condition] = (),
    load: Callable[[str], Callable[[Evidence], Any]] = load_function,
) -> Verdict:
    """Judge by the main rule and by every condition: fail if any fails, else inconclusive if any is, else pass.

    `load` resolves conditions of one's own that are named `module:function`. A condition that these rows cannot answer
    (a column or a group is not in them) is inconclusive. Raises UserCodeError for a function that raises or answers
    otherwise, ConfigurationError for conditions that the evidence cannot carry.
    """
    metric = get_metric(evidence.metric)
    both = [evidence.prediction(who, metric.takes) for who in ("champion", "challenger")]
    terms: dict[str, Any] = {"margin": margin, "rule": rule, "confidence": confidence, "minimum": minimum}
    if evidence.queries is None:
        verdict = judge(evidence.y_true, *both, metric=metric, sample_weight=evidence.sample_weight, **terms)
    else:
        verdict = judge_ranking(
            evidence.y_true,
            *both,
            queries=evidence.queries,
            function=per_query(metric),
            name=metric.name,
            greater_is_better=metric.greater_is_better,
            **terms,
        )
    return joined(verdict, [(_name(condition), _check(condition, evidence, load)) for condition in conditions])


def joined(verdict: Verdict, found: Sequence[tuple[str, Finding]]) -> Verdict:
    """Return the verdict with further findings, by name; the worst of all decides.

    `rows_needed` becomes the largest that any of them names, and None when one that is inconclusive cannot be settled
    by rows.
    """
    if not found:
        return verdict
    status = min((verdict.status, *(finding.status for _, finding in found)), key=STATUSES.index)
    return dataclasses.replace(
        verdict,
        status=status,
        reasons=(*verdict.reasons, *(f"{name}: {finding.status} ({finding.reason})" for name, finding in found)),
        rows_needed=_needed(verdict, [finding for _, finding in found]) if status is GateStatus.INCONCLUSIVE else None,
        slices={**verdict.slices, **{key: part for _, finding in found for key, part in finding.slices.items()}},
        conditions=(*verdict.conditions, *(_document(name, finding) for name, finding in found)),
    )


def _check(condition: Condition, evidence: Evidence, load: Callable[[str], Callable[[Evidence], Any]]) -> Finding:
    if not isinstance(condition, Custom):
        try:
            return condition.check(evidence)
        except DataError as error:
            return Finding(GateStatus.INCONCLUSIVE, f"these rows cannot answer it: {error}")
    function = load(condition.function) if isinstance(condition.function, str) else condition.function
    try:
        answer = function(evidence)
    except Exception as error:
        raise UserCodeError(
            f"the condition {condition.name!r} raised {type(error).__name__}: {error}",
            expected="function(evidence) -> True, False or None, or one of these with a reason",
            remedy="Try the function on the kept predictions",
        ) from error
    said, reason = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, "")
    said = said.item() if hasattr(said, "item") else said
    if not (said is None or isinstance(said, bool)):
        raise UserCodeError(
            f"the condition {condition.name!r} answered {answer!r}",
            expected="True, False or None, or one of these with a reason",
        )
    return Finding(_ANSWERS[said], str(reason) or "by its own judgement")


def _needed(verdict: Verdict, found: Sequence[Finding]) -> int | None:
    said = [(verdict.status, verdict.rows_needed), *((finding.status, finding.rows_needed) for finding in found)]
    open_ = [needed for status, needed in said if status is GateStatus.INCONCLUSIVE]
    return None if None in open_ else max(number for number in open_ if number is not None)


def _name(condition: Condition) -> str:
    parts = [getattr(condition, name, None) for name in ("name", "metric", "column")]
    said = " ".join(str(part) for part in parts if part)
    return f"{condition.kind} {said}".strip() if condition.kind != "custom" else said


def _document(name: str, finding: Finding) -> dict[str, Any]:
    return {
        "name": name,
        "status": finding.status,
        "reason": finding.reason,
        "value": finding.value,
        "limit": finding.limit,
        "interval": None if finding.interval is None else list(finding.interval),
    }
