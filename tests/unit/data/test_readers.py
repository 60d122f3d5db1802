import gzip
from dataclasses import replace

import pandas as pd
import pytest

from retrain.data import describe, read, read_common, read_many, write_parquet
from retrain.exceptions import DataError, DigestMismatchError, MissingColumnError, UnreadableDataError
from retrain.records import DataRef


def test_what_was_written_is_read_back(tmp_path, flights):
    ref = write_parquet(flights, tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(read(ref), flights)


def test_columns_come_in_the_order_asked_for(tmp_path, flights):
    ref = write_parquet(flights, tmp_path / "x.parquet")
    assert list(read(ref, columns=["late", "carrier"]).columns) == ["late", "carrier"]


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_a_column_that_is_not_there_is_named(tmp_path, flights, name):
    path = tmp_path / name
    flights.to_parquet(path) if name.endswith("parquet") else flights.to_csv(path, index=False)
    with pytest.raises(MissingColumnError, match="'altitude'"):
        read(path, columns=["late", "altitude"])


def test_a_csv_reads_like_pandas_reads_it(tmp_path, flights):
    flights.to_csv(tmp_path / "x.csv", index=False)
    pd.testing.assert_frame_equal(read(tmp_path / "x.csv"), pd.read_csv(tmp_path / "x.csv"))


def test_gzip_byte_order_mark_and_embedded_newlines_are_read(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress('\ufeffa,b\n1,"two\nlines"\n'.encode()))
    frame = read(tmp_path / "x.csv.gz")
    assert list(frame.columns) == ["a", "b"]
    assert frame["b"].tolist() == ["two\nlines"]


def test_the_declared_format_overrides_the_extension(tmp_path):
    (tmp_path / "export.txt").write_text("a\n1\n")
    ref = describe(tmp_path / "export.txt", format="csv")
    assert read(ref)["a"].tolist() == [1]


def test_a_name_that_does_not_tell_its_format_is_refused(tmp_path):
    (tmp_path / "export.txt").write_text("a\n1\n")
    with pytest.raises(UnreadableDataError, match=r"export\.txt does not tell its format.*format='csv'"):
        read(tmp_path / "export.txt")


def test_an_index_stored_by_pandas_is_not_a_column(tmp_path, flights):
    flights[flights["distance"] > 1400].to_parquet(tmp_path / "filtered.parquet")
    frame = read(tmp_path / "filtered.parquet")
    assert list(frame.columns) == list(flights.columns)
    assert list(frame.index) == [0, 1]
    assert list(describe(tmp_path / "filtered.parquet").schema) == list(flights.columns)


def test_a_named_index_is_a_column_like_any_other(tmp_path, flights):
    flights.set_index("carrier").to_parquet(tmp_path / "x.parquet")
    assert set(read(tmp_path / "x.parquet").columns) == set(flights.columns)


def test_damaged_content_names_the_file_what_was_expected_and_the_remedy(damaged_file):
    with pytest.raises(UnreadableDataError) as caught:
        read(damaged_file)
    assert damaged_file.name in caught.value.what
    assert caught.value.expected
    assert describe(damaged_file, content=False).digest


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UnreadableDataError, match=r"gone\.parquet is not there"):
        read(tmp_path / "gone.parquet")


def test_a_directory_is_not_data(tmp_path):
    (tmp_path / "x.parquet").mkdir()
    with pytest.raises(UnreadableDataError, match=r"x\.parquet"):
        read(tmp_path / "x.parquet")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_csv_of_nothing_is_an_empty_frame(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    assert read(tmp_path / "x.csv").shape == (0, 0)


def test_a_header_alone_is_a_frame_without_rows(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n")
    assert read(tmp_path / "x.csv").shape == (0, 2)


def test_repeated_column_names_are_refused(tmp_path):
    (tmp_path / "x.csv").write_text("a,b,a\n1,2,3\n")
    with pytest.raises(UnreadableDataError, match=r"same name: \['a'\]"):
        read(tmp_path / "x.csv")


def test_other_bytes_than_were_recorded_are_refused(tmp_path, flights):
    ref = write_parquet(flights, tmp_path / "x.parquet")
    write_parquet(flights.head(2), tmp_path / "x.parquet")
    with pytest.raises(DigestMismatchError, match=str(ref.digest)):
        read(ref)
    assert len(read(replace(ref, digest=None))) == 2


def test_a_frame_is_passed_through(flights):
    assert read(flights) is flights


def test_many_sources_come_in_the_order_given(tmp_path, flights):
    first = write_parquet(flights.head(1), tmp_path / "1.parquet")
    frame = read_many([flights.tail(1), first, DataRef(uri=first.uri, format="parquet")])
    assert frame["distance"].tolist() == [1576, 1400, 1400]
    assert list(frame.index) == [0, 1, 2]


def test_sources_of_different_columns_are_not_filled_up_with_nulls(flights):
    with pytest.raises(MissingColumnError, match=r"Source 1 .*\['delay'\]"):
        read_many([flights, flights.drop(columns="delay")])
    assert len(read_many([flights, flights.drop(columns="delay")], columns=["late"])) == 8


def test_no_source_at_all_is_an_error():
    with pytest.raises(DataError, match="no data"):
        read_many([])


def test_columns_that_not_all_sources_have_are_left_out_by_name(caplog):
    first, last = pd.DataFrame({"a": [1], "extra": [0], "b": [2]}), pd.DataFrame({"b": [3], "new": [0], "a": [4]})
    frame = read_common([first, last])
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"b": [2, 3], "a": [1, 4]}))
    assert "extra, new" in caplog.text
    caplog.clear()
    assert list(read_common([first]).columns) == ["a", "extra", "b"]
    assert not caplog.text


def test_sources_without_a_common_column_cannot_be_read_together():
    with pytest.raises(MissingColumnError, match="in all of the 2 sources"):
        read_common([pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})])
    with pytest.raises(DataError, match="no data to read"):
        read_common([])
