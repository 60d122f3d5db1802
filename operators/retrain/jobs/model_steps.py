"""The steps of a retraining that make a model: train, register."""

import functools
import hashlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retrain.exceptions import RetrainError
from retrain.jobs.steps import StepContext, fingerprint
from retrain.records import DataRef, Snapshot, Verdict

if TYPE_CHECKING:
    import pandas as pd

    from retrain.evaluation import GateCase
    from retrain.training import TrainOutcome

log = logging.getLogger(__name__)


def train(context: StepContext) -> dict[str, Any]:
    """Train on the snapshot, or find the run of an earlier try with the same data, code and parameters."""
    from retrain.data import load_snapshot
    from retrain.training import train as fit_and_log

    snapshot = load_snapshot(context.required("snapshot_uri", "train"))
    outcome = fit_and_log(
        context.spec,
        snapshot,
        tracking_uri=context.tracking_uri("train"),
        store=context.request.store,
        params=context.request.inputs.get("params"),
        origin=context.request.origin,
        profile=_merged_profile(context, snapshot),
        on_read=functools.partial(context.note_read, "train"),
    )
    return {**outcome.to_dict(), "profile_uri": _keep_profile(context, snapshot)}


def register(context: StepContext) -> dict[str, Any]:
    """Register the trained model as a version, with its verdict; an earlier try's version is found again.

    What the evaluation found is logged to the model's run first: whoever sees the version can see why. Its pictures are
    kept in the store too, where the page of the version's evidence finds them without MLflow.
    """
    from retrain.registry import register as register_version
    from retrain.training import TrainOutcome

    trained = dict(context.outputs.get("train") or context.required("trained", "register"))
    trained.pop("profile_uri", None)
    document = context.outputs.get("gate") or context.request.inputs.get("gated")
    outcome, uri = TrainOutcome.from_dict(trained), context.tracking_uri("register")
    verdict = Verdict.from_dict(document) if document else None
    drawn = _log_evaluation(context, outcome, verdict, uri) if verdict is not None else {}
    version = register_version(outcome, context.spec, tracking_uri=uri, verdict=verdict)
    return {"version": version, "pictures": _keep_pictures(context, drawn)}


def _log_evaluation(
    context: StepContext, outcome: "TrainOutcome", verdict: Verdict, tracking_uri: str
) -> dict[str, bytes]:
    """Log the evaluation, and return its pictures."""
    from retrain.data import read, storage
    from retrain.evaluation import GateCase
    from retrain.registry.evaluations import Evaluated, log_evaluation

    inputs = context.request.inputs
    case_uri = (context.outputs.get("evaluate") or inputs.get("evaluated") or {}).get("case_uri")
    case = GateCase.from_dict(storage.read_json(case_uri)) if case_uri else None
    frame = read(case.predictions_uri) if case and case.predictions_uri else None
    drawn = _drawn(case, frame, verdict) if case is not None and frame is not None else {}
    evaluated = Evaluated(
        outcome.run_id,
        outcome.model_uri.removeprefix("models:/"),
        verdict,
        context.spec.dataset,
        [DataRef.from_dict(ref) for ref in inputs.get("holdout") or ()],
        case,
        (case and case.predictions_uri) or case_uri,
        frame,
        context.outputs.get("serving") or inputs.get("serving"),
        drawn,
    )
    log_evaluation(evaluated, tracking_uri=tracking_uri)
    return drawn


def _drawn(case: "GateCase", frame: "pd.DataFrame", verdict: Verdict) -> dict[str, bytes]:
    try:
        from retrain.evaluation.plots import draw

        return draw(case, frame, verdict)
    except Exception as error:  # a picture is no reason to lose a model
        log.warning("the evaluation cannot be drawn: %s", error, exc_info=not isinstance(error, RetrainError))
        return {}


def _keep_pictures(context: StepContext, drawn: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Keep pictures in the store; returns `uri` and `digest` by name."""
    from retrain.data import storage

    kept = {}
    for name, content in drawn.items():
        digest = hashlib.sha256(content).hexdigest()
        uri = context.store("pictures", context.spec.model, f"{name}-{digest[:16]}.png")
        kept[name] = {"uri": storage.write_bytes(uri, content), "digest": f"sha256:{digest}"}
    return kept


def _merged_profile(context: StepContext, snapshot: Snapshot) -> dict[str, Any]:
    """The profile of the training data: the merge of its partitions' profiles, of the columns that all of them have."""
    key = "training profile"
    if key not in context.frames:
        parts = [_partition_profile(context, ref) for ref in snapshot.partitions]
        common = [name for name in parts[-1].columns if all(name in part.columns for part in parts)]
        merged = functools.reduce(lambda one, other: one.merge(other), (part.select(common) for part in parts))
        context.frames[key] = merged.to_dict()
    document: dict[str, Any] = context.frames[key]
    return document


def _partition_profile(context: StepContext, ref: DataRef) -> Any:
    """The stored profile of a partition, or one made now, where there is none with the options of this model."""
    from retrain import drift
    from retrain.data import storage

    spec = context.spec
    uris: Mapping[str, str] = context.request.inputs.get("profiles") or {}
    if uri := uris.get(str(ref.partition)):
        stored = drift.Profile.from_dict(storage.read_json(uri))
        options = (stored.target, sorted(stored.categorical), sorted(stored.pii))
        if options == (spec.target, sorted(spec.categorical), sorted(spec.pii)):
            return stored
    made = drift.profile(ref, categorical=list(spec.categorical) or None, target=spec.target, pii=spec.pii)
    context.note_read("train", ref)
    return made


def _keep_profile(context: StepContext, snapshot: Snapshot) -> str:
    """Keep the training profile in the store too, where monitoring reads it without asking MLflow."""
    from retrain.data import storage

    uri = context.store("profiles", context.spec.model, f"training-{fingerprint(snapshot.digest)}.json")
    storage.write_json(uri, _merged_profile(context, snapshot))
    return uri
