import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrain.exceptions import UnreadableDataError
from retrain.validation.rows import FrameRows, ParquetRows, TableRows

GAPS = pa.table(
    {
        "a": pa.array([1, 2, 3, None, 5], pa.int32()),
        "a.b": pa.array([True, False, True, True, None]),
        "nan": pa.array([float("nan")] * 5),
        "null": pa.array([None] * 5, pa.float64()),
        "some": pa.array([None, float("nan"), 1.0, None, None]),
        "level": pa.array(list("xyxyx")).dictionary_encode(),
        "nested": pa.array([[1]] * 5),
    }
)


@pytest.fixture(params=["table", "parquet", "without statistics"])
def rows(request, tmp_path):
    if request.param == "table":
        return TableRows(GAPS, ())
    pq.write_table(GAPS, tmp_path / "x.parquet", row_group_size=2, write_statistics=request.param == "parquet")
    return ParquetRows(tmp_path / "x.parquet", "x.parquet")


@pytest.mark.parametrize("column", ["a", "a.b", "some", "level"])
def test_batches_have_the_types_of_the_whole(rows, column):
    (whole,) = rows.frames([column], 5)
    batches = list(rows.frames([column], 2))
    assert max(map(len, batches)) == 2
    if rows.divisible([column]):
        assert {str(one[column].dtype) for one in batches} == {str(whole[column].dtype)}
        pd.testing.assert_frame_equal(pd.concat(batches, ignore_index=True), whole)


def test_a_column_is_not_mistaken_for_another_whose_name_begins_alike(rows):
    (frame,) = rows.frames(["a"], 9)
    assert list(frame.columns) == ["a"]
    (frame,) = rows.frames(["nan", "a"], 9)
    assert list(frame.columns) == ["nan", "a"]


def test_what_categories_and_lists_look_like_depends_on_the_batch(rows):
    assert [rows.divisible([name]) for name in ("a", "some", "level", "nested")] == [True, True, False, False]


def test_a_column_is_blank_where_nothing_is_a_value(rows):
    assert [name for name in rows.schema if rows.is_blank(name)] == ["nan", "null"]


def test_rows_without_columns_are_still_rows(rows):
    assert [len(frame) for frame in rows.frames([], 2)] == [2, 2, 1]


def test_tables_hold_every_row_and_column_once(rows):
    tables = pa.concat_tables(rows.tables(), promote_options="permissive")
    pd.testing.assert_frame_equal(tables.to_pandas(), GAPS.to_pandas(), check_categorical=False)


def test_an_index_that_pandas_stored_is_no_column(tmp_path):
    pd.DataFrame({"a": [1, 2]}, index=[5, 6]).to_parquet(tmp_path / "x.parquet", index=True)
    rows = ParquetRows(tmp_path / "x.parquet", "x")
    assert (rows.names, rows.schema) == (["a"], {"a": "int64"})
    assert [table.column_names for table in rows.tables()] == [["a"]]


def test_damage_in_a_column_that_nobody_asks_for_shows_when_the_rest_is_read(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"good": np.arange(9000), "bad": np.random.default_rng(1).random(9000)}), path)
    content = bytearray(path.read_bytes())
    place = pq.ParquetFile(path).metadata.row_group(0).column(1).data_page_offset
    content[place : place + 100] = bytes(100)
    path.write_bytes(content)
    rows = ParquetRows(path, "x.parquet")
    (frame,) = rows.frames(["good"], 9000)
    assert frame["good"].sum() == sum(range(9000))
    with pytest.raises(UnreadableDataError, match=r"x\.parquet is not readable as Parquet"):
        rows.read_rest()


def test_objects_of_a_frame_may_be_of_several_types():
    rows = FrameRows(pd.DataFrame({"mixed": pd.Series([1, "x"], dtype=object), "number": [1.0, 2.0]}, index=[7, 8]))
    assert [rows.divisible([name]) for name in ("mixed", "number")] == [False, True]
    assert [list(frame.index) for frame in rows.frames(["number"], 1)] == [[0], [0]]
