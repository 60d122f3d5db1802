"""Private values are masked in what foreign code says, and found where a model has learned them."""

import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from retrain.training.privacy import cause, columns_in_files, private_features, told

FRAME = pd.DataFrame(
    {
        "name": ["Jane Doe", "Jane Doe-Smith", None],
        "state": ["NY", "CA", "NY"],
        "salary": [31337.5, 20.0, None],
        "shop": ["north", "south", "west"],
    }
)
PII = ("name", "state", "salary", "not there")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("could not convert string to float: 'Jane Doe'", "could not convert string to float: '•••'"),
        ("Jane Doe-Smith and Jane Doe", "••• and •••"),
        ("unknown state 'NY'", "unknown state •••"),
        ("ANY order", "ANY order"),
        ("over the limit: 31337.5", "over the limit: •••"),
        ("no shop 'north'", "no shop 'north'"),
    ],
)
def test_private_values_are_masked_and_others_are_not(text: str, expected: str) -> None:
    assert told(ValueError(text), FRAME, PII) == f"ValueError: {expected}"


def test_without_private_columns_an_error_says_what_it_says() -> None:
    error = ValueError("'Jane Doe'")
    assert told(error, FRAME, ()) == "ValueError: 'Jane Doe'"
    assert cause(error, ()) is error
    assert cause(error, PII) is None


def test_a_private_column_is_known_under_another_name_by_its_categories() -> None:
    features = pd.DataFrame(
        {
            "state": FRAME["state"],
            "who": FRAME["name"].astype("category"),
            "shop": FRAME["shop"].astype("category"),
            "n": [1, 2, 3],
        }
    )
    assert private_features(features, FRAME, PII) == {"state", "who"}
    assert private_features(features, FRAME, ()) == set()


@pytest.mark.parametrize("written", [b"Jane Doe", "Jane Doe".encode("utf-32-le"), json.dumps("Jane Doe").encode()])
def test_values_that_a_model_learned_are_found_in_its_files(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "retrain.json").write_text("{}")
    with zipfile.ZipFile(tmp_path / "estimator.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.npy", b"north CA")
    assert columns_in_files(tmp_path, FRAME, PII) == []
    with zipfile.ZipFile(tmp_path / "estimator.skops", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("two.npy", b"\x93" + written * 100)
    assert columns_in_files(tmp_path, FRAME, PII) == ["name"]
