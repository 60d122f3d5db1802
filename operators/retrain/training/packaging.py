"""A trained model as a folder that needs nothing of ours: estimator, columns, and the user's code."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.exceptions import MissingDependencyError, UserCodeError
from retrain.records import ModelSpec
from retrain.training.privacy import cause, private_features, told
from retrain.training.sources import source_files
from retrain.training.usercode import modules

if TYPE_CHECKING:
    import pandas as pd

SCRIPT = Path(__file__).with_name("_served_model.py")
# Rows of the input example, and most categories of a column that the model remembers.
EXAMPLE_ROWS, _CATEGORIES = 5, 10_000
_NEEDED = ("mlflow", "numpy", "pandas", "scikit-learn", "skops")


@dataclass(frozen=True)
class Packed:
    """The folder of a packed model, what of it is told to MLflow, and the model as it is served from that folder."""

    folder: Path
    card: dict[str, Any]
    requirements: list[str]
    served: Any


def pack(
    model: Any, spec: ModelSpec, raw: pd.DataFrame, features: pd.DataFrame, target: pd.Series[Any], folder: Path
) -> Packed:
    """Write the folder of a served model and prove that it predicts, from its files alone, what `model` does.

    UserCodeError when the model cannot be saved without pickle, or predicts otherwise once it is loaded.
    """
    folder.mkdir(parents=True)
    packages = copy_code(spec, folder / "code")
    save_estimator(model, folder / "estimator.skops", packages, spec)
    card = {
        "model": spec.model,
        "prepare": spec.prepare,
        "packages": packages,
        "raw": describe_columns(raw, private=spec.pii),
        "features": describe_columns(features, private=private_features(features, raw, spec.pii)),
        **describe_output(model, target),
    }
    (folder / "retrain.json").write_text(json.dumps(card, indent=1, allow_nan=False), encoding="utf-8")
    served = _proven(folder, model, spec, raw, features, card["scores"])
    return Packed(folder, card, requirements(model), served)


def copy_code(spec: ModelSpec, folder: Path) -> list[str]:
    """Copy the user's modules, keeping their places under the project root; returns their top-level packages."""
    root = Path(spec.project_root).resolve()
    references = [spec.train, *([spec.prepare] if spec.prepare else [])]
    packages = set()
    for path in source_files(root, modules(references)):
        relative = path.relative_to(root)
        copy = folder / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        packages.add(Path(relative.parts[0]).stem)
    # Folders without __init__.py would be merged with others of the same name wherever the model is loaded.
    for path in folder.rglob("*/"):
        (path / "__init__.py").touch()
    return sorted(packages)


def save_estimator(model: Any, path: Path, packages: list[str], spec: ModelSpec) -> None:
    """Save with skops, which writes no pickle; UserCodeError names what it cannot save or what is not trusted."""
    try:
        with warnings.catch_warnings():
            # It looks for ufuncs in every imported module, Airflow's deprecated names among them.
            warnings.simplefilter("ignore")
            import skops.io
    except ImportError as error:
        raise MissingDependencyError(
            f"skops cannot be imported: {error}", remedy="Install airflow-provider-retrain[jobs]"
        ) from error
    from retrain.training._served_model import TRUSTED, untrusted

    try:
        skops.io.dump(model, path)
        named = skops.io.get_untrusted_types(file=path)
    except Exception as error:
        raise UserCodeError(
            f"the {type(model).__name__} that {spec.train} returned cannot be saved by skops: {error}",
            expected="a model of scikit-learn, LightGBM, XGBoost or of the project, without open files or lambdas",
            remedy="Return such a model from train, or keep what cannot be saved out of it",
        ) from error
    if refused := untrusted(named, packages):
        raise UserCodeError(
            f"the model that {spec.train} returned holds types that are not trusted: {', '.join(refused)}",
            expected=f"types of {', '.join(sorted(TRUSTED))} or of the project",
            remedy="Move the class (and the function that uses it) into a package under the project root",
        )


def describe_columns(frame: pd.DataFrame, *, private: Collection[str] = ()) -> dict[str, Any]:
    """Return each column's type as `_served_model.as_in_training` restores it; of `private` ones no category."""
    kinds = {name: _kind(frame[name]) for name in frame.columns}
    secret = {name for name, kind in kinds.items() if name in private and "categories" in kind}
    return {name: {"dtype": "other"} if name in secret else kind for name, kind in kinds.items()}


