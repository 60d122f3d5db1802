"""Data under DVC: a real git repository with a real local remote."""

import shutil
import subprocess
import sys

import pytest

from retrain.data import Completeness, describe, open_parquet, read, scan, storage, write_parquet
from retrain.exceptions import StoreUnavailableError, UnreadableDataError
from tests.support.dvc import Repository

pd = pytest.importorskip("pandas")
pytest.importorskip("dvc", reason="the extra dvc is not installed")
pytestmark = [
    pytest.mark.integration,
    # pygtrie, of the way in which DVC uses it.
    pytest.mark.filterwarnings("ignore:_NoneStep.value will soon:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dvc")
    made = Repository.init(folder / "repository", folder / "remote")
    made.put("data/2013-01.parquet", pd.DataFrame({"late": [0, 1]}))
    made.put("data/2013-02.parquet", pd.DataFrame({"late": [1, 1]}))
    made.commit("v1")
    made.put("data/2013-02.parquet", pd.DataFrame({"late": [0, 0]}))
    made.commit("v2")
    made.empty()
    return made


@pytest.fixture
def repository(original, tmp_path):
    """A copy for one test, as the other tests find theirs: without any data outside the remote."""
    return original.copy(tmp_path / "repository", tmp_path / "remote")


def template(repository, revision):
    return f"dvc://{repository.path}{revision}//data/{{partition}}.parquet"


def test_a_revision_lists_what_it_tracks_with_the_token_of_its_content(repository):
    first, second = (scan(template(repository, revision)) for revision in ("@v1", "@v2"))
    assert [found.partition for found in first] == ["2013-01", "2013-02"]
    assert first[0].token == second[0].token
    assert first[1].token != second[1].token
    assert first[0].size > 0


def test_a_revision_without_changes_of_the_data_is_no_news(repository):
    before = scan(template(repository, "@main"))
    (repository.path / "notes.txt").write_text("x")
    repository.commit("v3")
    assert scan(template(repository, "@main")) == before
    repository.put("data/2013-03.parquet", pd.DataFrame({"late": [1]}))
    repository.commit("v4")
    repository.empty()
    assert [found.partition for found in scan(template(repository, "@main"))] == ["2013-01", "2013-02", "2013-03"]


@pytest.mark.parametrize(("revision", "late"), [("@v1", [1, 1]), ("@v2", [0, 0]), ("", [0, 0])])
def test_data_is_read_from_the_remote_where_the_cache_is_empty(repository, revision, late):
    found = scan(template(repository, revision))[1]
    ref = describe(found.uri, partition=found.partition)
    assert list(read(ref)["late"]) == late
    assert (ref.digest, ref.bytes) == (storage.digest_of(storage.read_bytes(found.uri)), found.size)
    assert (ref.rows, ref.schema) == (2, {"late": "int64"})
    with open_parquet(ref) as file:
        assert file.metadata.num_rows == 2
    assert not list((repository.path / "data").glob("*.parquet"))


def test_a_cloned_repository_is_read_like_a_local_one(repository):
    uri = f"dvc://file://{repository.path}@v1//data/2013-02.parquet"
    assert list(read(uri)["late"]) == [1, 1]


def test_data_in_the_root_of_a_repository_is_found(repository):
    repository.put("2014-01.parquet", pd.DataFrame({"late": [1]}))
    repository.commit("v5")
    (found,) = scan(f"dvc://{repository.path}@v5//{{partition}}.parquet")
    assert list(read(found.uri)["late"]) == [1]


def test_what_a_revision_holds_is_finished(repository):
    rule = Completeness(age_seconds=3600, stable_seconds=3600)
    assert len(scan(template(repository, "@v1"), complete=rule)) == 2


def test_files_that_only_git_knows_are_no_data(repository):
    (repository.path / "data" / "2013-09.parquet").write_bytes(b"x")
    repository.git("add", "-f", "data/2013-09.parquet")
    repository.commit("v6")
    assert [found.partition for found in scan(template(repository, "@v6"))] == ["2013-01", "2013-02"]


def test_a_revision_or_repository_that_is_not_there_is_said_not_to_be(repository, tmp_path):
    with pytest.raises(UnreadableDataError, match="v9"):
        scan(template(repository, "@v9"))
    with pytest.raises(StoreUnavailableError, match="did not answer"):
        scan(f"dvc://{tmp_path}/nothing//data/{{partition}}.parquet")
    with pytest.raises(UnreadableDataError, match="is not there"):
        read(f"dvc://{repository.path}@v1//data/2013-07.parquet")


def test_a_remote_that_lost_an_object_is_not_taken_for_an_empty_one(repository, tmp_path):
    found = scan(template(repository, "@v1"))
    shutil.rmtree(tmp_path / "remote")
    with pytest.raises((UnreadableDataError, StoreUnavailableError), match="2013-01"):
        read(found[0].uri)


def test_nothing_is_written_into_a_repository(repository):
    with pytest.raises(StoreUnavailableError, match="could not be written"):
        write_parquet(pd.DataFrame({"a": [1]}), f"dvc://{repository.path}//data/x.parquet")


def test_other_remotes_and_settings_come_from_configure(repository, tmp_path):
    shutil.move(tmp_path / "remote", tmp_path / "moved")
    uri = f"dvc://{repository.path}@v1//data/2013-02.parquet"
    with storage.configure("dvc", remote_config={"url": str(tmp_path / "moved")}):
        assert list(read(uri)["late"]) == [1, 1]


def test_reading_through_dvc_starts_no_process_that_reports_usage(repository, tmp_path):
    code = (
        "import subprocess, sys\n"
        "def refuse(event, args):\n"
        "    if event == 'subprocess.Popen' and 'git' not in str(args[0]): raise RuntimeError(str(args))\n"
        "    if event == 'socket.connect': raise RuntimeError(str(args))\n"
        "sys.addaudithook(refuse)\n"
        "from retrain.data import read, scan\n"
        f"found = scan({template(repository, '@v1')!r})\n"
        "print([len(read(one.uri)) for one in found])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.stdout.strip() == "[2, 2]", done.stderr
