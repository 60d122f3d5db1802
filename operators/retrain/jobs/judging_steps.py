"""The steps of a judgement: serving check, evaluation, gate.

The serving check comes first. It loads the artifact in a process that can be killed, so that nothing after it, in the
job's own process, meets a model that hangs, dies or prints secrets; and what it measures is evidence of the gate.
"""

import datetime as dt
import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError
from retrain.jobs.holdout import holdout_frame, holdout_refs, unseen, weights
from retrain.jobs.measured import losses_of, queries_of, value_of
from retrain.jobs.own_code import with_own_code
from retrain.jobs.scoring import answers, benchmark, champions_answers, checked, hindered, score_both
from retrain.jobs.steps import StepContext, fingerprint
from retrain.records import GateStatus

if TYPE_CHECKING:
    import pandas as pd

    from retrain.serving import Serving, ServingVerdict

log = logging.getLogger(__name__)

# Of a serving verdict, what is small enough for XCom and the ledger.
_SHORT = ("status", "mode", "digest", "reasons", "python", "load_seconds", "p50_ms", "p99_ms", "memory_bytes",
          "model_bytes", "requests")  # fmt: skip


def serving(context: StepContext) -> dict[str, Any]:
    """Try the artifact in the declared environment; the whole verdict goes to the store."""
    from retrain.data import storage
    from retrain.serving import Serving, ServingVerdict, check

    trained = context.outputs.get("train") or context.required("trained", "serving")
    if context.spec.serving is None:
        return {"status": None, "harmless": True, "reasons": ["no serving check is declared"]}
    declared = Serving.from_dict(context.spec.serving)
    requests = _requests(context, declared)
    model_uri, champion = trained["model_uri"], context.request.inputs.get("champion")
    made = {"model_uri": model_uri, "digest": trained.get("artifact_digest")}
    try:
        verdict = check(
            model_uri,
            python=declared.python,
            image=declared.image,
            mode=declared.mode,
            tracking_uri=context.tracking_uri("serving"),
            requests=requests,
            expected=functools.partial(answers, context, made, requests),
            champion=functools.partial(champions_answers, context, champion, requests) if champion else None,
            limits=declared.limits,
            lock=_lock(context, declared),
            # As the training left the files: what has changed them since is noticed before any of it runs.
            digest=made["digest"],
        )
    except DataError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        reason = f"the artifact cannot be tried: {error}"
        verdict = ServingVerdict(GateStatus.FAIL, declared.mode.value, model_uri, "", (reason,))
        return {**_short(verdict), "harmless": False, "verdict_uri": None}
    verdict = _without_private(verdict, requests, context.spec.pii)
    uri = context.store("serving", context.spec.model, f"{fingerprint(verdict.to_dict())}.json")
    storage.write_json(uri, verdict.to_dict())
    return {**_short(verdict), "harmless": verdict.harmless, "verdict_uri": uri}


@with_own_code
def evaluate(context: StepContext) -> dict[str, Any]:
    """Score champion and challenger on the same unseen rows and keep the predictions, and the case, by reference.

    What keeps the models from being compared (no unseen rows, a column that the champion needs) is part of the case.
    """
    from retrain.data import storage

    trained = context.outputs.get("train") or context.required("trained", "evaluate")
    champion: Mapping[str, Any] | None = context.request.inputs.get("champion")
    refs = holdout_refs(context, "evaluate")
    frame, left_out, obstacle = _rows(context)
    context.tracking_uri("evaluate")
    scored: dict[str, dict[str, Any]] = {}
    if obstacle is None:
        obstacle = score_both(context, trained, champion, frame, scored)
    others: dict[str, dict[str, Any]] = {}
    compared: dict[str, dict[str, Any]] = {}
    if "challenger" in scored:
        others, compared = benchmark(context, frame, scored, weights(context, frame))
    models = [trained["model_uri"], champion and champion["model_uri"], *others]
    spec = context.spec
    name = fingerprint([ref.digest for ref in refs], models, len(frame), spec.key, spec.weight, spec.conditions)
    kept = _keep(context, frame, {**scored, **others}, name)
    case = _case(context, kept, obstacle, len(frame), cold=champion is None).to_dict()
    case_uri = context.store("cases", spec.model, f"{name}-{fingerprint(case)}.json")
    storage.write_json(case_uri, case)
    return {
        **kept,
        "case_uri": case_uri,
        "rows": len(frame),
        "left_out": left_out,
        "obstacle": obstacle,
        "benchmark": compared,
        "holdout": [ref.key for ref in refs],
        "metric": spec.metric,
        "challenger": None,
        **_values(context, frame, scored),
    }


@with_own_code
def gate(context: StepContext) -> dict[str, Any]:
    """Judge the kept case by the declared rule and conditions; needs no model, so it can be asked again."""
    from retrain.data import read, storage
    from retrain.evaluation import GateCase, judge_case
    from retrain.training import load_function

    evaluated = context.outputs.get("evaluate") or context.required("evaluated", "gate")
    case = GateCase.from_dict(storage.read_json(evaluated["case_uri"]))
    frame = read(case.predictions_uri) if case.predictions_uri else None
    load = functools.partial(load_function, project_root=context.spec.project_root)
    return judge_case(case, frame, load=load).to_dict()


def _without_private(verdict: "ServingVerdict", requests: "pd.DataFrame", pii: Sequence[str]) -> "ServingVerdict":
    """Mask private values in what a model said of its requests; what it printed is not kept then."""
    from retrain.training.privacy import masked

    if not pii:
        return verdict
    checks = tuple(replace(check, reason=masked(check.reason, requests, pii)) for check in verdict.checks)
    reasons = tuple(masked(reason, requests, pii) for reason in verdict.reasons)
    return replace(verdict, checks=checks, reasons=reasons, output="")


