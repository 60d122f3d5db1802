import dataclasses
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrain import drift
from retrain.data import describe
from retrain.drift import Kind, Profile, duckdb_engine, profiling, tables
from retrain.drift.duplicates import Duplicates
from retrain.drift.sketch import cells, shared_grid
from retrain.drift.tables import Options
from retrain.exceptions import DigestMismatchError

pytest.importorskip("duckdb")


@pytest.fixture
def everything(make_table):
    rows = 600
    table = make_table(rows, 3)
    return table.assign(
        when=pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(rows), "h"),
        nothing=None,
        unknown=np.nan,
        endless=np.where(np.arange(rows) % 7 == 0, np.inf, np.arange(rows)),
        whole=pd.array([None, *range(1, rows)], dtype="Int64"),
        id=[f"id-{row}" for row in range(rows)],
        **{'odd "name"': 1.5},
    )


@pytest.fixture
def streamed(caplog):
    """Fail where DuckDB gave up on a file and pandas read it."""
    caplog.set_level("INFO", logger="retrain.drift.profiling")
    yield
    assert not [record.getMessage() for record in caplog.records if "another way" in record.getMessage()]


def test_both_engines_make_the_same_profile(everything, tmp_path, streamed):
    everything.to_parquet(tmp_path / "x.parquet")
    options = {"categorical": ["count"], "target": "flag", "pii": ["of5", "heavy"]}
    by_pandas, by_duckdb = drift.profile(everything, **options), drift.profile(tmp_path / "x.parquet", **options)
    assert list(by_duckdb.columns) == list(by_pandas.columns)
    for name, column in by_pandas.columns.items():
        other = by_duckdb.columns[name]
        if column.kind is Kind.DATETIME:
            other = dataclasses.replace(other, distinct=column.distinct, distinct_exact=True)
        if column.mean is not None:
            assert (other.mean, other.std) == pytest.approx((column.mean, column.std))
        assert dataclasses.replace(other, dtype=column.dtype, mean=column.mean, std=column.std) == column
    assert by_duckdb.sample == by_pandas.sample
    assert Profile.from_dict(json.loads(json.dumps(by_duckdb.to_dict(), allow_nan=False))) == by_duckdb


def test_a_large_file_is_sketched_from_a_sample_that_the_file_decides(tmp_path, streamed):
    rows = 400_000
    values = np.random.default_rng(0).lognormal(0, 1, rows)
    pq.write_table(pa.table({"x": values, "zero": np.where(values < 1, 0.0, values)}), tmp_path / "x.parquet")
    profile = drift.profile(tmp_path / "x.parquet")
    column = profile.columns["x"]
    assert profile == drift.profile(tmp_path / "x.parquet")
    assert (column.rows, column.sketch.rows) == (rows, rows)
    assert abs(column.sketched - tables.SKETCH_ROWS) < 0.03 * tables.SKETCH_ROWS
    assert (column.minimum, column.maximum) == (values.min(), values.max())
    assert column.mean == pytest.approx(values.mean())
    grid = np.quantile(values, np.linspace(0.01, 0.99, 99))
    _, upto = column.sketch.cumulative(grid)
    assert np.abs(upto / rows - np.linspace(0.01, 0.99, 99)).max() < 0.006
    assert profile.columns["zero"].sketch.at[0] == pytest.approx(rows / 2, rel=0.02)


def test_a_sample_of_a_sample_counts_for_less_than_its_rows(tmp_path):
    pq.write_table(pa.table({"x": np.arange(300_000) / 7}), tmp_path / "x.parquet")
    one = drift.profile(tmp_path / "x.parquet").columns["x"]
    assert one.merge(one).sketched == pytest.approx(2 * one.sketched, rel=0.01)
    small = drift.profile(pd.DataFrame({"x": [1.0, 2.0]})).columns["x"]
    assert one.merge(small).values == 300_002
    assert one.merge(small).evidence_rows < 1.01 * one.sketched


def test_files_of_a_folder_are_one_table(make_table, tmp_path, streamed):
    parts = [make_table(300, seed) for seed in range(3)]
    for index, part in enumerate(parts):
        part.to_parquet(tmp_path / f"{index}.parquet")
    merged, whole = drift.profile(tmp_path), drift.profile(pd.concat(parts, ignore_index=True))
    assert merged.rows == whole.rows
    assert merged.columns["of12"].counts == whole.columns["of12"].counts
    grids = [merged.columns["normal"].sketch, whole.columns["normal"].sketch]
    sides = [cells(sketch, shared_grid(grids)) for sketch in grids]
    assert np.abs(np.cumsum(sides[0]) - np.cumsum(sides[1])).max() / whole.rows < 0.003


def test_other_stores_are_read_through_fsspec(make_table):
    import fsspec

    table = make_table(200, 1)
    with fsspec.open("memory://bucket/x.parquet", "wb") as file:
        table.to_parquet(file)
    filesystem = fsspec.filesystem("memory")
    found = duckdb_engine.profile_files(["memory://bucket/x.parquet"], filesystem, list(table.columns), Options())
    assert found.columns["of5"].counts == drift.profile(table).columns["of5"].counts


