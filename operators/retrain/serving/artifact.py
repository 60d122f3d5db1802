"""The artifact to check: fetched once, its digest, what it asks for, and the requests to feed it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError
from retrain.training.artifacts import digest, files

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["digest", "example", "fetch", "files", "output_columns", "payload", "requirements", "single", "size"]
# Requests of one row that latency is measured with, in turn.
MOST_SINGLE = 50


def fetch(model: str, folder: Path, tracking_uri: str | None) -> Path:
    """Return a private copy of the model's folder: the process under check can neither change nor keep the original.

    `model` is a folder, or an MLflow URI. The copy needs no credentials any more. DataError when there is no model,
    RegistryUnavailableError when MLflow does not answer.
    """
    import shutil

    target = folder / "model"
    if "://" not in model and ":/" not in model:
        if not (Path(model) / "MLmodel").is_file():
            raise DataError(f"there is no MLmodel in {model!r}", expected="the folder of an MLflow model")
        shutil.copytree(model, target, symlinks=False)
        return target
    from mlflow.exceptions import MlflowException

    from retrain.training.tracking import connect, import_mlflow, using

    uri = tracking_uri or str(import_mlflow().get_tracking_uri())
    connect(uri)
    target.mkdir()
    try:
        with using(uri) as mlflow:
            mlflow.artifacts.download_artifacts(model, dst_path=str(target))
    except (MlflowException, OSError) as error:
        raise DataError(
            f"the artifact of {model} cannot be read: {error}",
            expected="a model whose files are in MLflow's store",
            remedy="Look whether the version still has its files; roll back to one that has",
        ) from error
    if not (target / "MLmodel").is_file():
        raise DataError(f"the artifact of {model} has no MLmodel", expected="an MLflow model")
    return target


def size(folder: Path) -> int:
    """Return the bytes of the model's files."""
    return sum(path.stat().st_size for path in files(folder))


def requirements(folder: Path) -> tuple[list[str], str | None]:
    """Return the lines of the model's requirements and the Python version it was made with, where it says so."""
    path = folder / "requirements.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    python = _card(folder).flavors.get("python_function", {}).get("python_version")
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")], python


def output_columns(folder: Path) -> list[str] | None:
    """Return the names that the model's signature gives its outputs; None where it names none."""
    schema = _card(folder).get_output_schema()
    return [str(name) for name in schema.input_names()] if schema is not None and schema.has_input_names() else None


def example(folder: Path) -> dict[str, Any] | None:
    """Return the input example as the scoring protocol has it; None where the model brings none."""
    path = folder / "serving_input_example.json"
    if not path.is_file():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def payload(frame: "pd.DataFrame") -> dict[str, Any]:
    """Return rows in MLflow's scoring protocol; missing values are null, times ISO 8601."""
    return {
        "dataframe_split": {
            "columns": [str(name) for name in frame.columns],
            "data": [[_plain(value) for value in row] for row in frame.itertuples(index=False, name=None)],
        }
    }


def single(payloads: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return payloads of one row each, of the recorded requests if there are any, else of the example."""
    rows = payloads.get("requests") or payloads.get("example") or {}
    split = rows.get("dataframe_split")
    if split is None:
        return [rows] if rows else []
    return [{"dataframe_split": {**split, "data": [row], "index": [0]}} for row in split["data"][:MOST_SINGLE]]


def _card(folder: Path) -> Any:
    from retrain.training.tracking import import_mlflow

    import_mlflow()
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    try:
        return Model.load(str(folder))
    except (MlflowException, TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"the MLmodel of the artifact cannot be read: {error}", expected="a whole model") from error


def _plain(value: Any) -> Any:
    import pandas as pd

    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