def _requests(context: StepContext, declared: "Serving") -> "pd.DataFrame":
    """Return the recorded requests, or else rows of the hold-out, without the target."""
    from retrain.data import read

    if declared.requests is not None:
        frame = read(context.project_path(declared.requests))
        context.note_read("serving", context.project_path(declared.requests))
    else:
        frame = holdout_frame(context, "serving")
    return frame.drop(columns=context.spec.target, errors="ignore").head(declared.rows).reset_index(drop=True)


def _lock(context: StepContext, declared: "Serving") -> list[str]:
    from retrain.data import storage

    if declared.lock is None:
        return []
    text = storage.read_bytes(context.project_path(declared.lock)).decode()
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _rows(context: StepContext) -> tuple["pd.DataFrame", int, dict[str, str] | None]:
    """Return the rows to judge by, how many were left out because of their key, and why none can be judged by."""
    frame = holdout_frame(context, "evaluate")
    try:
        rows = unseen(context, frame, "evaluate")[0]
    except DataError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        return (
            frame,
            0,
            hindered(GateStatus.INCONCLUSIVE, f"whether a model has seen these rows is not known: {error}"),
        )
    left_out = len(frame) - len(rows)
    if rows.empty:
        said = f"all {len(frame):,} rows of the hold-out have keys that a model was trained on"
        return (
            rows,
            left_out,
            hindered(GateStatus.INCONCLUSIVE, said if left_out else "the hold-out has no labelled row"),
        )
    return rows, left_out, None


def _keep(
    context: StepContext, frame: "pd.DataFrame", scored: Mapping[str, Mapping[str, Any]], name: str
) -> dict[str, str | None]:
    """Write predictions and losses; nothing where the challenger was not scored."""
    import pandas as pd

    from retrain.data import storage, write_parquet
    from retrain.evaluation import get_metric

    if "challenger" not in scored:
        return {"predictions_uri": None, "losses_uri": None}
    spec = context.spec
    takes = get_metric(spec.metric).takes
    uris = {
        f"{what}_uri": storage.join(context.request.store, what, spec.model, f"{name}.parquet")
        for what in ("predictions", "losses")
    }
    losses = losses_of(spec, frame, scored["challenger"][takes])
    write_parquet(pd.DataFrame({"loss": losses}), uris["losses_uri"])
    write_parquet(_predictions(context, frame, scored), uris["predictions_uri"])
    return dict(uris)


def _predictions(
    context: StepContext, frame: "pd.DataFrame", scored: Mapping[str, Mapping[str, Any]]
) -> "pd.DataFrame":
    """Put the predictions beside the target, the weights, the keys, and the columns that conditions are about."""
    import pandas as pd

    from retrain.evaluation import conditions_from_dicts
    from retrain.evaluation.case import QUERY, TARGET, WEIGHT, columns_of, require_free
    from retrain.evaluation.declared import columns_asked

    spec = context.spec
    open_ = [name for name in frame.columns if name not in (spec.target, *spec.pii)]
    asked = columns_asked(conditions_from_dicts(spec.conditions), open_)
    asked += [name for name in spec.key if name in open_ and name not in asked]
    require_free(asked)
    columns: dict[str, Any] = {TARGET: frame[spec.target].to_numpy()}
    for who, given in scored.items():
        columns.update(columns_of(who, given, spec.metric))
    if (weight := weights(context, frame)) is not None:
        columns[WEIGHT] = weight
    if (queries := queries_of(spec, frame)) is not None:
        columns[QUERY] = queries
    return pd.concat([pd.DataFrame(columns), frame[asked]], axis=1)


def _case(
    context: StepContext, kept: Mapping[str, str | None], obstacle: dict[str, str] | None, rows: int, *, cold: bool
) -> Any:
    from retrain.evaluation import GateCase

    spec = context.spec
    return GateCase(
        metric=spec.metric,
        margin=spec.margin,
        rule=spec.rule,
        confidence=spec.confidence,
        minimum=spec.minimum,
        conditions=spec.conditions,
        predictions_uri=kept["predictions_uri"],
        cold_start=cold,
        serving=checked(context),
        serving_asked=spec.serving is not None,
        obstacle=obstacle,
        facts={"now": dt.datetime.now(dt.UTC).isoformat(), "trained_until": _trained_until(context)},
        rows=rows,
    )


def _trained_until(context: StepContext) -> str | None:
    """The time of the newest training row, from the profile that was made with the model."""
    from retrain.data import storage

    trained = context.outputs.get("train") or context.request.inputs.get("trained") or {}
    if context.spec.event_time is None or not trained.get("profile_uri"):
        return None
    column = storage.read_json(trained["profile_uri"])["columns"].get(context.spec.event_time) or {}
    newest = column.get("maximum")
    return newest if isinstance(newest, str) else None


def _values(
    context: StepContext, frame: "pd.DataFrame", scored: Mapping[str, Mapping[str, Any]]
) -> dict[str, float | None]:
    """The metric of each model, None where the rows hold one class or value only."""
    from retrain.evaluation import get_metric

    takes, weight = get_metric(context.spec.metric).takes, weights(context, frame)
    return {who: value_of(context.spec, frame, given[takes], weight) for who, given in scored.items()}


def _short(verdict: "ServingVerdict") -> dict[str, Any]:
    document = verdict.to_dict()
    return {name: document[name] for name in _SHORT}