def describe_output(model: Any, target: pd.Series[Any]) -> dict[str, Any]:
    """Return task, classes and the method that scores: `predict_proba`, `decision_function` or None."""
    if not hasattr(model, "predict_proba") and not hasattr(model, "classes_"):
        return {"task": "regression", "classes": [], "scores": None}
    found = getattr(model, "classes_", None)
    classes = [_plain(value) for value in (sorted(target.unique()) if found is None else found)]
    scores = "predict_proba" if hasattr(model, "predict_proba") else None
    if scores is None and len(classes) == 2 and hasattr(model, "decision_function"):
        scores = "decision_function"
    return {"task": "binary" if len(classes) == 2 else "multiclass", "classes": classes, "scores": scores}


def requirements(model: Any) -> list[str]:
    """Return the installed versions of what the served model needs: MLflow would take seconds to find them out."""
    own = type(model).__module__.partition(".")[0]
    extra = [own] if own in ("lightgbm", "xgboost") else []
    found = []
    for name in [*_NEEDED, *extra]:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return found


def signature(packed: Packed, raw: pd.DataFrame, needed: set[str], output: pd.DataFrame) -> Any:
    """Return MLflow's signature of the raw columns; those that the preparation can do without are optional.

    Whole numbers are declared `double`: a missing value makes floats of them, which MLflow refuses where `long` is
    declared. It also refuses int64 where `double` is: see `retrain.training.scoring.as_declared`. The served model
    itself casts back to the type of the training. `Any` is checked value by value, so it is the last resort.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    inputs = []
    for name in packed.card["raw"]:
        kind = _schema_type(raw[name])
        inputs.append(ColSpec(DataType[kind] if kind else AnyType(), name=str(name), required=name in needed))
    scores = [ColSpec(DataType.double, name=name) for name in output.columns if name != "prediction"]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec(AnyType(), name="prediction"), *scores]))


def _proven(
    folder: Path, model: Any, spec: ModelSpec, raw: pd.DataFrame, features: pd.DataFrame, scores: str | None
) -> Any:
    import numpy as np

    from retrain.training._served_model import ServedModel

    served = ServedModel()
    try:
        expected = np.asarray(getattr(model, scores or "predict")(features.head(200)))
    except Exception as error:
        raise UserCodeError(
            f"the model that {spec.train} returned cannot predict the features it was trained on: "
            f"{told(error, raw, spec.pii)}",
            expected="a model that is fitted",
            remedy="Correct train",
        ) from cause(error, spec.pii)
    if scores == "predict_proba" and expected.shape[1] == 2:
        expected = expected[:, 1]
    try:
        served.load(folder)
        output = served.predict(None, raw.head(200))
        found = output.drop(columns="prediction" if scores else []).to_numpy().reshape(expected.shape)
    except Exception as error:
        raise UserCodeError(
            f"the model of {spec.model} cannot predict from its own files: {told(error, raw, spec.pii)}",
            expected="a preparation that needs only its own package and what that imports from the project",
            remedy="Import by full names from the project root; keep lookup files beside the module, below 1 MB",
        ) from cause(error, spec.pii)
    number = found.dtype.kind in "biuf"
    if not (np.allclose(found, expected, equal_nan=True) if number else bool((found == expected).all())):
        raise UserCodeError(
            f"the model of {spec.model} predicts otherwise on the first {len(expected)} rows alone than in training",
            expected="a preparation that makes the features of a row from that row",
            remedy="Let train learn what depends on the whole data (means, categories), not prepare",
        )
    return served


def _kind(column: pd.Series[Any]) -> dict[str, Any]:
    dtype = str(column.dtype)
    if dtype == "category":
        categories = [_plain(value) for value in column.cat.categories]
        if len(categories) > _CATEGORIES or not all(isinstance(value, str | int | float) for value in categories):
            return {"dtype": "other"}
        return {"dtype": dtype, "categories": categories, "ordered": bool(column.cat.ordered)}
    return {"dtype": dtype}


def _schema_type(column: pd.Series[Any]) -> str | None:
    """Return the name of MLflow's type for a raw column, None where it has none."""
    import pandas as pd

    kinds = pd.api.types
    if kinds.is_bool_dtype(column.dtype):
        return "boolean"
    if kinds.is_integer_dtype(column.dtype):
        # Beyond 2**53 a float is another number.
        return "long" if len(column) and int(column.abs().max()) > 2**53 else "double"
    if kinds.is_float_dtype(column.dtype):
        return "double"
    if kinds.is_datetime64_dtype(column.dtype):
        return "datetime"
    return "string" if kinds.infer_dtype(column.head(1000), skipna=True) == "string" else None


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
