import dataclasses
from collections.abc import Callable

import pandas as pd
import pytest

from retrain.exceptions import DataError, MissingColumnError, UserCodeError
from retrain.records import ModelSpec
from retrain.training.fitting import fit_model, needed_columns
from retrain.training.preparation import prepared, split_target, training_data
from tests.support.project import Project, orders

SPEC = ModelSpec("m", "d", "x", "y", "a:fit", "roc_auc", "/srv", prepare="a:prepare", key=("id",), event_time="at")
RAW = pd.DataFrame({"id": [1, 2], "at": [3, 4], "x": [5, 6]})


def test_missing_target_is_named_with_the_columns_that_are_there() -> None:
    with pytest.raises(MissingColumnError, match=r"no target column 'y'.*\['id', 'at', 'x'\].*target="):
        split_target(RAW, SPEC)


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    labelled, without = split_target(RAW.assign(y=[None, 1.0]), SPEC)
    assert (without, labelled["id"].tolist(), labelled.index.tolist()) == (1, [2], [0])


def test_no_label_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="none of the 2 rows"):
        split_target(RAW.assign(y=[None, None]), SPEC)


def test_without_prepare_the_features_are_all_but_key_event_time_and_query() -> None:
    assert prepared(RAW, SPEC, None).columns.tolist() == ["x"]
    assert prepared(RAW.assign(z=7), dataclasses.replace(SPEC, query="x"), None).columns.tolist() == ["z"]


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda frame: frame[["x"]].head(1), "made 1 rows of 2"),
        (lambda frame: frame["x"], "returned Series"),
        (lambda frame: None, "returned NoneType"),
        (lambda frame: frame.rename(columns={"x": "y"}), "the target 'y' among the features"),
        (lambda frame: frame[["x", "x"]], "without distinct text names"),
        (lambda frame: frame[[]], "no feature"),
        (lambda frame: frame["y"], "raised KeyError: 'y'"),
    ],
)
def test_prepare_that_breaks_its_contract_is_the_users_error(
    prepare: Callable[[pd.DataFrame], pd.DataFrame], says: str
) -> None:
    with pytest.raises(UserCodeError, match=says):
        prepared(RAW, SPEC, prepare)


def test_prepare_cannot_change_the_raw_frame() -> None:
    def prepare(frame: pd.DataFrame) -> pd.DataFrame:
        frame["x"] = 0
        return frame[["x"]]

    prepared(RAW, SPEC, prepare)
    assert RAW["x"].tolist() == [5, 6]


def test_only_columns_that_the_preparation_uses_are_needed() -> None:
    assert needed_columns(RAW, SPEC, lambda frame: frame[["x"]] * 2) == {"x"}
    assert needed_columns(RAW, SPEC, lambda frame: pd.DataFrame({"n": range(len(frame))})) == set()


@pytest.mark.parametrize(
    ("body", "says"),
    [("return None", "returned None"), ("raise OSError('disk')", "raised OSError: disk"), ("return 3", "returned int")],
)
def test_fit_that_breaks_its_contract_is_the_users_error(project: Project, body: str, says: str) -> None:
    project.write("orders/bad.py", f"def fit(data, params):\n    {body}\n")
    labelled, _ = split_target(orders(), project.spec())
    spec = project.spec(train=project.reference("bad:fit"))
    with pytest.raises(UserCodeError, match=says):
        fit_model(spec, training_data(labelled, labelled[["items"]], spec, ()), {})


def test_fit_sees_features_target_raw_rows_and_both_in_one_frame() -> None:
    spec = ModelSpec("m", "orders", "x", "returned", "a:fit", "roc_auc", "/srv")
    labelled, _ = split_target(orders(5), spec)
    data = training_data(labelled, labelled[["items"]], spec, ("2024-01",))
    assert data.frame.columns.tolist() == ["items", "returned"]
    assert data.target.name == "returned"
    assert data.partitions == ("2024-01",)
    assert "refunded" in data.raw
