"""A trained model becomes a version of the registered model; the same training becomes one version only."""

import contextlib
import json
from typing import Any

from retrain.exceptions import RegistryUnavailableError
from retrain.records import ModelSpec, Verdict
from retrain.registry.client import RegistryClient
from retrain.training import TrainOutcome
from retrain.training.tracking import translated

RUN = "retrain.run_id"
_TAG = 4_900


def register(outcome: TrainOutcome, spec: ModelSpec, *, tracking_uri: str, verdict: Verdict | None = None) -> str:
    """Register the model of a training and return its version; an earlier try's version is found again.

    The version carries the training's key, snapshot, partitions and code, and the verdict on it. The registered model
    is made if it is not there.
    """
    client = RegistryClient(tracking_uri)
    mlflow = client.mlflow
    tags = version_tags(outcome, spec, verdict)
    with translated(tracking_uri):
        if (found := _find(mlflow, spec.model, outcome.run_id)) is not None:
            for name, value in tags.items():
                if found.tags.get(name) != value:
                    mlflow.set_model_version_tag(spec.model, found.version, name, value)
            return str(found.version)
        _ensure_model(mlflow, spec)
        made = mlflow.create_model_version(
            spec.model,
            outcome.model_uri,
            run_id=outcome.run_id,
            tags=tags,
            model_id=outcome.model_uri.removeprefix("models:/"),
        )
    if made.status != "READY":
        raise RegistryUnavailableError(
            f"version {made.version} of {spec.model} is {made.status}: {made.status_message}",
            expected="READY",
            remedy="Look at MLflow's log and try again",
        )
    return str(made.version)


def version_tags(outcome: TrainOutcome, spec: ModelSpec, verdict: Verdict | None) -> dict[str, str]:
    """Return the origin of a version as tags."""
    tags: dict[str, Any] = {
        RUN: outcome.run_id,
        "retrain.model_uri": outcome.model_uri,
        "retrain.training_key": outcome.training_key,
        "retrain.dataset": spec.dataset,
        "retrain.snapshot": outcome.snapshot,
        "retrain.snapshot_uri": outcome.snapshot_uri,
        "retrain.partitions": json.dumps(outcome.partitions),
        "retrain.rows": outcome.rows,
        "retrain.code": outcome.code_digest,
        "retrain.artifact_digest": outcome.artifact_digest,
    }
    if verdict is not None:
        tags["retrain.gate"] = verdict.status.value
        tags["retrain.gate.reasons"] = "; ".join(verdict.reasons)
        tags[f"retrain.metric.{verdict.metric}"] = verdict.challenger
    return {name: str(value)[:_TAG] for name, value in tags.items() if value is not None}


def _find(mlflow: Any, model: str, run_id: str) -> Any | None:
    found = mlflow.search_model_versions(f"name = '{model}' and tags.`{RUN}` = '{run_id}'")
    return min(found, key=lambda version: int(version.version), default=None)


def _ensure_model(mlflow: Any, spec: ModelSpec) -> None:
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException):
        mlflow.get_registered_model(spec.model)
        return
    try:
        mlflow.create_registered_model(spec.model, tags={"retrain.dataset": spec.dataset})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":  # two trainings of one model may be here at once
            raise
