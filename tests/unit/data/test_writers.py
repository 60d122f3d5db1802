import os

import pandas as pd
import pytest

from retrain.data import describe, read, write_parquet
from retrain.exceptions import DataError, StoreUnavailableError


def test_equal_frames_give_equal_bytes_and_the_description_of_the_file(tmp_path, flights):
    one = write_parquet(flights, tmp_path / "a" / "b" / "x.parquet", partition="2013-01", version=1)
    other = write_parquet(flights.copy().set_axis([7, 8, 9, 10]), tmp_path / "y.parquet")
    assert one.digest == other.digest
    assert one == describe(one.uri, partition="2013-01", version=1)


def test_nothing_temporary_stays_behind(tmp_path, flights):
    write_parquet(flights, tmp_path / "x.parquet")
    write_parquet(flights, tmp_path / "x.parquet")
    assert os.listdir(tmp_path) == ["x.parquet"]


def test_mixed_types_are_refused_by_column(tmp_path):
    with pytest.raises(DataError, match=r"column a\b"):
        write_parquet(pd.DataFrame({"a": [1, "x"]}), tmp_path / "x.parquet")
    assert os.listdir(tmp_path) == []


def test_repeated_columns_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"same name: \['a'\]"):
        write_parquet(pd.DataFrame([[1, 2]], columns=["a", "a"]), tmp_path / "x.parquet")


def test_a_place_that_cannot_be_written_is_an_unavailable_store(tmp_path, flights):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError, match=r"file/x\.parquet could not be written"):
        write_parquet(flights, tmp_path / "file" / "x.parquet")


def test_a_frame_in_memory_storage_is_read_back(flights):
    ref = write_parquet(flights, "memory://writers/x.parquet")
    assert ref.uri == "memory://writers/x.parquet"
    pd.testing.assert_frame_equal(read(ref), flights)
