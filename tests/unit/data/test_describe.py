import hashlib

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrain.data import describe
from retrain.exceptions import UnreadableDataError
from retrain.records import DataRef


def test_parquet_is_described_by_its_bytes_and_footer(tmp_path, flights):
    path = tmp_path / "2013-01.parquet"
    flights.to_parquet(path)
    ref = describe(path, partition="2013-01", version=2)
    assert ref == DataRef(
        uri=f"file://{path}",
        format="parquet",
        partition="2013-01",
        version=2,
        digest="sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(),
        rows=4,
        bytes=path.stat().st_size,
        schema={
            "carrier": "large_string",
            "distance": "int64",
            "delay": "double",
            "late": "bool",
            "sched": "timestamp[us]",
        },
    )
    assert DataRef.from_dict(ref.to_dict()) == ref


def test_a_csv_is_described_as_it_reads(tmp_path, flights):
    flights.to_csv(tmp_path / "x.csv", index=False)
    ref = describe(tmp_path / "x.csv")
    assert (ref.format, ref.rows) == ("csv", 4)
    assert ref.schema["distance"] == "int64"


def test_a_footer_longer_than_the_kept_tail_is_fetched(tmp_path):
    wide = pa.table({f"a_rather_long_name_of_column_{i}": [i] for i in range(4000)})
    pq.write_table(wide, tmp_path / "wide.parquet")
    assert len(describe(tmp_path / "wide.parquet").schema) == 4000


def test_a_file_of_several_chunks_is_digested_whole(tmp_path):
    path = tmp_path / "big.csv"
    path.write_bytes(b"a\n" + b"1\n" * (5 * 1024 * 1024))
    ref = describe(path, content=False)
    assert ref.digest == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert (ref.bytes, ref.rows) == (path.stat().st_size, None)


def test_damaged_content_is_unreadable(tmp_path, flights):
    path = tmp_path / "x.parquet"
    flights.to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableDataError, match=r"x\.parquet is not readable as Parquet"):
        describe(path)
    assert describe(path, content=False).bytes == path.stat().st_size


def test_a_file_of_no_bytes_has_a_digest(tmp_path):
    (tmp_path / "x.parquet").touch()
    assert describe(tmp_path / "x.parquet", content=False).bytes == 0
    with pytest.raises(UnreadableDataError):
        describe(tmp_path / "x.parquet")


def test_repeated_columns_are_named(tmp_path):
    (tmp_path / "x.csv").write_text("a,a\n1,2\n")
    with pytest.raises(UnreadableDataError, match=r"\['a'\]"):
        describe(tmp_path / "x.csv")


def test_names_with_spaces_unicode_and_braces_are_ordinary(tmp_path):
    path = tmp_path / "Zürich {x} % 1#.parquet"
    pd.DataFrame({"a b/ü{{x}}": [1]}).to_parquet(path)
    assert describe(path).schema == {"a b/ü{{x}}": "int64"}
