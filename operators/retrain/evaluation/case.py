"""A gate's case: the kept predictions, the terms, and what else is known, so that it can be judged again by itself.

The predictions lie in Parquet: `y_true`, what the metric takes under `champion` and `challenger` (several columns
`challenger_0`, ... for class probabilities), predictions of other kinds under `challenger.label` and the like, those
of earlier versions under `version_3`, `sample_weight`, `query_of_row` where models rank, and the columns that slices
and groups are made of.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from retrain.evaluation.assessment import assess, joined, load_function
from retrain.evaluation.conditions import conditions_from_dicts
from retrain.evaluation.evidence import Evidence, Finding
from retrain.evaluation.metrics import get_metric
from retrain.exceptions import DeclarationError
from retrain.records import GateStatus, Verdict
from retrain.records._codec import Record

if TYPE_CHECKING:
    import pandas as pd

TARGET, WEIGHT = "y_true", "sample_weight"
# A number for the query of each row: its name may be private.
QUERY = "query_of_row"
# Predictions of earlier versions, kept for comparison.
_VERSION = re.compile(r"version_\d+(\.|_\d+$|$)")
KINDS = ("score", "label", "value", "proba")
_MEASURED = ("p50_ms", "p99_ms", "memory_bytes", "model_bytes")


@dataclass(frozen=True)
class GateCase(Record):
    """What a gate judges by. `conditions` are documents, as conditions of `retrain.evaluation` give them.

    `serving` is what the serving check said (None: not made, which is inconclusive where `serving_asked`). `obstacle`
    is set where there is nothing to compare: the status that follows, and why. `facts` holds `trained_until` and
    `now` (ISO 8601) beside what conditions of one's own may want.
    """

    metric: str
    margin: float
    rule: str = "non_inferior"
    confidence: float = 0.95
    minimum: float | None = None
    conditions: tuple[Mapping[str, Any], ...] = ()
    predictions_uri: str | None = None
    cold_start: bool = False
    serving: Mapping[str, Any] | None = None
    serving_asked: bool = False
    obstacle: Mapping[str, str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 0


def judge_case(
    case: GateCase, frame: "pd.DataFrame | None", *, load: Callable[[str], Callable[[Evidence], Any]] = load_function
) -> Verdict:
    """Judge a case on its kept predictions; the same case always ends in the same verdict."""
    if case.obstacle is not None or frame is None:
        verdict = _obstructed(case)
    else:
        verdict = assess(
            evidence_of(case, frame),
            margin=case.margin,
            rule=case.rule,
            confidence=case.confidence,
            minimum=case.minimum,
            conditions=conditions_from_dicts(case.conditions),
            load=load,
        )
    return joined(verdict, _serving(case))


def evidence_of(case: GateCase, frame: "pd.DataFrame") -> Evidence:
    """Read the evidence back from the kept predictions."""
    serving = case.serving or {}
    return Evidence(
        frame[TARGET].to_numpy(),
        predictions(frame, "challenger", case.metric),
        predictions(frame, "champion", case.metric) or None,
        metric=case.metric,
        sample_weight=frame[WEIGHT].to_numpy() if WEIGHT in frame.columns else None,
        frame=frame[[name for name in frame.columns if not is_reserved(str(name))]],
        **{name: serving.get(name) for name in _MEASURED},
        trained_until=_time(case.facts.get("trained_until")),
        now=_time(case.facts.get("now")),
        facts=case.facts,
        queries=frame[QUERY].to_numpy() if QUERY in frame.columns else None,
    )


def columns_of(who: str, given: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """Return the columns that hold the predictions of "champion" or "challenger", of every kind."""
    main = get_metric(metric).takes
    columns: dict[str, Any] = {}
    for kind, values in given.items():
        name = who if kind == main else f"{who}.{kind}"
        several = values.ndim == 2
        columns.update({f"{name}_{n}": values[:, n] for n in range(values.shape[1])} if several else {name: values})
    return columns


def predictions(frame: "pd.DataFrame", who: str, metric: str) -> dict[str, Any]:
    """Return the predictions by kind, as `columns_of` kept them; empty where there are none."""
    main = get_metric(metric).takes
    found = {kind: prediction(frame, who if kind == main else f"{who}.{kind}") for kind in KINDS}
    return {kind: values for kind, values in found.items() if values is not None}


def prediction(frame: "pd.DataFrame", name: str) -> Any:
    """Return a column, or the columns NAME_0, NAME_1, ... as one array; None where there are neither."""
    if name in frame.columns:
        return frame[name].to_numpy()
    several: list[str] = []
    while f"{name}_{len(several)}" in frame.columns:
        several.append(f"{name}_{len(several)}")
    return frame[several].to_numpy() if several else None


def is_reserved(name: str, who: Sequence[str] = ("champion", "challenger"), target: str = TARGET) -> bool:
    """Say whether a column holds predictions, the target or weights, and is nothing to slice by."""
    return (
        name in (target, WEIGHT, QUERY)
        or _VERSION.match(name) is not None
        or any(name == one or name.startswith(f"{one}.") or name.removeprefix(f"{one}_").isdigit() for one in who)
    )


def require_free(names: Sequence[str]) -> None:
    """Refuse columns of the data whose names are those of the kept predictions."""
    if taken := sorted(name for name in names if is_reserved(name)):
        raise DeclarationError(
            f"the conditions use the columns {taken}, whose names the kept predictions have",
            expected="other names for columns to slice by",
            remedy="Rename them in the data",
        )


def _obstructed(case: GateCase) -> Verdict:
    obstacle = case.obstacle or {"status": GateStatus.INCONCLUSIVE.value, "reason": "no predictions were kept"}
    return Verdict(
        GateStatus(obstacle["status"]),
        get_metric(case.metric).name,
        case.rule,
        (obstacle["reason"],),
        case.rows,
        margin=case.margin,
        confidence=case.confidence,
        cold_start=case.cold_start,
    )


def _serving(case: GateCase) -> list[tuple[str, Finding]]:
    found = case.serving
    if found is not None and found.get("status"):
        status = GateStatus(found["status"])
        said = "; ".join(found.get("reasons") or ()) or "no reason is known"
        return [("serving check", Finding(status, _measured(found) if status is GateStatus.PASS else said))]
    if not case.serving_asked:
        return []
    return [("serving check", Finding(GateStatus.INCONCLUSIVE, "it is declared and was not made"))]


def _measured(serving: Mapping[str, Any]) -> str:
    """Say what was measured: where nothing is amiss, the checks one by one are too much to read."""
    numbers = (("p50_ms", "p50 {:.3g} ms"), ("p99_ms", "p99 {:.3g} ms"), ("memory_bytes", "{:,} bytes of memory"))
    said = [text.format(serving[name]) for name, text in numbers if serving.get(name) is not None]
    return ", ".join([f"it loads and answers ({serving.get('mode') or 'process'})", *said])


def _time(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def with_terms(case: GateCase, **terms: Any) -> GateCase:
    """Return the case under other terms, for those that are given."""
    return replace(case, **{name: value for name, value in terms.items() if value is not None})
