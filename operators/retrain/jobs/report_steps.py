"""What a person sees of a drift verdict: our page of one screen, Evidently's where asked for, and both in MLflow."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retrain.exceptions import MissingDependencyError, RetrainError
from retrain.jobs.steps import StepContext
from retrain.records import DriftStatus, DriftVerdict, PerformanceStatus

if TYPE_CHECKING:
    from retrain.drift import Profile

log = logging.getLogger(__name__)

# The further kinds of drift, as the page names them.
FURTHER = {
    "prediction": "Predictions, P(ŷ)",
    "label": "Labels, P(y)",
    "performance": "Performance on labelled rows",
    "concept": "Concept, P(y|x)",
    "estimate": "Estimated performance (no labels yet)",
}
_ALARMS = (DriftStatus.DRIFT.value, PerformanceStatus.DECAY.value)


def report(context: StepContext) -> dict[str, Any]:
    """Draw our page where any kind of drift was found, Evidently's where it is asked for; log to MLflow.

    Where MLflow does not take the artifacts the verdict stands all the same, and the reason is told.
    """
    from retrain.data import storage

    champion = context.request.inputs.get("champion")
    judged, current_uri = context.outputs.get("drift") or {}, profile_uri(context)
    if champion is None or current_uri is None or not judged.get("verdict_uri"):
        return {"uri": None}
    pages: dict[str, Any] = {"uri": None}
    if any(_alarms(context, kind) for kind in ("drift", "prediction", "label", "concept")):
        profiles = watched_profiles(context, champion["profile_uri"], current_uri)
        verdict = DriftVerdict.from_dict(storage.read_json(judged["verdict_uri"]))
        # A hand-made document that asks for the step asks for the page.
        evidently = bool(context.request.inputs.get("draw_report", True)) and verdict.status is DriftStatus.DRIFT
        drawn = draw(
            profiles,
            verdict,
            judged["verdict_uri"],
            evidently=evidently,
            past=[*_past(context), (str(context.partition("report").partition), verdict)],
            further=_further(context),
            title=f"{context.spec.model}: {context.partition('report').partition}",
        )
        pages = {"uri": drawn["report_uri"], "summary_uri": drawn["summary_uri"]}
    return {**pages, **_logged(context, champion, judged, pages)}


def draw(
    profiles: "tuple[Profile, Profile]",
    verdict: DriftVerdict,
    verdict_uri: str,
    *,
    evidently: bool,
    past: "list[tuple[str, DriftVerdict]] | None" = None,
    further: Mapping[str, str] | None = None,
    title: str = "",
) -> dict[str, str | None]:
    """Draw the pages of a verdict beside it in the store; Evidently is loaded only if it is asked for."""
    from retrain import drift as drifting
    from retrain.data import storage

    stem = verdict_uri.removesuffix(".json")
    if verdict.status is DriftStatus.OK and not further:
        return {"summary_uri": None, "report_uri": None}
    content = drifting.page(*profiles, verdict, past=past or (), further=further or {}, title=title)
    storage.write_bytes(f"{stem}.summary.html", content.encode())
    found: dict[str, str | None] = {"summary_uri": f"{stem}.summary.html", "report_uri": None}
    if evidently:
        try:
            storage.write_bytes(f"{stem}.html", drifting.report(*profiles, verdict).encode())
            found["report_uri"] = f"{stem}.html"
        except MissingDependencyError as error:
            log.warning("Evidently's page is not drawn: %s", error)
    return found


def profile_uri(context: StepContext) -> str | None:
    """The profile that this job made, or the one made when another model's DAG validated the partition."""
    uri: str | None = context.outputs.get("profile", {}).get("uri") or context.request.inputs.get("profile_uri")
    return uri


def load_profile(context: StepContext, uri: str) -> "Profile":
    """A stored profile, of the columns that the model watches."""
    from retrain import drift as drifting
    from retrain.data import storage

    profile = drifting.Profile.from_dict(storage.read_json(uri))
    return profile.select(context.spec.columns) if context.spec.columns else profile


def watched_profiles(context: StepContext, reference_uri: str, current_uri: str) -> "tuple[Profile, Profile]":
    """Reference and current; without the label where the partition has none yet: late labels are no drift."""
    reference, current = load_profile(context, reference_uri), load_profile(context, current_uri)
    target = context.spec.target
    known = current.columns.get(target)
    if current.rows and (known is None or known.values == 0):
        return _without(reference, target), _without(current, target)
    return reference, current


def _without(profile: "Profile", name: str) -> "Profile":
    return dataclasses.replace(
        profile,
        target=None if profile.target == name else profile.target,
        columns={column: found for column, found in profile.columns.items() if column != name},
        sample={column: found for column, found in profile.sample.items() if column != name},
        absent=tuple(column for column in profile.absent if column != name),
    )


def _alarms(context: StepContext, kind: str) -> bool:
    return (context.outputs.get(kind) or {}).get("status") in _ALARMS


def _past(context: StepContext) -> list[tuple[str, DriftVerdict]]:
    """The verdicts on past partitions, as much of them as the strip of the picture shows."""
    return [
        (one["partition"], DriftVerdict(DriftStatus(one["status"]), drivers=tuple(one.get("drivers") or ())))
        for one in context.request.inputs.get("past") or []
    ]


def _further(context: StepContext) -> dict[str, str]:
    found = {}
    for kind, words in FURTHER.items():
        said = context.outputs.get(kind) or {}
        if said.get("status"):
            found[words] = f"{said['status']}. {said.get('summary') or said.get('reason') or ''}"
    return found


def _logged(
    context: StepContext, champion: Mapping[str, Any], judged: Mapping[str, Any], pages: Mapping[str, Any]
) -> dict[str, Any]:
    """Put numbers and pages into the champion's monitoring run; None where MLflow does not take them."""
    from retrain.registry.monitoring import Look, log_look

    if not champion.get("run_id") or not context.request.tracking_uri:
        return {"monitoring_run_id": None}
    ref = context.partition("report")
    files = {
        "verdict.json": judged["verdict_uri"],
        "summary.html": pages.get("summary_uri"),
        "evidently.html": pages["uri"],
    }
    look = Look(
        model=context.spec.model,
        version=champion["version"],
        training_run_id=champion["run_id"],
        partition=ref.key,
        step=int(context.request.inputs.get("look") or 0),
        metrics=_numbers(context),
        files={name: uri for name, uri in files.items() if uri} if pages.get("summary_uri") else {},
    )
    try:
        run_id = log_look(look, tracking_uri=context.request.tracking_uri)
    except Exception as error:  # monitoring shows what the ledger and the store hold: it may not stop the loop
        told = str(error) if isinstance(error, RetrainError) else type(error).__name__
        log.warning("MLflow did not take what was seen on %s: %s", ref.key, told)
        return {"monitoring_run_id": None}
    return {"monitoring_run_id": run_id}


def _numbers(context: StepContext) -> dict[str, float]:
    """What can be drawn as a line over the partitions."""
    drift, performance, estimate = (context.outputs.get(kind) or {} for kind in ("drift", "performance", "estimate"))
    found: dict[str, Any] = {
        "drift": float(_alarms(context, "drift")) if drift.get("status") else None,
        "drifted_columns": len(drift.get("drivers") or ()) if drift.get("status") else None,
        "prediction_drift": float(_alarms(context, "prediction")) if context.outputs.get("prediction") else None,
        context.spec.metric: performance.get("metric"),
        f"estimated_{estimate.get('metric')}": estimate.get("value"),
    }
    return {name: float(value) for name, value in found.items() if value is not None}
