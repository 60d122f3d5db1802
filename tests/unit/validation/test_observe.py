import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from retrain.data import describe
from retrain.exceptions import DataError, DigestMismatchError
from retrain.validation import observe as module
from retrain.validation.observe import observe


def frame(rows=1_000):
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "key": [f"k{i}" for i in range(rows)],
            "number": rng.normal(size=rows),
            "half": [None if i % 2 else float(i) for i in range(rows)],
            "city": rng.choice(["Graz", "Linz"], rows),
            "yes": rng.random(rows) < 0.5,
            "at": pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(rows), unit="s"),
        }
    )


def facts(observed):
    return [
        (one.name, one.kind, one.rows, one.nulls, one.values, one.unique(), len(one.sample()))
        for one in observed.columns
    ]


@pytest.mark.parametrize("write", ["parquet", "csv"])
def test_a_file_is_seen_as_its_frame_is(tmp_path, write):
    data = frame()
    data["at"] = data["at"].astype(str) if write == "csv" else data["at"]
    path = tmp_path / f"data.{write}"
    getattr(data, f"to_{write}")(path, index=False)
    assert facts(observe(path)) == facts(observe(str(path))) == facts(observe(data))


def test_batches_make_no_difference(tmp_path, monkeypatch):
    frame().to_parquet(tmp_path / "data.parquet", row_group_size=300)
    whole = observe(tmp_path / "data.parquet")
    monkeypatch.setattr(module.streaming, "ROWS", 64)
    assert facts(observe(tmp_path / "data.parquet")) == facts(whole)


def test_counts_nulls_values_and_keys():
    by_name = {one.name: one for one in observe(frame()).columns}
    assert [one.kind for one in by_name.values()] == ["text", "number", "number", "text", "boolean", "time"]
    assert (by_name["half"].nulls, by_name["half"].filled) == (500, 500)
    assert sum(by_name["city"].values.values()) == 1_000
    assert by_name["key"].values is None
    assert by_name["key"].unique()
    assert not by_name["city"].unique()
    assert not by_name["number"].unique()  # a measurement is no key


def test_a_value_that_repeats_in_another_batch_is_no_key(monkeypatch):
    monkeypatch.setattr(module.streaming, "ROWS", 100)
    data = pd.DataFrame({"key": [*range(500), 7]})
    assert not observe(data).columns[0].unique()


def test_the_sample_is_bounded_and_uniform(monkeypatch):
    monkeypatch.setattr(module.streaming, "ROWS", 500)
    monkeypatch.setattr(module, "_SAMPLE", 2_000)
    sample = observe(pd.DataFrame({"x": np.arange(40_000.0)})).columns[0].sample()
    assert 1_500 < len(sample) < 4_500
    assert abs(sample.mean() - 20_000) < 5 * 40_000 / np.sqrt(12 * len(sample))
    counts, _ = np.histogram(sample, bins=8, range=(0, 40_000))
    assert counts.min() > 0.6 * counts.max()  # the first batches are not over-represented


def test_nan_is_null_and_infinity_is_a_value_that_no_range_is_made_of():
    table = pa.table({"x": pa.array([1.0, float("nan"), None, float("inf")], from_pandas=False)})
    column = observe(table.to_pandas()).columns[0]
    assert (column.nulls, column.filled, list(column.sample())) == (2, 2, [1.0])


def test_nothing_of_a_private_column_is_kept():
    column = observe(frame(), private=["city"]).columns[3]
    assert (column.values, column.hashes, column.drawn) == (None, None, None)
    assert (column.kind, column.rows, column.nulls) == ("text", 1_000, 0)


def test_types_that_no_check_knows_are_of_no_kind():
    data = pd.DataFrame({"l": [[1], [2]], "b": [b"1", b"2"], "t": [dt.time(1), dt.time(2)]})
    assert [one.kind for one in observe(data).columns] == ["", "", ""]


def test_categories_and_dictionaries_are_what_they_stand_for(tmp_path):
    data = pd.DataFrame({"c": pd.Categorical(["a", "b", None, "a"])})
    data.to_parquet(tmp_path / "c.parquet")
    for source in (data, tmp_path / "c.parquet"):
        column = observe(source).columns[0]
        assert (column.kind, column.nulls, column.values) == ("text", 1, {"a": 2, "b": 1})


@pytest.mark.parametrize("data", [pd.DataFrame({"a": []}), pd.DataFrame()])
def test_nothing_is_inferred_from_nothing(data):
    with pytest.raises(DataError, match="no row"):
        observe(data)


def test_columns_of_the_same_name_are_refused():
    with pytest.raises(DataError, match="same name"):
        observe(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_reference_that_holds_other_bytes_is_refused(tmp_path):
    frame().to_parquet(tmp_path / "data.parquet")
    ref = describe(tmp_path / "data.parquet")
    frame(999).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(DigestMismatchError):
        observe(ref)
