import gzip
import itertools
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from retrain.data import csv_batches, describe, open_parquet, read, storage
from retrain.exceptions import DigestMismatchError, MissingColumnError, RetrainError, UnreadableDataError

VALUES = ["1", "-3", "", "NA", "True", "false", "x", "01", "0.5", "1e400", "é", '"a\nb"', '"a,b"', "9007199254740993", "inf"]  # fmt: skip  # noqa: E501
tables = st.integers(1, 3).flatmap(
    lambda columns: st.tuples(
        st.just(columns), st.lists(st.lists(st.sampled_from(VALUES), min_size=1, max_size=columns + 1), max_size=8)
    )
)


def outcome(call):
    try:
        return call()
    except RetrainError as error:
        return type(error)


@settings(max_examples=300, deadline=None)
@given(table=tables, rows=st.integers(1, 9), zipped=st.booleans())
def test_frames_of_a_csv_are_together_what_reading_it_at_once_gives(tmp_path_factory, table, rows, zipped):
    columns, lines = table
    assume(all(line[columns:] != ["NA"] for line in lines))  # pandas lets a superfluous NA pass, we do not
    text = "\n".join([",".join("abc"[:columns]), *(",".join(line) for line in lines)]).encode()
    path = tmp_path_factory.getbasetemp() / f"x.csv{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(text) if zipped else text)
    whole = outcome(lambda: read(path))
    pieces = outcome(lambda: list(csv_batches(path, rows=rows)))
    if isinstance(whole, type):
        assert pieces is whole
        return
    assert all(list(piece.dtypes) == list(whole.dtypes) for piece in pieces)
    assert all(len(piece) <= rows for piece in pieces)
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), whole)


@pytest.mark.parametrize(
    "values",
    [
        ["1", "18446744073709551615"], ["-1", "18446744073709551615"], ["0.5", "99999999999999999999999"],
        ["99999999999999999999999", "1"], ["x", "18446744073709551615"],
    ],
)  # fmt: skip
def test_numbers_beyond_64_bits_are_taken_as_in_the_whole_file(tmp_path, values):
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["a", *values]))
    whole, pieces = (
        outcome(lambda: read(path)),
        outcome(lambda: pd.concat(csv_batches(path, rows=1), ignore_index=True)),
    )
    assert whole is UnreadableDataError is pieces or whole.equals(pieces)


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_a_comma_at_the_end_of_every_line_is_no_column(tmp_path, rows):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,x,\n2,y,\n3,z,\n")
    assert pd.concat(csv_batches(path, rows=rows), ignore_index=True).equals(read(path))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf\n", b"a,b\n"])
def test_a_csv_without_rows_is_one_empty_frame(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    (frame,) = csv_batches(path)
    assert frame.equals(read(path))


def test_chosen_columns_come_in_the_order_asked_for(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b,c\n1,2,3\n4,5,6\n")
    assert [list(frame.columns) for frame in csv_batches(path, columns=["c", "a"], rows=1)] == [["c", "a"]] * 2
    with pytest.raises(MissingColumnError, match=r"\['d'\]"):
        list(csv_batches(path, columns=["d"]))


@pytest.mark.parametrize(
    "content",
    [b"a,a\n1,2\n", b"a,b\n1,2\n3,4\n5,6,7\n", b"a\n\xff\n", b'a\n"open\n', b"\x1f\x8b\x08broken"],
    ids=["repeated", "ragged", "encoding", "quote", "gzip"],
)
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_nothing_is_yielded_of_a_damaged_csv(tmp_path, content, rows):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(UnreadableDataError):
        next(csv_batches(path, rows=rows))


def test_a_truncated_gzip_is_damaged(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(os.urandom(4000).hex().encode())[:-20])
    with pytest.raises(UnreadableDataError, match="decompressed"):
        next(csv_batches(path))


def test_what_the_consumer_raises_is_not_the_files_fault(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a\n1\n")
    with pytest.raises(ValueError, match="invalid literal"):
        [int("mine") for _ in csv_batches(path)]


@pytest.fixture
def big(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": range(1000), "b": ["x" * 50] * 1000}), path, row_group_size=100)
    return path


def test_parquet_is_opened_in_place(big):
    with open_parquet(describe(big)) as file:
        assert file.metadata.num_row_groups == 10
        assert [batch.num_rows for batch in file.iter_batches(batch_size=100, columns=["a"])] == [100] * 10


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_other_bytes_than_were_recorded_are_refused_before_anything_is_read(tmp_path, name):
    path = tmp_path / name
    frames = [pd.DataFrame({"a": [value]}) for value in (1, 2)]
    write = (lambda frame: frame.to_csv(path, index=False)) if name.endswith("csv") else (lambda f: f.to_parquet(path))
    write(frames[0])
    ref = describe(path)
    write(frames[1])
    with pytest.raises(DigestMismatchError, match="other bytes"):
        consume(ref)


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
@pytest.mark.parametrize("change", ["replace", "rewrite", "delete"])
def test_an_object_that_changes_while_it_is_read_is_refused(tmp_path, name, change):
    path = tmp_path / name
    frame = pd.DataFrame({"a": range(100)})
    content = frame.to_csv(index=False).encode() if name.endswith("csv") else frame.to_parquet()
    path.write_bytes(content)

    def meddle():
        if change == "delete":
            path.unlink()
        elif change == "rewrite":
            path.write_bytes(content + b"\n")
        else:
            storage.write_bytes(path, content)

    with pytest.raises(DigestMismatchError, match="changed while"):
        consume(describe(path), meddle)


def consume(ref, meddle=lambda: None):
    if ref.format == "parquet":
        with open_parquet(ref) as file:
            meddle()
            return file.read()
    batches = csv_batches(ref, rows=10)
    first = next(batches)
    meddle()
    return pd.concat([first, *batches])


@pytest.mark.parametrize("cut", [3, 200, -1])
def test_truncated_parquet_is_unreadable(big, cut):
    big.write_bytes(big.read_bytes()[:cut])
    with pytest.raises(UnreadableDataError, match="not readable as Parquet"), open_parquet(big):
        pass


def test_damage_inside_parquet_is_unreadable_when_it_is_met(big):
    content = bytearray(big.read_bytes())
    content[40:90] = bytes(itertools.islice(itertools.cycle(b"\xff\x00\x13"), 50))
    big.write_bytes(content)
    with pytest.raises(UnreadableDataError, match="not readable as Parquet"), open_parquet(big) as file:
        for _ in file.iter_batches():
            pass


def test_an_object_that_is_not_there_is_said_not_to_be(tmp_path):
    for call in (
        lambda: list(csv_batches(tmp_path / "x.csv")),
        lambda: open_parquet(tmp_path / "x.parquet").__enter__(),
    ):
        with pytest.raises(UnreadableDataError, match="is not there"):
            call()
