"""Checks of a declaration: cheap, at every parse, all problems at once."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from retrain.exceptions import ContractError, DeclarationError, RetrainError
from retrain.records import Alarm, Approval, ApprovalRule, ModelSpec, RollbackOn
from retrain.records._codec import Record

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
RULES = ("non_inferior", "superior")
# Those of `retrain.loop.season`, which a declaration does not load.
SEASONS = ("year", "week", "day")


def declared(fields: Mapping[str, Any]) -> ModelSpec:
    """Return the declaration as a record; DeclarationError names a field that is unknown or of the wrong type.

    Conditions and the serving check may be objects or their documents.
    """
    fields = dict(fields)
    try:
        if fields.get("conditions"):
            from retrain.evaluation import plain_conditions  # only where it is used, as below

            fields["conditions"] = plain_conditions(fields["conditions"])
        if isinstance(fields.get("serving"), Record):
            fields["serving"] = fields["serving"].to_dict()
        return ModelSpec.from_dict(fields)
    except ContractError as error:
        raise DeclarationError(
            f"the declaration of {fields.get('model')!r} does not fit: {error.what}", expected=error.expected
        ) from None


def released(approval: Approval | str, rollback_on: RollbackOn | Sequence[str] | None) -> dict[str, Any]:
    """Return the fields `approval` and `rollback_on` of a declaration; DeclarationError where they do not fit."""
    try:
        asked = approval if isinstance(approval, Approval) else Approval(ApprovalRule(approval))
        alarms = rollback_on
        if alarms is not None and not isinstance(alarms, RollbackOn):
            alarms = RollbackOn(tuple(Alarm(one) for one in ([alarms] if isinstance(alarms, str) else alarms)))
    except (ContractError, ValueError, TypeError) as error:
        raise DeclarationError(
            f"approval={approval!r}, rollback_on={rollback_on!r}: {error}",
            expected=f"approval {' | '.join(ApprovalRule)} or an Approval, rollback_on some of decay, serving",
        ) from None
    return {
        "approval": None if asked.when is ApprovalRule.NEVER else asked.to_dict(),
        "rollback_on": alarms.to_dict() if alarms else None,
    }


def checked(spec: ModelSpec, rules: Sequence[Any]) -> tuple[Any, ...]:
    """Return the rules; one DeclarationError lists everything that is wrong."""
    problems = [*_names(spec), *_references(spec), *_numbers(spec)]
    if not isinstance(rules, list | tuple):
        problems.append(f"retrain={rules!r}: must be a list of rules, as in [NewData(every=3), Every('@monthly')]")
        rules = ()
    problems += [*_data(spec), *_judging(spec)]
    if spec.rule not in RULES:
        problems.append(f"rule={spec.rule!r}: must be {' or '.join(RULES)}")
    if spec.season not in (None, *SEASONS):
        problems.append(f"season={spec.season!r}: must be {' or '.join(SEASONS)}")
    problems += [
        f"retrain={rule!r}: must hold rules such as Every('@weekly') or NewData(every=3)"
        for rule in rules
        if not hasattr(rule, "to_dict")
    ]
    if problems:
        raise DeclarationError(
            f"the declaration of {spec.model!r} has {len(problems)} problems: " + "; ".join(problems)
        )
    return tuple(rules)


def _data(spec: ModelSpec) -> list[str]:
    problems = [
        f"{field}={value!r}: must hold {{partition}} once, as in s3://bucket/{{partition}}.parquet"
        for field, value in (("data", spec.data), ("labels", spec.labels))
        if value is not None and value.count("{partition}") != 1
    ]
    if spec.labels is not None and not spec.key:
        problems.append("labels without key: must name the columns by which labels and data are joined, as key=['id']")
    if spec.complete:
        from retrain.data import Completeness  # only where it is used: a declaration without it parses faster

        try:
            Completeness.from_dict(spec.complete)
        except RetrainError as error:
            problems.append(f"complete={dict(spec.complete)!r}: {error}")
    return problems


def _judging(spec: ModelSpec) -> list[str]:
    problems = []
    if spec.query or spec.metric.startswith("ndcg"):
        from retrain.evaluation import ranking_problems

        problems += ranking_problems(spec)
    else:
        from retrain.evaluation import get_metric

        try:
            get_metric(spec.metric)
        except RetrainError as error:
            problems.append(f"metric={spec.metric!r}: {error}")
    if spec.conditions:
        from retrain.evaluation import condition_problems

        problems += condition_problems(spec)
    if spec.serving:
        from retrain.serving import Serving

        try:
            Serving.from_dict(spec.serving)
        except RetrainError as error:
            problems.append(f"serving={dict(spec.serving)!r}: {error}")
    return problems


def _names(spec: ModelSpec) -> list[str]:
    limits = "must be letters, digits, - and _, at most 100"
    return [
        f"{field}={value!r}: {limits}"
        for field, value in (("model", spec.model), ("dataset", spec.dataset))
        if not _NAME.fullmatch(str(value))
    ] + [f"{field} is empty" for field in ("target", "metric") if not getattr(spec, field)]


def _references(spec: ModelSpec) -> list[str]:
    return [
        f"{field}={value!r}: must name a function as package.module:function"
        for field, value in (("train", spec.train), ("prepare", spec.prepare))
        if value is not None and not (isinstance(value, str) and _REFERENCE.fullmatch(value))
    ]


def _numbers(spec: ModelSpec) -> list[str]:
    checks = (
        ("margin", spec.margin >= 0, "must be 0 or more, in units of the metric"),
        ("minimum", spec.minimum is None or math.isfinite(spec.minimum), "must be a finite value, or None"),
        ("confidence", 0.5 < spec.confidence < 1, "must lie between 0.5 and 1"),
        ("quarantine_limit", 0 <= spec.quarantine_limit <= 1, "must be a share between 0 and 1"),
        ("holdout", spec.holdout >= 1, "must be 1 or more partitions"),
        ("window", spec.window is None or spec.window >= 1, "must be 1 or more partitions, or None for all"),
    )
    return [f"{field}={getattr(spec, field)!r}: {limit}" for field, holds, limit in checks if not holds]
