"""Objects larger than memory, on a real S3 server over HTTP."""

import pandas as pd
import pyarrow as pa
import pytest

from retrain.data import csv_batches, describe, open_parquet, open_write, read, scan, scan_all, storage
from retrain.data.writers import write_batches
from retrain.exceptions import DigestMismatchError, StoreUnavailableError

pytestmark = pytest.mark.integration


def test_an_object_of_several_parts_is_written_whole(bucket):
    chunk = b"0123456789abcdef" * 65_536
    with open_write(f"{bucket}/big.bin") as stream:
        for _ in range(60):
            stream.write(chunk)
        assert not storage.exists(f"{bucket}/big.bin")
    found = storage.fingerprint(f"{bucket}/big.bin")
    assert (found.size, found.digest) == (60 * len(chunk), stream.digest) == (stream.size, stream.digest)


def test_a_write_that_fails_leaves_neither_object_nor_upload(bucket):
    with pytest.raises(TypeError), open_write(f"{bucket}/x.bin") as stream:
        stream.writelines([b"x" * 6_000_000, "text"])
    fs, _ = storage.filesystem(bucket)
    assert storage.listing(bucket) == ()
    assert fs.list_multipart_uploads(bucket.removeprefix("s3://")) == []


def test_a_bucket_that_is_not_there_is_the_stores_fault(bucket):
    with pytest.raises(StoreUnavailableError), open_write("s3://no-such-bucket-here/x.bin") as stream:
        stream.write(b"x")


def test_parquet_is_read_in_place(bucket):
    batches = [pa.table({"a": range(start, start + 100)}) for start in range(0, 1000, 100)]
    ref = write_batches(batches, batches[0].schema, f"{bucket}/x.parquet")
    with open_parquet(ref) as file:
        assert file.read_row_group(9, columns=["a"])["a"].to_pylist() == list(range(900, 1000))


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
@pytest.mark.parametrize("gone", [True, False])
def test_an_object_that_changes_while_it_is_read_is_refused(bucket, name, gone):
    frame = pd.DataFrame({"a": range(1000)})
    uri = f"{bucket}/{name}"
    content = frame.to_csv(index=False).encode() if name.endswith("csv") else frame.to_parquet()
    storage.write_bytes(uri, content)
    ref = describe(uri)
    fs, path = storage.filesystem(uri)

    def change():
        if gone:
            fs.rm(path)
        else:
            storage.write_bytes(uri, content[:-1] + b" ")

    def consume():
        if name.endswith("csv"):
            batches = csv_batches(ref, rows=100)
            next(batches)
            change()
            return list(batches)
        with open_parquet(ref) as file:
            change()
            return file.metadata

    with pytest.raises(DigestMismatchError, match="changed while"):
        consume()


def test_a_csv_in_frames_is_what_reading_it_at_once_gives(bucket):
    storage.write_bytes(f"{bucket}/x.csv", b"a,b\n" + b"1,x\n" * 5000 + b",2\n")
    frames = list(csv_batches(describe(f"{bucket}/x.csv"), rows=999))
    assert pd.concat(frames, ignore_index=True).equals(read(f"{bucket}/x.csv"))


def test_the_age_of_an_object_is_what_the_store_says(bucket):
    storage.write_bytes(f"{bucket}/1.csv", b"a\n1\n")
    template = f"{bucket}/{{partition}}.csv"
    (found,) = scan(template)
    assert found.modified is not None
    assert scan_all(template, {"age_seconds": 60}, now=found.modified + 59) == ((), (found,))
    assert scan_all(template, {"age_seconds": 60}, now=found.modified + 60) == ((found,), ())
