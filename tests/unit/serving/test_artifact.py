import datetime as dt
import json

import numpy as np
import pandas as pd

from retrain.serving.artifact import digest, payload, single, size


def test_digest_is_of_names_and_bytes_and_not_of_what_a_download_adds(tmp_path):
    (tmp_path / "MLmodel").write_text("a")
    before = digest(tmp_path)
    (tmp_path / "registered_model_meta").write_text("model: m")
    assert (digest(tmp_path), size(tmp_path)) == (before, 1)
    (tmp_path / "MLmodel").rename(tmp_path / "other")
    assert digest(tmp_path) != before


def test_rows_travel_as_plain_json():
    frame = pd.DataFrame({
        "time": [pd.Timestamp("2024-01-01 10:00"), pd.NaT],
        "count": np.array([1, 2], dtype="int32"),
        "share": [0.1, np.nan],
        "flag": pd.array([True, None], dtype="boolean"),
        "day": [dt.date(2024, 1, 1), None],
    })  # fmt: skip
    document = json.loads(json.dumps(payload(frame), allow_nan=False))
    assert document["dataframe_split"]["data"] == [
        ["2024-01-01T10:00:00", 1, 0.1, True, "2024-01-01"],
        [None, 2, None, None, None],
    ]


def test_requests_of_one_row_come_from_the_recorded_ones():
    frame = pd.DataFrame({"x": [1, 2]})
    assert [one["dataframe_split"]["data"] for one in single({"example": {}, "requests": payload(frame)})] == [
        [[1]],
        [[2]],
    ]
    assert single({"example": {"inputs": [1]}}) == [{"inputs": [1]}]
    assert single({}) == []
