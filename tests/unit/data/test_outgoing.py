import pyarrow as pa
import pytest

from retrain.data import open_write, read, storage
from retrain.data.outgoing import upload
from retrain.data.writers import write_batches
from retrain.exceptions import StoreUnavailableError


@pytest.fixture(params=["file", "memory"])
def root(request, tmp_path):
    return (tmp_path / "out").as_uri() if request.param == "file" else f"memory://outgoing/{tmp_path.name}"


def test_an_object_appears_whole_when_the_block_ends(root):
    with open_write(f"{root}/x.bin") as stream:
        stream.write(b"one")
        assert not storage.exists(f"{root}/x.bin")
        stream.write(memoryview(b"two"))
    assert storage.read_bytes(f"{root}/x.bin") == b"onetwo"
    assert (stream.size, stream.digest) == (6, storage.digest_of(b"onetwo"))


def test_a_block_that_raises_leaves_what_was_there(root):
    storage.write_bytes(f"{root}/x.bin", b"old")
    with pytest.raises(TypeError), open_write(f"{root}/x.bin") as stream:
        stream.writelines([b"new", "text"])
    assert storage.read_bytes(f"{root}/x.bin") == b"old"
    assert [entry.name for entry in storage.listing(root)] == ["x.bin"]


def test_a_file_of_this_machine_is_copied(root, tmp_path):
    (tmp_path / "here").write_bytes(b"x")
    assert storage.read_bytes(upload(tmp_path / "here", f"{root}/there")) == b"x"


def test_a_folder_that_cannot_be_made_is_the_stores_fault(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(StoreUnavailableError, match="could not be written"),
        open_write(tmp_path / "file" / "x") as stream,
    ):
        stream.write(b"x")


def test_batches_become_one_parquet_object_with_equal_bytes_each_time(root):
    batches = [pa.table({"a": [1, 2]}), pa.table({"a": [3]})]
    refs = [write_batches(batches, batches[0].schema, f"{root}/{name}.parquet", partition="p") for name in "xy"]
    assert refs[0].digest == refs[1].digest
    assert (refs[0].rows, refs[0].partition, refs[0].schema) == (3, "p", {"a": "int64"})
    assert list(read(refs[0])["a"]) == [1, 2, 3]


def test_batches_that_fail_half_way_leave_nothing(root):
    def batches():
        yield pa.table({"a": [1]})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_batches(batches(), pa.schema([("a", pa.int64())]), f"{root}/x.parquet")
    assert not storage.exists(f"{root}/x.parquet")
