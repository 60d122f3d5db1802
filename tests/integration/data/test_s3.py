import socket
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pandas as pd
import pytest

from retrain.data import describe, load_snapshot, read, save_snapshot, scan, storage, write_parquet
from retrain.exceptions import StoreUnavailableError, UnreadableDataError
from retrain.records import Snapshot

pytestmark = pytest.mark.integration


def test_a_frame_is_written_found_described_and_read(bucket, frame):
    ref = write_parquet(frame, f"{bucket}/flights/2013-01.parquet", partition="2013-01", version=1)
    (found,) = scan(f"{bucket}/flights/{{partition}}.parquet")
    assert (found.uri, found.partition, found.size) == (ref.uri, "2013-01", ref.bytes)
    assert describe(ref.uri, partition="2013-01", version=1) == ref
    pd.testing.assert_frame_equal(read(ref), frame)
    assert read(ref, columns=["carrier"]).columns.tolist() == ["carrier"]


def test_a_csv_of_several_chunks_has_the_digest_that_it_has_on_disk(bucket, tmp_path):
    content = b"a\n" + b"12345678\n" * 600_000
    (tmp_path / "x.csv").write_bytes(content)
    storage.write_bytes(f"{bucket}/x.csv", content)
    remote, local = describe(f"{bucket}/x.csv", content=False), describe(tmp_path / "x.csv", content=False)
    assert (remote.digest, remote.bytes) == (local.digest, local.bytes)


def test_what_arrives_after_a_listing_is_seen_by_the_next(bucket, frame):
    template = f"{bucket}/{{partition}}.parquet"
    assert scan(template) == ()
    write_parquet(frame, f"{bucket}/1.parquet")
    before = scan(template)
    write_parquet(frame.head(1), f"{bucket}/1.parquet")
    write_parquet(frame, f"{bucket}/2.parquet")
    after = scan(template)
    assert [one.partition for one in after] == ["1", "2"]
    assert after[0].token != before[0].token


def test_hidden_and_unfinished_objects_are_passed_over(bucket):
    for name in ("_SUCCESS", ".hidden", "a.tmp", "b.part", "c~", "deep/er", "good"):
        storage.write_bytes(f"{bucket}/in/{name}", b"x")
    storage.write_bytes(f"{bucket}/in/", b"")
    assert [one.partition for one in scan(f"{bucket}/in/{{partition}}")] == ["good"]


def test_a_reader_sees_the_old_object_or_the_new_while_it_is_overwritten(bucket):
    uri = f"{bucket}/x.parquet"
    digests = {write_parquet(pd.DataFrame({"a": [n] * 1000}), uri).digest for n in (1, 2)}

    def overwrite():
        for n in (1, 2) * 10:
            write_parquet(pd.DataFrame({"a": [n] * 1000}), uri)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(copy_context().run, overwrite)
        seen = set()
        while not writing.done():
            seen.add(storage.digest_of(storage.read_bytes(uri)))
        writing.result()
    assert seen <= digests


def test_a_snapshot_comes_back(bucket, frame):
    snapshot = Snapshot("flights", (write_parquet(frame, f"{bucket}/1.parquet", partition="1", version=1),))
    assert load_snapshot(save_snapshot(snapshot, f"{bucket}/store")) == snapshot


def test_the_environment_names_endpoint_and_credentials(bucket, endpoint, frame, monkeypatch):
    write_parquet(frame, f"{bucket}/1.parquet")
    for name, value in (
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
    ):
        monkeypatch.setenv(name, value)
    # Nothing from `configure`; the option only sets this client apart from others in fsspec's cache of instances.
    with storage.configure("s3", endpoint_url=None, key=None, secret=None, max_concurrency=7):
        assert len(read(f"{bucket}/1.parquet")) == 3


@pytest.mark.parametrize("name", ["gone.parquet", "folder.parquet"])
def test_a_missing_key_is_named(bucket, name):
    storage.write_bytes(f"{bucket}/folder.parquet/x", b"x")
    with pytest.raises(UnreadableDataError, match=name):
        read(f"{bucket}/{name}")
    assert not storage.exists(f"{bucket}/nothing")


def test_a_missing_bucket_is_an_error_and_not_an_empty_listing(bucket, frame):
    with pytest.raises(UnreadableDataError, match="no-such-bucket"):
        scan("s3://no-such-bucket/{partition}.parquet")
    with pytest.raises(StoreUnavailableError, match="no-such-bucket"):
        write_parquet(frame, "s3://no-such-bucket/1.parquet")


def test_a_wrong_endpoint_is_an_unavailable_store(frame):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with storage.configure("s3", endpoint_url=f"http://127.0.0.1:{port}", key="k", secret="s"):
        for call in (
            lambda: read("s3://bucket/x.parquet"),
            lambda: describe("s3://bucket/x.parquet"),
            lambda: scan("s3://bucket/{partition}.parquet"),
            lambda: storage.exists("s3://bucket/x"),
            lambda: write_parquet(frame, "s3://bucket/x.parquet"),
        ):
            with pytest.raises(StoreUnavailableError, match="s3://bucket"):
                call()


def test_a_store_that_accepts_and_stays_silent_is_given_up(frame):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        limits = {"connect_timeout": 0.2, "read_timeout": 0.2, "retries": {"total_max_attempts": 1}}
        options = {"endpoint_url": f"http://127.0.0.1:{port}", "key": "k", "secret": "s", "config_kwargs": limits}
        with storage.configure("s3", **options), pytest.raises(StoreUnavailableError):
            read("s3://bucket/x.parquet")


@pytest.mark.parametrize("refusing", [(403, "AccessDenied")], indirect=True)
@pytest.mark.usefixtures("refusing")
def test_permission_denied_is_about_the_object_and_says_what_to_do():
    with pytest.raises(UnreadableDataError, match=r"s3://bucket/x\.parquet.*permission denied.*Grant"):
        read("s3://bucket/x.parquet")
    with pytest.raises(UnreadableDataError, match="permission denied"):
        scan("s3://bucket/{partition}.parquet")


@pytest.mark.parametrize("refusing", [(403, "InvalidAccessKeyId"), (403, "SignatureDoesNotMatch")], indirect=True)
@pytest.mark.usefixtures("refusing")
def test_wrong_credentials_are_about_the_store():
    with pytest.raises(StoreUnavailableError, match="refused the credentials"):
        read("s3://bucket/x.parquet")
    with pytest.raises(StoreUnavailableError, match="refused the credentials"):
        scan("s3://bucket/{partition}.parquet")


@pytest.mark.parametrize("refusing", [(500, "InternalError"), (503, "SlowDown")], indirect=True)
@pytest.mark.usefixtures("refusing")
def test_a_store_in_trouble_is_unavailable():
    with pytest.raises(StoreUnavailableError, match="did not answer"):
        read("s3://bucket/x.parquet")
