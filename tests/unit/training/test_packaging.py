"""The packed model as a folder: what travels in it, what is refused, and that it predicts alike."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from retrain.exceptions import UserCodeError
from retrain.records import ModelSpec
from retrain.training import load_function
from retrain.training.packaging import Packed, pack, signature
from retrain.training.preparation import prepared, raw_columns, split_target
from tests.support.project import Project, orders

# MLflow warns about type hints of its own when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")


def packed(project: Project, folder: Path, model: Any = None, **changes: Any) -> tuple[Packed, pd.DataFrame]:
    spec: ModelSpec = project.spec(**changes)
    labelled, _ = split_target(orders(), spec)
    raw = labelled[raw_columns(labelled, spec)]
    prepare = load_function(spec.prepare, spec.project_root) if spec.prepare else None
    features = prepared(raw, spec, prepare)
    if model is None:
        model = LogisticRegression()
        features = features[["hour", "items"]]
    model.fit(features, labelled[spec.target])
    return pack(model, spec, raw, features, labelled[spec.target], folder), raw


def test_two_models_in_one_process_keep_the_code_they_were_trained_with(project: Project, tmp_path: Path) -> None:
    first, raw = packed(project, tmp_path / "first")
    modules = {name: module for name, module in sys.modules.items() if name.startswith(project.package)}
    (first.folder / "code" / project.package / "orders" / "helpers.py").write_text(
        "def hour(column):\n    return column.dt.hour * 0\n", encoding="utf-8"
    )
    from retrain.training._served_model import ServedModel

    changed = ServedModel()
    changed.load(first.folder)
    ours, theirs = (model.predict(None, raw)["score"] for model in (first.served, changed))
    assert not np.allclose(ours, theirs)
    assert np.allclose(ours, first.served.predict(None, raw)["score"])
    assert modules == {name: module for name, module in sys.modules.items() if name.startswith(project.package)}


def test_served_model_sees_the_types_of_the_training(project: Project, tmp_path: Path) -> None:
    made, raw = packed(project, tmp_path / "model")
    expected = made.served.predict(None, raw)
    otherwise = raw.assign(
        items=raw["items"].astype(float),
        placed_at=raw["placed_at"].astype(str),
        shop=raw["shop"].astype(object),
        refunded=raw["refunded"].astype(object),
    )
    pd.testing.assert_frame_equal(made.served.predict(None, otherwise), expected)
    one = made.served.predict(None, raw.iloc[[7]])
    assert np.allclose(one["score"], expected["score"].iloc[7])


def test_integer_column_with_a_missing_value_stays_a_float(project: Project, tmp_path: Path) -> None:
    from retrain.training._served_model import as_in_training

    kinds = {"n": {"dtype": "int64"}, "b": {"dtype": "bool"}}
    frame = as_in_training(pd.DataFrame({"n": [1.0, None], "b": [True, None]}), kinds)
    assert frame["n"].dtype == "float64"
    assert frame["b"].isna().tolist() == [False, True]
    half = as_in_training(pd.DataFrame({"n": [1.5, 2.0]}), kinds)
    assert half["n"].tolist() == [1.5, 2.0]


def test_categories_of_one_row_are_those_of_the_training() -> None:
    from retrain.training._served_model import as_in_training
    from retrain.training.packaging import describe_columns

    whole = pd.DataFrame({"c": pd.Categorical(["b", "a", "c"])})
    one = as_in_training(pd.DataFrame({"c": pd.Categorical(["c"])}), describe_columns(whole))
    assert one["c"].cat.codes.tolist() == [2]


def test_preparation_that_looks_at_the_whole_data_is_refused(project: Project, tmp_path: Path) -> None:
    project.write(
        "orders/whole.py",
        "def prepare(frame):\n    return (frame[['items']] - frame[['items']].mean()) + len(frame)\n",
    )
    with pytest.raises(UserCodeError, match="predicts otherwise on the first 200 rows alone"):
        packed(project, tmp_path / "m", LogisticRegression(), prepare=project.reference("whole:prepare"))


def test_preparation_that_needs_what_does_not_travel_is_refused(project: Project, tmp_path: Path) -> None:
    project.write(
        "orders/far.py",
        f"""
        import importlib
        def prepare(frame):
            importlib.import_module("{project.package}.outside.code")
            return frame[["items"]]
        """,
    )
    project.write("outside/code.py", "X = 1\n")
    sys.path.insert(0, str(project.root))
    try:
        with pytest.raises(UserCodeError, match="cannot predict from its own files: ModuleNotFoundError"):
            packed(project, tmp_path / "m", LogisticRegression(), prepare=project.reference("far:prepare"))
    finally:
        sys.path.remove(str(project.root))


def shift(frame: pd.DataFrame) -> pd.DataFrame:
    return frame + 1


def test_type_that_is_neither_known_nor_of_the_project_is_named(project: Project, tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(shift), LogisticRegression())
    with pytest.raises(UserCodeError, match=r"not trusted: .*shift.*under the project root"):
        packed(project, tmp_path / "m", model, prepare=None, key=("placed_at", "shop", "amount"))


def test_class_of_the_project_travels_with_the_model(project: Project, tmp_path: Path) -> None:
    project.write("orders/own.py", """
        class Mean:
            def fit(self, features, target):
                self.mean = float(target.mean())
                return self
            def predict(self, features):
                return features["items"] * 0 + self.mean
    """)  # fmt: skip
    model = load_function(project.reference("own:Mean"), str(project.root))()
    made, raw = packed(project, tmp_path / "m", model)
    assert made.card["task"] == "regression"
    assert made.served.predict(None, raw.head(2)).columns.tolist() == ["prediction"]


def test_multiclass_scores_are_named_by_class_and_regression_has_none(project: Project, tmp_path: Path) -> None:
    made, raw = packed(project, tmp_path / "m", LogisticRegression(max_iter=2000), prepare=None, target="items",
                       key=("placed_at", "shop"), event_time="amount")  # fmt: skip
    assert made.served.predict(None, raw.head(2)).columns.tolist() == [
        "prediction",
        *(f"score_{n}" for n in range(1, 9)),
    ]
    model = RandomForestRegressor(n_estimators=3)
    made, raw = packed(project, tmp_path / "r", model, prepare=None, key=("placed_at", "shop"), event_time="amount")
    assert made.card["task"] == "regression"


def test_signature_declares_numbers_as_double_and_unused_columns_as_optional(project: Project, tmp_path: Path) -> None:
    made, raw = packed(project, tmp_path / "m")
    raw = raw.assign(huge=2**60)
    made.card["raw"]["huge"] = {"dtype": "int64"}
    declared = signature(made, raw, {"placed_at", "items"}, made.served.predict(None, raw.head(2)))
    kinds = {column.name: (column.type.name, column.required) for column in declared.inputs}
    assert kinds == {
        "placed_at": ("datetime", True),
        "shop": ("string", False),
        "amount": ("double", False),
        "items": ("double", True),
        "refunded": ("double", False),
        "huge": ("long", False),
    }
    assert [column.name for column in declared.outputs] == ["prediction", "score"]