def test_names_that_differ_in_case_only_stay_apart(tmp_path):
    pd.DataFrame({"a": [1.0, 2.0], "A": [3.0, 4.0]}).to_parquet(tmp_path / "x.parquet")
    assert {name: column.mean for name, column in drift.profile(tmp_path / "x.parquet").columns.items()} == {
        "a": 1.5,
        "A": 3.5,
    }


def test_a_large_csv_reads_like_a_small_one(make_table, tmp_path, monkeypatch):
    table = make_table(300, 1).assign(
        day="2013-01-01",
        some=["NA", "x", None] * 100,
        code=[f"{row % 7:05d}" for row in range(300)],
        amount=[f"{row % 7:05d}.5" for row in range(300)],
        words=["yes", "no", "yes"] * 100,
        always="yes",
        switch=["true", "false", None] * 100,
        mixed=["007", "x", "1"] * 100,
        letters=["t", "f", "t"] * 100,
        nothing=None,
    )
    table.to_csv(tmp_path / "x.csv", index=False)
    small = drift.profile(tmp_path / "x.csv")
    monkeypatch.setattr(profiling, "LARGE_CSV", 0)
    large = drift.profile(tmp_path / "x.csv")
    for name, column in small.columns.items():
        other = large.columns[name]
        facts = [(one.values and one.family, one.nulls, one.counts, one.distinct) for one in (column, other)]
        assert facts[0] == facts[1], name
    assert drift.compare(small, large).checks == ()


def test_a_profile_of_the_first_version_still_loads(make_table):
    document = drift.profile(make_table(50, 1)).to_dict()
    for column in document["columns"].values():
        del column["sketched"]
    assert Profile.from_dict(document).columns["normal"].sketched == 0


def test_a_column_with_few_values_in_a_large_file_is_sketched_whole(tmp_path, streamed):
    values = np.full(300_000, np.nan)
    values[::1000] = np.arange(300.0)
    pq.write_table(pa.table({"x": pa.array(values, from_pandas=True), "y": values}), tmp_path / "x.parquet")
    for column in drift.profile(tmp_path / "x.parquet").columns.values():
        assert (column.values, column.sketch.rows, column.sketched, column.distinct) == (300, 300, 0, 300)


def test_files_with_other_columns_are_streamed_by_themselves(make_table, tmp_path, caplog):
    caplog.set_level("INFO", logger="retrain.drift.profiling")
    make_table(100, 1).to_parquet(tmp_path / "1.parquet")
    make_table(100, 2).drop(columns="heavy").to_parquet(tmp_path / "2.parquet")
    merged = drift.profile(tmp_path)
    assert (merged.rows, merged.columns["heavy"].nulls) == (200, 100)
    assert [record.getMessage().split(": ")[-1] for record in caplog.records] == ["the files differ in their columns"]


def test_a_digest_is_proven_before_a_file_is_streamed(make_table, tmp_path, streamed):
    make_table(200, 1).to_parquet(tmp_path / "x.parquet")
    ref = describe(tmp_path / "x.parquet")
    assert drift.profile(ref) == drift.profile(tmp_path / "x.parquet")
    make_table(200, 2).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(DigestMismatchError):
        drift.profile(ref)


def test_both_engines_count_the_same_repeated_rows(make_table, tmp_path, streamed):
    table = make_table(400, 1)
    doubled = pd.concat([table, table.iloc[:50], table.iloc[:10]], ignore_index=True)
    doubled.to_parquet(tmp_path / "x.parquet")
    found = drift.profile(tmp_path / "x.parquet").duplicates
    assert found == drift.profile(doubled).duplicates == Duplicates(60, 50, within=460).of_columns(table)


def test_repeated_rows_of_a_wide_table_differ_in_any_column(tmp_path, streamed):
    table = pd.DataFrame(np.random.default_rng(0).integers(0, 50, (300, 70)), columns=[f"c{n}" for n in range(70)])
    table = pd.concat([table, table.iloc[:40]], ignore_index=True)
    table.loc[320:, "c69"] += 1
    table.to_parquet(tmp_path / "x.parquet")
    found = drift.profile(tmp_path / "x.parquet").duplicates
    assert found == drift.profile(table).duplicates == Duplicates(20, 20, within=340).of_columns(table)


def test_repeated_rows_of_a_large_file_are_estimated(tmp_path, streamed):
    values = np.random.default_rng(0).normal(size=500_000)
    values[-25_000:] = values[:25_000]
    pq.write_table(pa.table({"x": values, "y": values**2}), tmp_path / "x.parquet")
    found = drift.profile(tmp_path / "x.parquet").duplicates
    assert found.share < 0.3
    assert found.rows == pytest.approx(25_000, rel=0.05)
