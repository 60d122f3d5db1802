"""Cells that no database would hold, and sources that are no table: never a crash, never half a message."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from retrain import drift
from retrain.exceptions import DataError


def table(cells):
    return pd.DataFrame({"x": pd.Series([cells[row % len(cells)] for row in range(400)], dtype=object)})


@pytest.mark.parametrize(
    "cells",
    [
        [np.array([0, 1]), np.array([2]), np.array([])],
        [[0, 1], [2], []],
        [{"a": 1}, {"b": 2}],
        ["x\ud800", "y"],
        [b"\xff", b"a"],
    ],
    ids=["arrays", "lists", "dictionaries", "half of a surrogate pair", "bytes"],
)
def test_cells_that_are_no_plain_values_are_levels(cells):
    profile = drift.profile(table(cells))
    assert sorted(profile.columns["x"].counts.values()) == sorted(
        len(range(k, 400, len(cells))) for k in range(len(cells))
    )
    assert drift.compare(profile, drift.profile(table(cells[::-1]))).status == "ok"
    verdict = drift.compare(profile, drift.profile(table([*cells, "other"])))
    assert verdict.status == "drift"
    json.dumps(verdict.to_dict(), allow_nan=False).encode()
    json.dumps(profile.to_dict(), allow_nan=False, ensure_ascii=False).encode()


def test_a_list_is_the_same_level_in_a_frame_and_in_a_file(tmp_path):
    frame = table([[0, 1], [2]])
    frame.to_parquet(tmp_path / "x.parquet")
    read = drift.profile(pd.read_parquet(tmp_path / "x.parquet"))
    assert read.columns["x"].counts == drift.profile(frame).columns["x"].counts
    assert read.columns["x"].counts == drift.profile(tmp_path / "x.parquet").columns["x"].counts


@pytest.mark.parametrize("source", [42, None, {"x": [1]}, np.zeros(3)], ids=lambda source: type(source).__name__)
def test_what_is_no_source_is_named(source):
    with pytest.raises(DataError, match=f"of type {type(source).__name__}.*Expected a pandas DataFrame"):
        drift.profile(source)


def test_a_table_of_another_library_is_told_the_way():
    with pytest.raises(DataError, match="to_pandas"):
        drift.profile(pa.table({"x": [1]}))


def test_a_new_level_is_named_unless_it_is_private():
    before, after = table(["a", "b", "c"]), table(["a", "b", "c", "d" * 60])
    verdict = drift.compare(before, after)
    assert f"new: '{'d' * 40}...'" in verdict.columns["x"].reason
    private = drift.compare(drift.profile(before, pii=["x"]), drift.profile(after, pii=["x"]))
    assert "ddd" not in json.dumps(private.to_dict())


def test_an_integer_is_named_as_one():
    before, after = pd.DataFrame({"x": np.arange(100)}), pd.DataFrame({"x": np.full(100, 7)})
    assert "every value of x is 7;" in drift.compare(before, after).checks[0].reason


def test_a_table_without_anything_to_judge_says_so():
    days = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=60)})
    verdict = drift.compare(days, days.assign(extra=1))
    assert verdict.status == "ok"
    assert "No column has values to compare" in verdict.summary
    assert "not judged: extra" in verdict.summary
