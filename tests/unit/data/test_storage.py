import asyncio
import errno
import os
from pathlib import Path

import pytest

from retrain.data import storage
from retrain.data._errors import reading
from retrain.exceptions import ConfigurationError, DataError, StoreUnavailableError, UnreadableDataError


def test_a_local_path_becomes_an_absolute_uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert storage.normalise("x.csv") == f"file://{tmp_path}/x.csv"
    assert storage.normalise(Path("x.csv")) == storage.normalise(f"file://{tmp_path}/x.csv")
    assert storage.normalise("s3://bucket/x.csv") == "s3://bucket/x.csv"


def test_json_comes_back_and_equal_documents_have_equal_bytes(tmp_path):
    one = storage.write_json(tmp_path / "a.json", {"b": 1, "a": [None, "ü"]})
    two = storage.write_json(tmp_path / "b.json", {"a": [None, "ü"], "b": 1})
    assert storage.read_json(one) == {"a": [None, "ü"], "b": 1}
    assert storage.read_bytes(one) == storage.read_bytes(two)


def test_what_is_not_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UnreadableDataError, match=r"a\.json is not JSON"):
        storage.read_json(tmp_path / "a.json")


def test_existence_is_told_for_objects_and_folders(tmp_path):
    assert storage.exists(tmp_path)
    assert not storage.exists(tmp_path / "x")


def test_a_listing_holds_objects_or_folders(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("1")
    assert [one.name for one in storage.listing(tmp_path)] == ["file"]
    assert [one.name for one in storage.listing(tmp_path, directories=True)] == ["folder"]


@pytest.mark.parametrize("part", ["..", "a/../../b", "", "."])
def test_a_part_that_leads_out_of_the_store_is_refused(part):
    with pytest.raises(DataError):
        storage.join("s3://bucket/store", "ok", part)


def test_parts_are_joined_with_one_slash():
    assert storage.join("s3://bucket/store/", "a/", "b/c") == "s3://bucket/store/a/b/c"


def test_an_unknown_protocol_is_named():
    with pytest.raises(ConfigurationError, match="nope://x"):
        storage.filesystem("nope://x/y")


def test_options_hold_inside_the_block_and_nest():
    uri = "s3://bucket/x"
    with storage.configure("s3", key="outer", secret="s"):
        with storage.configure("s3", key="inner"):
            inner, _ = storage.filesystem(uri)
        outer, path = storage.filesystem(uri)
    after, _ = storage.filesystem(uri)
    assert (inner.key, inner.secret, outer.key, after.key) == ("inner", "s", "outer", None)
    assert path == "bucket/x"


def test_options_follow_into_a_thread_of_asyncio_and_not_into_a_sibling_task():
    async def key_of(name):
        with storage.configure("s3", key=name):
            await asyncio.sleep(0)
            fs, _ = await asyncio.to_thread(storage.filesystem, "s3://bucket/x")
            return fs.key

    async def both():
        return await asyncio.gather(key_of("one"), key_of("two"))

    assert asyncio.run(both()) == ["one", "two"]


def test_a_write_that_fails_leaves_the_old_object(tmp_path):
    target = tmp_path / "x"
    storage.write_bytes(target, b"old")
    with pytest.raises(TypeError):
        storage.write_bytes(target, "text is not bytes")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError("x"), UnreadableDataError),
        (PermissionError("x"), UnreadableDataError),
        (IsADirectoryError(errno.EISDIR, "x"), UnreadableDataError),
        (ConnectionRefusedError("x"), StoreUnavailableError),
        (TimeoutError("x"), StoreUnavailableError),
        (OSError(errno.EIO, "x"), StoreUnavailableError),
        (KeyError("a bug of ours"), KeyError),
    ],
)
def test_what_a_store_raises_is_sorted_into_the_object_and_the_store(error, expected):
    with pytest.raises(expected), reading("s3://b/x"):
        raise error
