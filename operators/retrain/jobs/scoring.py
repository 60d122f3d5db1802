"""What models predict on the rows to judge by: challenger, champion, and earlier versions for comparison."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from retrain.exceptions import ConfigurationError, DataError, UnavailableError
from retrain.jobs.holdout import trained_on, unseen
from retrain.jobs.measured import queries_of
from retrain.jobs.steps import StepContext
from retrain.records import DataRef, GateStatus

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


def score_both(
    context: StepContext,
    trained: Mapping[str, Any],
    champion: Mapping[str, Any] | None,
    frame: "pd.DataFrame",
    scored: dict[str, dict[str, Any]],
) -> dict[str, str] | None:
    """Fill `scored` with what each model predicts; returns what keeps them from being compared."""
    found = checked(context)
    if found is not None and not found["harmless"]:
        return hindered(GateStatus.FAIL, "the challenger was not scored, because of what the serving check says")
    challenger = {
        "model_uri": trained["model_uri"],
        "digest": trained.get("artifact_digest") or (found or {}).get("digest"),
    }
    try:
        scored["challenger"] = _predicted(context, challenger, frame)
    except DataError as error:
        return hindered(GateStatus.FAIL, f"the challenger cannot be scored: {error}")
    if champion is None:
        return None
    predicted, reason = _tried(lambda: _predicted(context, champion, frame), context)
    if reason is not None:
        said = f"the champion, version {champion['version']}, cannot be scored, so there is nothing to compare with"
        return hindered(GateStatus.INCONCLUSIVE, f"{said}: {reason}")
    scored["champion"] = predicted
    return None


def benchmark(
    context: StepContext, frame: "pd.DataFrame", scored: Mapping[str, Mapping[str, Any]], weight: Any
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Compare the challenger with the versions that were asked for; nothing is decided by it.

    Returns what each predicts, and the comparison by version: `status`, `metric` of it, `difference`, `interval`,
    `rows`, `reasons`. A version is compared on rows that it has not seen in training either.
    """
    predictions: dict[str, dict[str, Any]] = {}
    compared: dict[str, dict[str, Any]] = {}
    for other in context.request.inputs.get("benchmark") or ():
        version = str(other["version"])
        found, reason = _tried(lambda: _against(context, other, frame, scored["challenger"], weight), context)  # noqa: B023
        if reason is not None:
            compared[version] = {"status": None, "reasons": [reason]}
        else:
            predictions[f"version_{version}"], compared[version] = found
    return predictions, compared


def _against(
    context: StepContext, other: Mapping[str, Any], frame: "pd.DataFrame", challenger: Mapping[str, Any], weight: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    from retrain.evaluation import Evidence, assess, get_metric

    if uri := other.get("snapshot_uri"):
        refs = [DataRef.from_dict(ref) for ref in context.request.inputs["holdout"]]
        if both := trained_on(uri, refs):
            raise DataError(f"it was trained on the hold-out partitions {both}")
    rows = unseen(context, frame, "evaluate", [uri] if uri else [])[1]
    spec, takes = context.spec, get_metric(context.spec.metric).takes
    predicted = _predicted(context, other, frame)
    queries = queries_of(spec, frame)
    evidence = Evidence(
        frame[spec.target][rows],
        challenger[takes][rows],
        predicted[takes][rows],
        metric=spec.metric,
        sample_weight=None if weight is None else weight[rows],
        queries=None if queries is None else queries[rows],
    )
    verdict = assess(evidence, margin=spec.margin, rule=spec.rule, confidence=spec.confidence).to_dict()
    kept = ("status", "difference", "interval", "rows", "reasons")
    return predicted, {"metric": verdict["champion"], **{name: verdict[name] for name in kept}}


def answers(context: StepContext, model: Mapping[str, Any], requests: "pd.DataFrame") -> "pd.DataFrame":
    """Return what a model answers to requests."""
    from retrain.training import predict

    found: pd.DataFrame = predict(_model(context, model), requests, pii=context.spec.pii)
    return found


def champions_answers(
    context: StepContext, champion: Mapping[str, Any], requests: "pd.DataFrame"
) -> "pd.DataFrame | None":
    """Return what the champion answers to requests; None where it cannot be asked."""
    found, reason = _tried(lambda: answers(context, champion, requests), context)
    if reason:
        log.warning("the champion's answers cannot be replayed: %s", reason)
    replayed: pd.DataFrame | None = found
    return replayed


def checked(context: StepContext) -> Mapping[str, Any] | None:
    """Return what the serving check said in this job or an earlier one; None where it was not made."""
    found: Mapping[str, Any] | None = context.outputs.get("serving") or context.request.inputs.get("serving")
    return found if found and found.get("status") else None


def hindered(status: GateStatus, reason: str) -> dict[str, str]:
    """Return what keeps models from being compared, and say so in the log."""
    log.warning("the gate is %s: %s", status.value, reason)
    return {"status": status.value, "reason": reason}


def _predicted(context: StepContext, model: Mapping[str, Any], frame: "pd.DataFrame") -> dict[str, Any]:
    from retrain.evaluation import get_metric
    from retrain.training import kinds, predict

    output = predict(_model(context, model), frame, pii=context.spec.pii)
    return kinds(output, get_metric(context.spec.metric).takes)


def _model(context: StepContext, model: Mapping[str, Any]) -> Any:
    """Load a model once per job, its files proven where their digest is known."""
    from retrain.training import load_model, release

    name = f"model {model['model_uri']}"
    if name not in context.frames:
        loaded = load_model(
            model["model_uri"], tracking_uri=context.tracking_uri("evaluate"), digest=model.get("digest")
        )
        context.closing.callback(release, loaded)
        context.frames[name] = loaded
    return context.frames[name]


def _tried(ask: Callable[[], Any], context: StepContext) -> tuple[Any, str | None]:
    """Ask a model that stands already; whatever is wrong with it is no fault of this training."""
    try:
        return ask(), None
    except (UnavailableError, ConfigurationError):
        raise
    except Exception as error:
        if isinstance(error, DataError) or not context.spec.pii:
            return None, f"{type(error).__name__}: {error}"
        return None, type(error).__name__
