"""The model as it is served: prepare, then the estimator. A copy of this file travels in every registered model.

It needs MLflow, pandas and skops, and neither retrain nor Airflow. Beside it lie, in one folder, `retrain.json` (what
to call, columns and their types), `estimator.skops`, and `code/`: the user's modules as they were in training.
"""

import importlib
import json
import sys
import threading
import types
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: TID253  (only MLflow loads this file)
from mlflow.models import set_model  # noqa: TID253
from mlflow.pyfunc import PythonModel  # noqa: TID253

# Code of these packages may be named in a saved estimator; what else is named has to be in the model's own `code/`.
TRUSTED = frozenset({"lightgbm", "numpy", "pandas", "scipy", "sklearn", "xgboost"})
# What estimators of these packages hold of the standard library.
_HARMLESS = frozenset({"collections.OrderedDict", "collections.defaultdict", "functools.partial"})

# One lock for all models of the process: each copy of this file is a module of its own, so it lives beside them.
_shared: Any = sys.modules.setdefault("_retrain_served_models", types.ModuleType("_retrain_served_models"))
_LOCK: Any = vars(_shared).setdefault("lock", threading.RLock())


class _ProjectCode:
    """The user's modules as they were when this model was trained, kept apart from others of the same names.

    Champion and challenger are loaded into one process and bring different versions of one module. Within the block
    this model's are the ones that an import finds; after it, those of the process are back.
    """

    def __init__(self, root: Path, packages: list[str]) -> None:
        self._root, self._packages = str(root), frozenset(packages)
        self._own: dict[str, Any] = {}
        self._others: dict[str, Any] = {}

    def __enter__(self) -> None:
        _LOCK.acquire()
        self._others = self._exchange(self._own)
        sys.path.insert(0, self._root)

    def __exit__(self, *_: object) -> None:
        sys.path.remove(self._root)
        self._own = self._exchange(self._others)
        _LOCK.release()

    def _exchange(self, incoming: dict[str, Any]) -> dict[str, Any]:
        outgoing = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in self._packages}
        for name in outgoing:
            del sys.modules[name]
        sys.modules.update(incoming)
        return outgoing


class ServedModel(PythonModel):  # type: ignore[misc]  # MLflow has no types
    """Raw rows in, predictions out: `prediction`, and `score` (binary) or `score_<class>` where there are any."""

    def load_context(self, context: Any) -> None:
        """Load the estimator and the preparation from the model's folder."""
        self.load(Path(context.artifacts["retrain"]))

    def load(self, folder: Path) -> None:
        """Load from the folder that holds `retrain.json`."""
        self._card: dict[str, Any] = json.loads((folder / "retrain.json").read_text(encoding="utf-8"))
        packages = self._card["packages"]
        self._code: AbstractContextManager[None] = (
            _ProjectCode(folder / "code", packages) if packages else nullcontext()
        )
        importlib.invalidate_caches()
        with self._code:
            self._estimator = load_estimator(folder / "estimator.skops", packages)
            self._prepare = None
            if self._card["prepare"]:
                module, _, function = self._card["prepare"].partition(":")
                self._prepare = getattr(importlib.import_module(module), function)

    # MLflow reads the type hint at import, and warns about any other.
    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ARG002
        """Return one row of predictions for each row of the raw frame `model_input`."""
        raw = as_in_training(model_input.reset_index(drop=True), self._card["raw"])
        with self._code:
            features = raw if self._prepare is None else self._prepare(raw)
            names = list(self._card["features"])
            if missing := [name for name in names if name not in features.columns]:
                raise ValueError(f"the input lacks {missing}: the model was trained on the features {names}")
            features = as_in_training(features[names].reset_index(drop=True), self._card["features"])
            return self._output(features)

    def _output(self, features: Any) -> Any:
        output: dict[str, Any] = {"prediction": self._estimator.predict(features)}
        scores = self._card["scores"]
        if scores == "predict_proba":
            proba = self._estimator.predict_proba(features)
            classes = self._card["classes"]
            if len(classes) == 2:
                output["score"] = proba[:, 1]
            else:
                output.update({f"score_{name}": proba[:, index] for index, name in enumerate(classes)})
        elif scores == "decision_function":
            output["score"] = self._estimator.decision_function(features)
        return pd.DataFrame(output)


def load_estimator(path: Path, packages: list[str]) -> Any:
    """Load an estimator whose every type is trusted; ValueError names those that are not."""
    import skops.io

    named = skops.io.get_untrusted_types(file=path)
    if refused := untrusted(named, packages):
        raise ValueError(f"the estimator holds types that are not trusted: {', '.join(refused)}")
    return skops.io.load(path, trusted=named)


def untrusted(names: list[str], packages: list[str]) -> list[str]:
    """Return those of the type names whose top-level package is neither trusted nor one of the model's own."""
    trusted = TRUSTED | set(packages)
    return sorted(name for name in names if name.partition(".")[0] not in trusted and name not in _HARMLESS)


def as_in_training(frame: Any, kinds: dict[str, Any]) -> Any:
    """Give columns the types that they had in training, where no value is lost by it.

    The same column comes as integers, as floats (once a value is missing), as text (from JSON) or as objects, by how
    it was read; `prepare` and the estimator should see one type.
    """
    changed = {}
    for name, kind in kinds.items():
        if name not in frame.columns or str(frame[name].dtype) == kind["dtype"] != "category":
            continue
        try:
            changed[name] = _cast(frame[name], kind)
        except (TypeError, ValueError, OverflowError):
            continue  # left as it came: prepare or the estimator says what it cannot take
    return frame.assign(**changed) if changed else frame


def _cast(column: Any, kind: dict[str, Any]) -> Any:
    dtype = kind["dtype"]
    if dtype == "category":
        return column.astype(pd.CategoricalDtype(kind["categories"], ordered=kind["ordered"]))
    if dtype.startswith("datetime64"):
        moments: Any = pd.to_datetime(column, utc="," in dtype)
        return moments.astype(dtype)
    if dtype in ("str", "object", "string"):
        # Before pandas 3 "str" is Python's str(), which would turn a missing value into the text "nan".
        has_text = dtype != "str" or hasattr(pd.api.types.pandas_dtype("str"), "storage")
        return column.astype(dtype) if has_text else column
    whole = dtype.lower().startswith(("int", "uint", "bool"))
    numbers = pd.to_numeric(column) if column.dtype == object else column
    if whole and dtype[0].islower() and numbers.isna().any():
        return numbers  # numpy's integers and booleans hold no missing value
    cast = numbers.astype(dtype)
    return cast if not whole or bool((cast == numbers).fillna(True).all()) else numbers


set_model(ServedModel())
