import json
from pathlib import Path

import pytest

from retrain.data import load_snapshot, save_snapshot, storage
from retrain.exceptions import DataError, DigestMismatchError, UnreadableDataError
from retrain.records import DataRef, Snapshot

SNAPSHOT = Snapshot(
    "flights",
    (
        DataRef("s3://b/1.parquet", "parquet", partition="2013-01", version=1, digest="sha256:aa", rows=3),
        DataRef("s3://b/2.parquet", "parquet", partition="2013-02", version=2, digest="sha256:bb", rows=4),
    ),
)


def test_a_snapshot_comes_back_and_is_stored_once(tmp_path):
    uri = save_snapshot(SNAPSHOT, str(tmp_path))
    assert load_snapshot(uri) == SNAPSHOT
    assert save_snapshot(SNAPSHOT, str(tmp_path)) == uri
    assert len(storage.listing(tmp_path / "snapshots" / "flights")) == 1


def test_a_changed_manifest_is_refused(tmp_path):
    uri = save_snapshot(SNAPSHOT, str(tmp_path))
    path = Path(uri.removeprefix("file://"))
    document = json.loads(path.read_text())
    document["snapshot"]["partitions"].pop()
    path.write_text(json.dumps(document))
    with pytest.raises(DigestMismatchError, match=SNAPSHOT.digest):
        load_snapshot(uri)


def test_another_document_is_not_a_manifest(tmp_path):
    uri = storage.write_json(tmp_path / "x.json", [1])
    with pytest.raises(UnreadableDataError, match="not a snapshot"):
        load_snapshot(uri)


def test_a_name_with_a_slash_stays_one_folder_and_dots_are_refused(tmp_path):
    assert "/snapshots/a%2Fb/" in save_snapshot(Snapshot("a/b", ()), str(tmp_path))
    with pytest.raises(DataError):
        save_snapshot(Snapshot("..", ()), str(tmp_path))
