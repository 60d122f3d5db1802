"""One training: read the snapshot, prepare, fit, log to MLflow; or find that an earlier try has done it."""

from __future__ import annotations

import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DeclarationError, UserCodeError
from retrain.records import DataRef, ModelSpec, Snapshot, encode
from retrain.training import runs
from retrain.training.artifacts import digest as digest_of_files
from retrain.training.contract import TrainingData, TrainOutcome
from retrain.training.frames import keep_digest, snapshot_frame
from retrain.training.keys import training_key
from retrain.training.packaging import EXAMPLE_ROWS, SCRIPT, Packed, pack, signature
from retrain.training.preparation import prepared, raw_columns, split_target, training_data
from retrain.training.privacy import cause, columns_in_files, told
from retrain.training.scoring import as_declared
from retrain.training.tracking import connect, using
from retrain.training.usercode import code_digest, fresh_project, load_function

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


def train(
    spec: ModelSpec,
    snapshot: Snapshot,
    *,
    tracking_uri: str,
    store: str,
    params: Mapping[str, Any] | None = None,
    origin: Mapping[str, str] | None = None,
    profile: Mapping[str, Any] | None = None,
    on_read: Callable[[DataRef], None] | None = None,
) -> TrainOutcome:
    """Train `spec` on `snapshot`, log it to MLflow with its origin and return where it lies.

    A finished training with the same data, code, parameters and libraries is found again and not paid for twice; a run
    that an earlier try of the same task left behind is closed as killed. `params` add to those of the declaration,
    `profile` is logged beside the model, the list of partitions is kept under `store`, `on_read` is told of each
    partition that was read.

    Raises MissingColumnError, UserCodeError, DeclarationError, RegistryUnavailableError and what reading raises.
    """
    from retrain.data import save_snapshot

    if not snapshot.partitions:
        raise DeclarationError(f"the snapshot of {spec.dataset} holds no partition", expected="at least one")
    chosen = {**spec.params, **(params or {})}
    references = [spec.train, *([spec.prepare] if spec.prepare else [])]
    digest = code_digest(spec.project_root, references)
    key = training_key(spec, snapshot_digest=snapshot.digest, params=chosen, code_digest=digest)
    client = connect(tracking_uri)
    with using(tracking_uri) as mlflow:
        experiment = runs.experiment_id(client, spec.model)
        snapshot_uri = save_snapshot(snapshot, store)
        facts = runs.Facts(spec, snapshot, snapshot_uri, key, digest, dict(origin or {}))
        if (found := runs.find_finished(client, experiment, facts)) is not None:
            return found
        runs.close_abandoned(client, experiment, facts)
        started = mlflow.start_run(experiment_id=experiment, run_name=facts.run_name, tags=facts.tags())
        with started as run, fresh_project(spec.project_root, references):
            run_id = run.info.run_id
            runs.log_inputs(client, run_id, facts, chosen)
            frame = snapshot_frame(snapshot, on_read=on_read)
            kept = keep_digest(frame, snapshot_uri, model=spec.model, pii=spec.pii)
            client.set_tag(run_id, runs.FRAME, kept.digest)
            model_uri = _fit_and_log(mlflow, client, run_id, facts, frame, chosen, profile)
            client.set_tag(run_id, runs.ARTIFACT, _stored_digest(mlflow, model_uri))
            # The last thing written: a run with this tag is complete, whatever happens after.
            client.set_tag(run_id, runs.MODEL_URI, model_uri)
        return runs.outcome(client.get_run(run_id), facts, reused=False)


