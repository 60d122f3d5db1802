"""The digest of a frame: equal for equal frames in any process, other for anything that a training could notice."""

import datetime as dt
import decimal
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrain.data import read, storage, write_parquet
from retrain.exceptions import DigestMismatchError
from retrain.records import DataRef, Snapshot
from retrain.training import frame_digest, snapshot_frame
from retrain.training.frames import description_uri, differences, keep_digest


def everything() -> pd.DataFrame:
    """A frame with a column of every kind that Parquet gives."""
    return pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "small": np.array([1, 2, 3], "int8"),
            "float": [0.1, np.nan, -0.0],
            "flag": [True, False, True],
            "text": ["a", "", None],
            "moment": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
            "zoned": pd.to_datetime(["2024-01-01", None, "2024-01-03"], utc=True),
            "span": pd.to_timedelta([1, None, 3], unit="h"),
            "level": pd.Categorical(["x", None, "y"]),
            "maybe": pd.array([1, None, 3], "Int64"),
            "day": [dt.date(2024, 1, 1), None, dt.date(2024, 1, 3)],
            "price": [decimal.Decimal("1.10"), None, decimal.Decimal("3")],
            "list": [np.array([1, 2]), None, np.array([], "int64")],
            "struct": [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}],
            "bytes": [b"\xff", None, b""],
            "mixed": [1, "1", None],
        }
    )


