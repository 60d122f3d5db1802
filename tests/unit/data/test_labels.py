"""Labels that arrive apart: joined by key, never guessed at."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrain.data import join_labels, read, write_parquet
from retrain.records import DataRef


@pytest.fixture
def put(tmp_path: Path):
    def write(frame: pd.DataFrame, name: str, version: int = 1) -> DataRef:
        return write_parquet(frame, f"{tmp_path}/{name}.parquet", partition="2024-01", version=version)

    return write


@pytest.fixture
def join(tmp_path: Path, put):
    def joined(features: pd.DataFrame, labels: pd.DataFrame, key=("id",)):
        return join_labels(
            put(features, "features"), put(labels, "labels", 3), key=key, target="late", uri=f"{tmp_path}/out.parquet"
        )

    return joined


FEATURES = pd.DataFrame({"id": [4, 2, 9, 7], "x": [0.4, 0.2, 0.9, 0.7]})


def test_labelled_rows_keep_the_order_of_the_features(join) -> None:
    found = join(FEATURES, pd.DataFrame({"id": [7, 4, 2, 5], "late": [1, 0, 1, 1], "note": list("abcd")}))
    assert (found.rows, found.unlabelled, found.orphans, found.reason) == (3, 1, 1, "")
    pd.testing.assert_frame_equal(
        read(found.accepted), pd.DataFrame({"id": [4, 2, 7], "x": [0.4, 0.2, 0.7], "late": [0, 1, 1]})
    )


def test_the_reference_names_both_versions(join) -> None:
    found = join(FEATURES, pd.DataFrame({"id": [4], "late": [1]}))
    assert found.accepted.key == "2024-01@v1+l3"


def test_a_null_label_and_a_null_key_are_no_label(join) -> None:
    features = pd.DataFrame({"id": [1.0, np.nan, 3.0], "x": [1, 2, 3]})
    labels = pd.DataFrame({"id": [1.0, np.nan, 3.0], "late": [1.0, 1.0, np.nan]})
    found = join(features, labels)
    assert (found.rows, found.unlabelled, found.orphans) == (1, 2, 0)


def test_several_rows_may_share_a_label(join) -> None:
    features = pd.DataFrame({"id": [1, 1, 2], "x": [1, 2, 3]})
    found = join(features, pd.DataFrame({"id": [1, 2], "late": [0, 1]}))
    assert read(found.accepted)["late"].tolist() == [0, 0, 1]
    assert found.orphans == 0


def test_a_key_of_several_columns(join) -> None:
    features = pd.DataFrame({"day": ["a", "a", "b"], "no": [1, 2, 1]})
    found = join(features, pd.DataFrame({"day": ["b", "a"], "no": [1, 2], "late": [1, 0]}), key=("day", "no"))
    assert read(found.accepted).values.tolist() == [["a", 2, 0], ["b", 1, 1]]


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        (FEATURES, pd.DataFrame({"id": [4, 4], "late": [0, 1]}), "1 of 2 labels repeat a key"),
        (FEATURES, pd.DataFrame({"id": [4], "early": [0]}), "lacks the columns"),
        (FEATURES.rename(columns={"id": "nr"}), pd.DataFrame({"id": [4], "late": [0]}), "lacks the key columns"),
        (FEATURES.assign(late=1), pd.DataFrame({"id": [4], "late": [0]}), "values of its own"),
        (FEATURES, pd.DataFrame({"id": ["4"], "late": [0]}), "int64 in the data"),
        (FEATURES, pd.DataFrame({"id": [100], "late": [0]}), "no row has a label"),
        (FEATURES, pd.DataFrame({"id": [4], "late": [None]}), "no row has a label"),
    ],
)
def test_what_cannot_be_joined_says_why_and_joins_nothing(join, features, labels, words) -> None:
    found = join(features, labels)
    assert found.accepted is None
    assert found.unlabelled == len(features)
    assert words in found.reason


def test_a_target_column_without_any_value_makes_room_for_the_labels(join) -> None:
    found = join(FEATURES.assign(late=np.nan), pd.DataFrame({"id": [4], "late": [1]}))
    assert read(found.accepted).to_dict("records") == [{"id": 4, "x": 0.4, "late": 1}]


def test_damaged_labels_are_a_reason_and_no_error(tmp_path: Path, put) -> None:
    bad = tmp_path / "labels.parquet"
    bad.write_text("no parquet")
    ref = DataRef(uri=bad.as_uri(), format="parquet", version=1)
    found = join_labels(put(FEATURES, "f"), ref, key=["id"], target="late", uri=f"{tmp_path}/out.parquet")
    assert "not readable as Parquet" in found.reason
