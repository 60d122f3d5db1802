"""What the store and MLflow add to the ledger's facts; a source that is down is named, the rest is shown."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from retrain.exceptions import (
    ConnectionConfigError,
    DataError,
    MissingDependencyError,
    RetrainError,
    UnavailableError,
    UnreadableDataError,
)
from retrain.records import encode
from retrain.training.tracking import translated, using

if TYPE_CHECKING:
    from retrain.registry import RegistryClient

_ORIGIN = "retrain.origin."


class SourceStatus(StrEnum):
    """`missing`: it answers, and has not got what was asked for. `not_asked`: nobody said where it is."""

    OK = "ok"
    MISSING = "missing"
    DOWN = "down"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True)
class Source:
    """Where facts come from, and whether it could be asked."""

    name: str
    status: SourceStatus
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = encode(self)
        return document


def from_store(model: str, facts: Mapping[str, Any]) -> tuple[dict[str, Any] | None, Source]:
    """Read the snapshot's manifest, its digest proven against its list, and the libraries that read the data."""
    uri, frame = facts["data"]["snapshot_uri"], facts["data"]["frame"]
    if not uri:
        return None, Source("store", SourceStatus.MISSING, "no snapshot is recorded for this version")
    return _asked("store", lambda: _manifest(uri, model, frame))


def _manifest(uri: str, model: str, frame: str | None) -> dict[str, Any]:
    from retrain.data import load_snapshot, storage
    from retrain.training.frames import description_uri

    described = description_uri(uri, model, frame) if frame else None
    kept = storage.read_json(described) if described and storage.exists(described) else {}
    snapshot = load_snapshot(uri)
    return {
        "dataset": snapshot.dataset,
        "digest": snapshot.digest,
        "rows": snapshot.rows,
        "partitions": [
            {"key": ref.key, "partition": ref.partition, "digest": ref.digest, "uri": ref.uri, "rows": ref.rows,
             "columns": len(ref.schema)}
            for ref in snapshot.partitions
        ],
        "environment": kept.get("libraries"),
    }  # fmt: skip


def from_mlflow(
    client: "RegistryClient | None", model: str, version: str, facts: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, Source]:
    """Read the version's run: code, parameters, libraries, metrics; what it needs to be served; where aliases point."""
    if client is None:
        return None, Source("mlflow", SourceStatus.NOT_ASKED, "no tracking URI was given")
    asked = client
    return _asked("mlflow", lambda: _of_mlflow(asked, model, version, facts["training"]["run_id"]))


def _of_mlflow(client: "RegistryClient", model: str, version: str, run_id: str | None) -> dict[str, Any]:
    registered = client.version(model, version)
    run_id = run_id or (registered and (registered.tags.get("retrain.run_id") or registered.run_id))
    run = _run(client, run_id) if run_id else None
    if registered is None and run is None:
        raise UnreadableDataError(f"MLflow has neither version {version} of {model} nor its run")
    tags = dict(run.data.tags) if run else {}
    return {
        "registered": registered is not None,
        "aliases": sorted(name for name, at in client.aliases(model).items() if at == version),
        "run_id": run_id,
        "source": registered.source if registered is not None else None,
        "code": tags.get("retrain.code"),
        "train": tags.get("retrain.train"),
        "prepare": tags.get("retrain.prepare") or None,
        "target": tags.get("retrain.target"),
        "origin": {name.removeprefix(_ORIGIN): value for name, value in tags.items() if name.startswith(_ORIGIN)},
        "environment": _json(tags.get("retrain.environment")),
        "params": dict(run.data.params) if run else {},
        "metrics": dict(sorted(run.data.metrics.items())) if run else {},
        "requirements": _requirements(client, tags.get("retrain.model_uri")),
        "private_columns_in_model": _json(tags.get("retrain.pii_in_model")),
    }


def _run(client: "RegistryClient", run_id: str) -> Any | None:
    mlflow = client.mlflow
    with translated(client.tracking_uri):
        from mlflow.exceptions import MlflowException

        try:
            return mlflow.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise


def _requirements(client: "RegistryClient", model_uri: str | None) -> list[str] | None:
    """What an environment needs to serve the model, as MLflow keeps it beside it; None where it is gone."""
    if not model_uri:
        return None
    with using(client.tracking_uri) as mlflow:
        from mlflow.exceptions import MlflowException

        try:
            place = client.mlflow.get_logged_model(model_uri.removeprefix("models:/")).artifact_location
            text = mlflow.artifacts.load_text(f"{place}/requirements.txt")
        except (MlflowException, OSError):
            return None
    return [line.strip() for line in str(text).splitlines() if line.strip()]


def _json(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _asked(name: str, question: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any] | None, Source]:
    try:
        return question(), Source(name, SourceStatus.OK)
    except (UnavailableError, ConnectionConfigError, MissingDependencyError) as error:
        return None, Source(name, SourceStatus.DOWN, str(error))
    except DataError as error:
        return None, Source(name, SourceStatus.MISSING, str(error))
    except RetrainError as error:
        return None, Source(name, SourceStatus.DOWN, str(error))