def test_the_digest_is_the_same_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    write_parquet(everything().drop(columns="mixed"), path)
    code = (
        "from retrain.data import read; from retrain.training import frame_digest; "
        f"print(frame_digest(read({str(path)!r})).digest)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert outputs == {frame_digest(read(path)).digest}


def test_an_equal_frame_has_an_equal_digest_whatever_its_index_and_its_memory() -> None:
    frame = everything()
    digest = frame_digest(frame).digest
    assert frame_digest(frame.copy(deep=True)).digest == digest
    assert frame_digest(frame.set_axis([7, 8, 9])).digest == digest
    doubled = pd.concat([frame, frame], ignore_index=True)
    assert frame_digest(doubled.iloc[3:]).digest == frame_digest(doubled.iloc[:3]).digest
    strided = pd.DataFrame(np.arange(12.0).reshape(3, 4))
    assert frame_digest(strided).digest == frame_digest(strided.copy()).digest


CHANGES = {
    "a value": lambda f: f.assign(whole=[1, 2, 4]),
    "a name": lambda f: f.rename(columns={"whole": "Whole"}),
    "an order of columns": lambda f: f[list(f.columns[::-1])],
    "an order of rows": lambda f: f.iloc[::-1],
    "a row less": lambda f: f.iloc[:2],
    "no rows at all": lambda f: f.iloc[:0],
    "a width": lambda f: f.assign(small=f["small"].astype("int16")),
    "a sign of zero": lambda f: f.assign(float=[0.1, np.nan, 0.0]),
    "the last bit of a float": lambda f: f.assign(float=[np.nextafter(0.1, 1), np.nan, -0.0]),
    "a NaN with another payload": lambda f: f.assign(
        float=np.array([0x3FB999999999999A, 0x7FF8000000000001, 1 << 63], "uint64").view("float64")
    ),
    "null for empty text": lambda f: f.assign(text=["a", None, None]),
    "where text is cut": lambda f: f.assign(text=["", "a", None]),
    "a unit of time": lambda f: f.assign(moment=f["moment"].astype("datetime64[ns]").astype("datetime64[ms]")),
    "a time zone": lambda f: f.assign(zoned=f["zoned"].dt.tz_convert("Asia/Tokyo")),
    "a span": lambda f: f.assign(span=pd.to_timedelta([1, None, 4], unit="h")),
    "a level": lambda f: f.assign(level=f["level"].cat.rename_categories({"x": "z"})),
    "an unused level": lambda f: f.assign(level=f["level"].cat.add_categories("z")),
    "an order of levels": lambda f: f.assign(level=f["level"].cat.as_ordered()),
    "a missing whole number": lambda f: f.assign(maybe=pd.array([1, 0, 3], "Int64")),
    "a day": lambda f: f.assign(day=[dt.date(2024, 1, 1), None, dt.date(2024, 1, 4)]),
    "digits of a decimal": lambda f: f.assign(price=[decimal.Decimal("1.1"), None, decimal.Decimal("3")]),
    "an element": lambda f: f.assign(list=[np.array([1, 3]), None, np.array([], "int64")]),
    "a field": lambda f: f.assign(struct=[{"a": 1, "b": "x"}, None, {"a": 0, "b": "y"}]),
    "a byte": lambda f: f.assign(bytes=[b"\xfe", None, b""]),
    "text for a number": lambda f: f.assign(mixed=["1", "1", None]),
    "True for 1": lambda f: f.assign(mixed=[True, "1", None]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_anything_that_a_training_could_notice_changes_the_digest(what: str) -> None:
    frame = everything()
    if what == "a unit of time":
        frame["moment"] = frame["moment"].astype("datetime64[ns]")
    assert frame_digest(CHANGES[what](frame)).digest != frame_digest(frame).digest


def test_text_does_not_run_together_across_its_rows() -> None:
    assert (
        frame_digest(pd.DataFrame({"a": ["ab", "c"]})).digest != frame_digest(pd.DataFrame({"a": ["a", "bc"]})).digest
    )


def test_columns_beyond_one_chunk_count(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"n": range(10), "t": list("abcdefghij")})
    monkeypatch.setattr("retrain.training.frames._CHUNK", 4)
    digests = {frame_digest(frame).digest}
    for position in (3, 4, 9):
        for column, value in (("n", 77), ("t", "z")):
            other = frame.copy()
            other.loc[position, column] = value
            digests.add(frame_digest(other).digest)
    assert len(digests) == 7


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    def part(name: str, **columns: list) -> DataRef:
        return write_parquet(pd.DataFrame(columns), tmp_path / f"{name}.parquet", partition=name, version=1)

    return Snapshot("d", (part("1", a=[1, 2], extra=[0, 0], y=[0.0, None]), part("2", y=[1.0], a=[3])))


def test_the_frame_of_a_snapshot_has_the_rows_of_all_and_the_columns_of_each(snapshot: Snapshot) -> None:
    told: list[str] = []
    frame = snapshot_frame(snapshot, on_read=lambda ref: told.append(ref.key))
    expected = pd.DataFrame({"y": [0.0, np.nan, 1.0], "a": [1, 2, 3]})
    pd.testing.assert_frame_equal(frame, expected)
    assert told == ["1@v1", "2@v1"]


def test_what_failed_to_be_read_was_not_read(snapshot: Snapshot) -> None:
    storage.write_bytes(snapshot.partitions[1].uri, b"other")
    told: list[str] = []
    with pytest.raises(DigestMismatchError):
        snapshot_frame(snapshot, on_read=lambda ref: told.append(ref.key))
    assert told == ["1@v1"]


def test_a_difference_is_named(tmp_path: Path) -> None:
    frame = everything()
    uri = f"{tmp_path}/snapshot.json"
    made = keep_digest(frame, uri, model="a/b", pii=("text",))
    kept = storage.read_json(description_uri(uri, "a/b", made.digest))
    assert kept["pii"] == ["text"]
    assert kept["libraries"]["pandas"] == pd.__version__
    assert "0.1" not in json.dumps(kept["columns"])
    assert differences(kept, made) == []

    def named(other: pd.DataFrame) -> list[str]:
        return differences(kept, frame_digest(other))

    assert named(frame.assign(whole=[1, 2, 4])) == ["'whole' has other values"]
    assert named(frame.assign(whole=[1.0, 2.0, 3.0])) == ["'whole' is float64 and not int64"]
    assert named(frame.rename(columns={"day": "Day"})) == ["the column 'day' is missing", "the column 'Day' is new"]
    assert named(frame[list(frame.columns[::-1])]) == ["the columns are in another order"]
    assert named(frame.iloc[:2])[0] == "2 rows and not 3"
