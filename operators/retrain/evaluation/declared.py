"""Conditions as they are declared: what is wrong with them, and which columns of the data they are about."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from retrain.evaluation.conditions import Compared, Condition, FairnessGap, Minimum, Slices, conditions_from_dicts
from retrain.evaluation.fairness import RATES
from retrain.evaluation.limits import Custom, DataAge, Latency, ModelSize
from retrain.evaluation.metrics import get_metric
from retrain.evaluation.per_query import is_ndcg, per_query
from retrain.exceptions import RetrainError
from retrain.records import ModelSpec

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_MARGINS = (Compared, Slices)


def condition_problems(spec: ModelSpec) -> list[str]:
    """Say what is wrong with the declared conditions; loads no library and looks at no data."""
    problems = []
    for index, document in enumerate(spec.conditions):
        where = f"conditions[{index}]={dict(document)!r}"
        try:
            (condition,) = conditions_from_dicts([document])
        except (RetrainError, KeyError) as error:
            problems.append(f"{where}: {error}")
            continue
        problems += [f"{where}: {said}" for said in _wrong(condition, spec)]
    return problems


def ranking_problems(spec: ModelSpec) -> list[str]:
    """Say what does not fit between `query`, `metric` and `weight`; loads no library."""
    if spec.query is None:
        return [f"metric={spec.metric!r}: ranks within queries: name their column, query="] * is_ndcg(spec.metric)
    problems = []
    try:
        per_query(spec.metric)
    except RetrainError as error:
        problems.append(f"query={spec.query!r}: {error}")
    if spec.weight:
        problems.append(f"weight={spec.weight!r}: rows have no weights where queries are judged (query=)")
    return problems


def columns_asked(conditions: Sequence[Condition], columns: Sequence[str]) -> list[str]:
    """Return those of the columns that slices and groups are made of, in their order.

    Where slices are to be found, every column may be one.
    """
    if any(isinstance(condition, Slices) and condition.found for condition in conditions):
        return list(columns)
    named = {name for condition in conditions for name in _named(condition)}
    texts = [text for condition in conditions if isinstance(condition, Slices) for text in condition.where.values()]
    return [name for name in columns if name in named or any(_stands_in(name, text) for text in texts)]


def _wrong(condition: Condition, spec: ModelSpec) -> Iterator[str]:
    yield from _numbers(condition)
    yield from _metric(condition)
    if private := sorted(name for name in spec.pii if _uses(condition, name)):
        yield f"the columns {private} are private (pii), and the names of slices and groups show their values"
    if spec.query and (isinstance(condition, Slices) or (isinstance(condition, Minimum) and condition.metric is None)):
        yield "is not asked of queries (query=): name a metric of rows, or use minimum="
    if isinstance(condition, Slices) and not (condition.by or condition.where or condition.found):
        yield "must name slices: by=, where= or found="
    if isinstance(condition, Latency) and not (condition.p50_ms or condition.p99_ms):
        yield "must name a limit: p50_ms= or p99_ms="
    if isinstance(condition, Latency | ModelSize) and spec.serving is None:
        yield "is measured by the serving check, which serving=None turns off"
    if isinstance(condition, DataAge) and not spec.event_time:
        yield "needs event_time=, the column that dates a row"
    if isinstance(condition, Custom) and not (
        isinstance(condition.function, str) and _REFERENCE.fullmatch(condition.function)
    ):
        yield "must name a function as package.module:function"


def _numbers(condition: Condition) -> Iterator[str]:
    if isinstance(condition, _MARGINS) and not condition.margin >= 0:
        yield "margin must be 0 or more"
    if isinstance(condition, Compared) and condition.rule not in ("non_inferior", "superior"):
        yield "rule must be non_inferior or superior"
    if not 0.5 < getattr(condition, "confidence", 0.95) < 1:
        yield "confidence must lie between 0.5 and 1"


def _metric(condition: Condition) -> Iterator[str]:
    name = getattr(condition, "metric", None)
    if name is None or (isinstance(condition, FairnessGap) and name in RATES):
        return
    if isinstance(condition, Minimum | Compared | FairnessGap):
        try:
            get_metric(name)
        except RetrainError as error:
            yield str(error)


def _uses(condition: Condition, name: str) -> bool:
    if name in _named(condition):
        return True
    return isinstance(condition, Slices) and any(_stands_in(name, text) for text in condition.where.values())


def _named(condition: Condition) -> Collection[str]:
    if isinstance(condition, Slices):
        return condition.by
    return (condition.column,) if isinstance(condition, FairnessGap) else ()


def _stands_in(name: str, expression: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(str(name))}(?!\w)", expression) is not None


def plain_conditions(given: Any) -> Any:
    """Return declared conditions (objects or documents) as documents."""
    if not isinstance(given, list | tuple):
        return given
    return [one if isinstance(one, Mapping) else one.to_dict() if hasattr(one, "to_dict") else one for one in given]
