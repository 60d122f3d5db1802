"""Predictions of a logged model, through the very path that serving takes."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DeclarationError, DigestMismatchError, MissingColumnError, UserCodeError
from retrain.training.artifacts import digest as digest_of
from retrain.training.privacy import cause, told
from retrain.training.tracking import connect, using

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TAKES = ("score", "label", "value", "proba")
# MLflow's models have no hash by which they could be found in a table.
_COPY = "_retrain_copy"
_PICKLE = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


def load_model(model_uri: str, *, tracking_uri: str, digest: str | None = None) -> Any:
    """Load a model as MLflow's `PyFuncModel`; a pickle only where MLFLOW_ALLOW_PICKLE_DESERIALIZATION says so.

    With a `digest` (see `retrain.training.artifacts`) the files are proven before anything of them runs:
    DigestMismatchError. RegistryUnavailableError when MLflow does not answer.
    """
    connect(tracking_uri)
    with using(tracking_uri) as mlflow, _without_pickle():
        if digest is None:
            return mlflow.pyfunc.load_model(model_uri)
        folder = Path(tempfile.mkdtemp(prefix="retrain-model-"))
        try:
            mlflow.artifacts.download_artifacts(model_uri, dst_path=str(folder))
            _prove(folder, digest, model_uri)
            model = mlflow.pyfunc.load_model(str(folder))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        # A model may import from its folder for as long as it lives.
        setattr(model, _COPY, weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True))
        return model


def release(model: Any) -> None:
    """Delete what `load_model` has copied for a model, which is not asked any more.

    Otherwise that is done when the model is collected or the process ends; not every process of Airflow's ends in a way
    that lets it.
    """
    if (delete := getattr(model, _COPY, None)) is not None:
        delete()


def predict(model: Any, frame: pd.DataFrame, *, pii: Collection[str] = ()) -> pd.DataFrame:
    """Return the model's output for the raw rows of `frame`; values of the columns of `pii` are masked in errors."""
    return _predict(model, frame, pii)


def predict_for_metric(
    model: Any, frame: pd.DataFrame, takes: str, *, pii: Collection[str] = ()
) -> np.ndarray[Any, Any]:
    """Return what a metric takes, in row order, for the raw rows of `frame`; see `for_metric`."""
    return for_metric(_predict(model, frame, pii), takes)


def for_metric(output: pd.DataFrame, takes: str) -> np.ndarray[Any, Any]:
    """Return what a metric takes of a model's output.

    `score`: of the positive (greater) class of two; `proba`: one column per class, in sorted order; `label`: the
    predicted class; `value`: the predicted number. DeclarationError when the model has no such output.
    """
    if takes not in TAKES:
        raise DeclarationError(f"a metric takes {takes!r}", expected=" | ".join(TAKES))
    scores = [name for name in output.columns if name.startswith("score_")]
    if takes == "label":
        return output["prediction"].to_numpy()
    if takes == "value":
        return output["prediction"].to_numpy(dtype=float)
    if takes == "score" and "score" in output.columns:
        return output["score"].to_numpy(dtype=float)
    if takes == "proba" and scores:
        return output[scores].to_numpy(dtype=float)
    if takes == "proba" and "score" in output.columns:
        positive = output[["score"]].to_numpy(dtype=float)
        import numpy as np

        return np.hstack([1 - positive, positive])
    raise DeclarationError(
        f"the model's output {list(output.columns)} has nothing for a metric that takes {takes!r}",
        expected="a classifier with predict_proba" + (" and two classes" if takes == "score" else ""),
        remedy="Declare a metric that fits the model, or return a model with predict_proba from train",
    )


def kinds(output: pd.DataFrame, takes: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return what a metric takes, and what metrics of other kinds would take of the same output."""
    found = {takes: for_metric(output, takes)}
    scored = any(name.startswith("score") for name in output.columns)
    if scored:
        further = "score" if "score" in output.columns else "proba"
        found.setdefault(further, for_metric(output, further))
        found.setdefault("label", for_metric(output, "label"))
    return found


def as_declared(frame: pd.DataFrame, schema: Any) -> pd.DataFrame:
    """Return the columns that the model's signature names, with whole numbers as floats where it says `double`.

    MLflow refuses int64 for `double`. Whoever calls a model through plain MLflow with whole numbers in a frame does
    this first; in JSON there is no such difference.
    """
    import pandas as pd
    from mlflow.types import DataType

    columns = {column.name: frame[column.name] for column in schema.inputs if column.name in frame.columns}
    for column in schema.inputs:
        values = columns.get(column.name)
        if column.type == DataType.double and values is not None and pd.api.types.is_any_real_numeric_dtype(values):
            columns[column.name] = values.astype("float64")
    return pd.DataFrame(columns, index=frame.index)


def _predict(model: Any, frame: pd.DataFrame, pii: Collection[str]) -> pd.DataFrame:
    from mlflow.exceptions import MlflowException

    schema = model.metadata.get_input_schema()
    names = schema.input_names()
    if missing := [column.name for column in schema.inputs if column.required and column.name not in frame.columns]:
        raise MissingColumnError(
            f"the data lacks {missing}, which the model needs; its columns are {list(frame.columns[:40])}",
            expected=f"the columns that the model was trained on: {names[:40]}",
            remedy="Restore the columns, or retrain on data without them",
        )
    try:
        output: pd.DataFrame = model.predict(as_declared(frame, schema))
    except MlflowException as error:
        raise UserCodeError(
            f"the data does not fit the model's signature: {told(error, frame, pii)}",
            expected=str(schema),
            remedy="Give the columns the types that they had in training",
        ) from cause(error, pii)
    except Exception as error:
        raise UserCodeError(
            f"the model's own prepare or predict raised {told(error, frame, pii)}",
            expected="predictions for rows like those of the training",
            remedy="Correct prepare and retrain: a model keeps the code it was trained with",
        ) from cause(error, pii)
    return output


def _prove(folder: Path, digest: str, model_uri: str) -> None:
    if (found := digest_of(folder)) != digest:
        raise DigestMismatchError(
            f"the files of {model_uri} are not those that were checked: {found}",
            expected=digest,
            remedy="Find out who changed them; roll back to a version whose files are whole",
        )


@contextlib.contextmanager
def _without_pickle() -> Iterator[None]:
    """Let MLflow refuse pickles: they run what whoever wrote them likes, and our models hold none."""
    if _PICKLE in os.environ:  # the deployment has decided
        yield
        return
    os.environ[_PICKLE] = "false"
    try:
        yield
    finally:
        os.environ.pop(_PICKLE, None)