def fit_model(spec: ModelSpec, data: TrainingData, params: Mapping[str, Any]) -> Any:
    """Call the user's `fit(data, params)`; UserCodeError when it raises or returns no model."""
    fit = load_function(spec.train, spec.project_root)
    try:
        model = fit(data, dict(params))
    except Exception as error:
        raise UserCodeError(
            f"{spec.train} raised {told(error, data.raw, spec.pii)}",
            expected="fit(data, params) -> model, with data.features, data.target and data.raw",
            remedy="Correct train, or the parameters in the declaration",
        ) from cause(error, spec.pii)
    if not callable(getattr(model, "predict", None)):
        raise UserCodeError(
            f"{spec.train} returned {'None' if model is None else type(model).__name__}",
            expected="a model with predict(features), and predict_proba(features) for a classification",
            remedy="Return the fitted model",
        )
    return model


def _fit_and_log(
    mlflow: Any,
    client: Any,
    run_id: str,
    facts: runs.Facts,
    frame: pd.DataFrame,
    params: Mapping[str, Any],
    profile: Any,
) -> str:
    spec = facts.spec
    labelled, unlabelled = split_target(frame, spec)
    raw = labelled[raw_columns(labelled, spec)]
    prepare = load_function(spec.prepare, spec.project_root) if spec.prepare else None
    features = prepared(raw, spec, prepare)
    started = time.perf_counter()
    model = fit_model(spec, training_data(labelled, features, spec, facts.partitions), params)
    metrics = {
        "rows": len(labelled),
        "rows_without_target": unlabelled,
        "features": features.shape[1],
        "fit_seconds": time.perf_counter() - started,
    }
    runs.log_metrics(client, run_id, metrics)
    needed = needed_columns(raw, spec, prepare)
    with tempfile.TemporaryDirectory(prefix="retrain-model-") as folder:
        packed = pack(model, spec, raw, features, labelled[spec.target], Path(folder, "retrain"))
        if learned := columns_in_files(packed.folder, labelled, spec.pii):
            # Whoever may load the model can read them; nothing of ours writes them anywhere else.
            log.warning("the model of %s holds values of the private columns %s", spec.model, ", ".join(learned))
            client.set_tag(run_id, runs.PII_IN_MODEL, json.dumps(learned))
        uri = _log_model(mlflow, facts, packed, raw, needed)
        for name, document in {"snapshot.json": encode(facts.snapshot), "profile.json": profile}.items():
            if document is not None:
                path = Path(folder, name)
                path.write_text(json.dumps(document), encoding="utf-8")
                client.log_artifact(run_id, str(path))
    return uri


def _stored_digest(mlflow: Any, model_uri: str) -> str:
    """Digest the model's files as MLflow's store holds them: what everybody after this is to find there."""
    with tempfile.TemporaryDirectory(prefix="retrain-model-") as folder:
        mlflow.artifacts.download_artifacts(model_uri, dst_path=folder)
        return digest_of_files(Path(folder))


def needed_columns(raw: pd.DataFrame, spec: ModelSpec, prepare: Any) -> set[str]:
    """Return the raw columns without which the preparation fails or makes something else of a few rows.

    The others (what is only known afterwards, say) are optional in the model's signature.
    """
    few = raw.head(50)
    whole = prepared(few, spec, prepare)
    needed = set()
    for name in raw.columns:
        try:
            same = prepared(few.drop(columns=name), spec, prepare).equals(whole)
        except UserCodeError:
            same = False
        if not same:
            needed.add(name)
    return needed


def _log_model(mlflow: Any, facts: runs.Facts, packed: Packed, raw: pd.DataFrame, needed: set[str]) -> str:
    few = raw.head(EXAMPLE_ROWS)
    declared = signature(packed, raw, needed, packed.served.predict(None, few))
    # An example is rows of the data. Blanks in their place could be what the preparation cannot take.
    private = any(name in raw.columns for name in facts.spec.pii)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*input example was not provided", UserWarning)
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(SCRIPT),
            artifacts={"retrain": str(packed.folder)},
            signature=declared,
            input_example=None if private else as_declared(few, declared.inputs),
            pip_requirements=packed.requirements,
            metadata={"retrain": {"training_key": facts.key, "task": packed.card["task"]}},
        )
    return str(info.model_uri)
