"""`retrain run`: a document in, a result out, and an exit code that says which of three things happened."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from retrain.cli import COMMANDS, app, main
from retrain.data import storage
from tests.unit.jobs.conftest import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def retrain(monkeypatch, capsys):
    """Run the command line in this process: exit code, standard output, standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["retrain", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return call


def write(desk: Desk, document) -> str:
    path = desk.root / "request.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return str(path)


def test_from_a_path_to_standard_output(desk, retrain) -> None:
    code, out, _ = retrain("run", "--input", write(desk, desk.request("compare").to_dict()))
    assert code == 0
    result = json.loads(out)
    assert (result["status"], result["outputs"]["compare"]["status"]) == ("succeeded", "drift")


def test_from_standard_input_in_another_process(desk) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "retrain", "run"],
        input=json.dumps(desk.request("compare").to_dict()).encode(),
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert json.loads(done.stdout)["status"] == "succeeded"
    assert b"step compare of m starts" in done.stderr


def test_from_the_store_to_the_store(desk, retrain) -> None:
    asked = storage.write_json(storage.join(desk.store, "jobs", "a.json"), desk.request("compare").to_dict())
    answered = storage.join(desk.store, "results", "a.json")
    code, out, _ = retrain("run", "--input", asked, "--output", answered)
    assert (code, out) == (0, "")
    assert storage.read_json(answered)["status"] == "succeeded"


def test_the_output_file_is_made_with_its_folders_and_appears_whole(desk, retrain) -> None:
    target = desk.root / "airflow" / "xcom" / "return.json"
    code, _, _ = retrain("run", "--input", write(desk, desk.request("compare").to_dict()), "--output", str(target))
    assert code == 0
    assert json.loads(target.read_text())["status"] == "succeeded"
    assert [path.name for path in target.parent.iterdir()] == ["return.json"]


def test_steps_on_the_command_line_replace_those_of_the_document(desk, retrain) -> None:
    document = desk.request("paint", inputs={**desk.both(), "partition": desk.reference.to_dict()}).to_dict()
    code, out, _ = retrain("run", "--input", write(desk, document), "compare,profile")
    assert code == 0
    assert list(json.loads(out)["outputs"]) == ["compare", "profile"]


def broken(desk: Desk) -> str:
    return write(desk, desk.request("compare", inputs={**desk.both(), "current_data": "/gone.parquet"}).to_dict())


def test_a_failed_step_is_exit_code_1_and_its_result_says_why(desk, retrain) -> None:
    code, out, err = retrain("run", "--input", broken(desk))
    assert code == 1
    assert json.loads(out)["error"]["type"] == "UnreadableDataError"
    assert "/gone.parquet is not there" in err


def test_exit_zero_keeps_the_result_of_a_failed_step(desk, retrain) -> None:
    code, out, _ = retrain("run", "--exit-zero", "--input", broken(desk))
    assert code == 0
    assert json.loads(out)["status"] == "failed"


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("{half a doc", "is not JSON"),
        ("[]", "JobRequest came as list"),
        ('{"steps": ["compare"]}', "JobRequest lacks the fields ['spec', 'store']"),
    ],
)
def test_a_document_that_cannot_be_understood_is_exit_code_2(desk, retrain, document: str, named: str) -> None:
    for arguments in ((), ("--exit-zero",)):
        code, out, err = retrain("run", *arguments, "--input", write(desk, document))
        assert (code, out) == (2, "")
        assert err.startswith("retrain: ")
        assert named in err


def test_bytes_that_are_no_text_are_exit_code_2(desk, retrain) -> None:
    path = desk.root / "request.json"
    path.write_bytes(b"\xff\xfe\x00")
    code, _, err = retrain("run", "--input", str(path))
    assert code == 2
    assert "is not JSON" in err


@pytest.mark.parametrize("place", ["nowhere.json", "file:///nowhere/request.json"])
def test_a_document_that_is_not_there_is_exit_code_2(desk, retrain, place: str) -> None:
    code, _, err = retrain("run", "--input", place)
    assert code == 2
    assert "nowhere" in err


def test_a_store_that_does_not_answer_is_a_result_that_says_to_try_again(retrain, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    code, out, _ = retrain("run", "--input", "s3://bucket/jobs/a.json")
    assert code == 1
    error = json.loads(out)["error"]
    assert (error["type"], error["retryable"]) == ("StoreUnavailableError", True)


def test_unknown_steps_are_exit_code_2_and_answered_with_the_known_ones(desk, retrain) -> None:
    code, _, err = retrain("run", "--input", write(desk, desk.request("compare").to_dict()), "paint")
    assert code == 2
    assert "unknown steps ['paint']. Expected some of validate, profile" in err


def test_every_command_can_be_loaded_and_is_listed_with_one_line(retrain) -> None:
    for name in COMMANDS:
        assert app.get_command(None, name) is not None
    code, out, _ = retrain("--help")
    assert code == 0
    assert all(f"\n  {name} " in out for name in COMMANDS)


def test_an_unknown_command_is_refused(retrain) -> None:
    code, _, err = retrain("paint")
    assert code == 2
    assert "No such command 'paint'" in err


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys\nsys.argv = ['retrain', '--help']\nfrom retrain.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert not {'pandas', 'numpy', 'mlflow', 'sqlalchemy', 'airflow'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
