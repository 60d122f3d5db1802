"""The steps of a retraining: train, evaluate, gate, register."""

import functools
from collections.abc import Mapping
from typing import Any

from retrain.exceptions import ContractError, MissingColumnError
from retrain.jobs.steps import StepContext, fingerprint
from retrain.records import DataRef, Snapshot, Verdict


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


def evaluate(context: StepContext) -> dict[str, Any]:
    """Score champion and challenger on the same unseen rows and keep the predictions by reference."""
    import pandas as pd

    from retrain.data import read_common, storage, write_parquet
    from retrain.evaluation import get_metric, row_losses
    from retrain.training import load_model, predict_for_metric

    trained = context.outputs.get("train") or context.required("trained", "evaluate")
    champion: Mapping[str, Any] | None = context.request.inputs.get("champion")
    holdout = [DataRef.from_dict(ref) for ref in context.required("holdout", "evaluate")]
    _check_unseen(context, holdout, champion)
    frame = read_common(context.read_each(holdout, step="evaluate"))
    frame = frame[_target(frame, context).notna()].reset_index(drop=True)
    metric = get_metric(context.spec.metric)
    uri = context.tracking_uri("evaluate")
    scored = {
        name: predict_for_metric(load_model(model_uri, tracking_uri=uri), frame, metric.takes, pii=context.spec.pii)
        for name, model_uri in {
            "challenger": trained["model_uri"],
            **({"champion": champion["model_uri"]} if champion else {}),
        }.items()
    }
    target = frame[context.spec.target]
    name = fingerprint([ref.digest for ref in holdout], trained["model_uri"], champion and champion["model_uri"])
    losses = pd.DataFrame({"loss": row_losses(target, scored["challenger"], takes=metric.takes)})
    losses_uri = storage.join(context.request.store, "losses", context.spec.model, f"{name}.parquet")
    write_parquet(losses, losses_uri)
    columns = {"y_true": target.to_numpy()}
    for who, prediction in scored.items():
        columns.update(_columns(who, prediction))
    predictions_uri = storage.join(context.request.store, "predictions", context.spec.model, f"{name}.parquet")
    write_parquet(pd.DataFrame(columns), predictions_uri)
    several = target.nunique() > 1
    return {
        "predictions_uri": predictions_uri,
        "losses_uri": losses_uri,
        "rows": len(frame),
        "holdout": [ref.key for ref in holdout],
        "metric": context.spec.metric,
        **{who: metric.score(target, prediction) if several else None for who, prediction in scored.items()},
    }


def gate(context: StepContext) -> dict[str, Any]:
    """Judge the kept predictions by the declared rule; needs no model, so it can be asked again."""
    from retrain.data import read
    from retrain.evaluation import judge

    evaluated = context.outputs.get("evaluate") or context.required("evaluated", "gate")
    frame = read(evaluated["predictions_uri"])
    spec = context.spec
    verdict = judge(
        frame["y_true"].to_numpy(),
        _prediction(frame, "champion"),
        _prediction(frame, "challenger"),
        metric=spec.metric,
        margin=spec.margin,
        rule=spec.rule,
        confidence=spec.confidence,
        minimum=spec.minimum,
    )
    return verdict.to_dict()


def register(context: StepContext) -> dict[str, Any]:
    """Register the trained model as a version, with its verdict; an earlier try's version is found again."""
    from retrain.registry import register as register_version
    from retrain.training import TrainOutcome

    trained = dict(context.outputs.get("train") or context.required("trained", "register"))
    trained.pop("profile_uri", None)
    document = context.outputs.get("gate") or context.request.inputs.get("gated")
    version = register_version(
        TrainOutcome.from_dict(trained),
        context.spec,
        tracking_uri=context.tracking_uri("register"),
        verdict=Verdict.from_dict(document) if document else None,
    )
    return {"version": version}


def _check_unseen(context: StepContext, holdout: list[DataRef], champion: Mapping[str, Any] | None) -> None:
    """Refuse a hold-out that either model has seen: no partition, in any version, of either snapshot."""
    from retrain.data import load_snapshot

    for who, uri in {
        "challenger": context.request.inputs.get("snapshot_uri"),
        "champion": champion and champion.get("snapshot_uri"),
    }.items():
        if not uri:
            continue
        seen = {ref.partition for ref in load_snapshot(uri).partitions}
        if both := sorted(str(ref.partition) for ref in holdout if ref.partition in seen):
            raise ContractError(
                f"the {who} was trained on the hold-out partitions {both}",
                expected="partitions that neither model has seen in training",
                remedy="Judge on later partitions",
            )


def _target(frame: Any, context: StepContext) -> Any:
    target = context.spec.target
    if target not in frame.columns:
        raise MissingColumnError(
            f"the hold-out has no target column {target!r}; its columns are {list(frame.columns)[:30]}",
            expected=f"{target!r} as declared",
            remedy="Correct target= in the declaration, or the data",
        )
    return frame[target]


def _columns(who: str, prediction: Any) -> dict[str, Any]:
    if prediction.ndim == 1:
        return {who: prediction}
    return {f"{who}_{index}": prediction[:, index] for index in range(prediction.shape[1])}


def _prediction(frame: Any, who: str) -> Any:
    if who in frame.columns:
        return frame[who].to_numpy()
    several = [name for name in frame.columns if name.startswith(f"{who}_")]
    return frame[several].to_numpy() if several else None


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
