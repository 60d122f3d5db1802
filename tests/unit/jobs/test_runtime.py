"""Runtimes: configuration that travels as JSON, and a child process that always ends in a result or a clear error."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from retrain.exceptions import ContractError, DeclarationError, JobFailedError
from retrain.jobs import ExternalPython, KubernetesPod, Worker, runtime_from_dict
from retrain.records import JobStatus

RUNTIMES = [
    Worker(),
    ExternalPython("/opt/jobs/bin/python", {"OMP_NUM_THREADS": "1"}),
    KubernetesPod("registry/jobs:1", "ml", limits={"memory": "1Gi"}, secrets=("mlflow",), labels={"team": "a"}),
]


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.kind)
def test_a_runtime_survives_json(runtime) -> None:
    assert runtime_from_dict(json.loads(json.dumps(runtime.to_dict()))) == runtime


def test_without_a_runtime_the_job_runs_in_the_worker() -> None:
    assert runtime_from_dict(None) == Worker()


@pytest.mark.parametrize("document", [{"kind": "spark"}, {}])
def test_an_unknown_runtime_is_answered_with_the_known_ones(document: dict) -> None:
    with pytest.raises(DeclarationError, match=r"Expected worker \| external_python \| kubernetes"):
        runtime_from_dict(document)


@pytest.fixture
def interpreter(tmp_path: Path):
    """Make a program that stands where the interpreter should; "$7" is where the result goes, "$5" the document."""

    def write(script: str) -> str:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return write


def test_the_arguments_are_those_of_the_command_line(desk, interpreter, capfd) -> None:
    with pytest.raises(JobFailedError):
        ExternalPython(interpreter('echo "asked: $*"')).run(desk.request("compare", "profile"))
    asked = capfd.readouterr().out.split()
    assert asked[1:5] == ["-m", "retrain", "run", "--input"]
    assert asked[6] == "--output"
    assert asked[8:] == ["--die-with-parent", str(os.getpid()), "compare,profile"]


def test_a_job_gives_its_result_and_its_log(desk, capfd) -> None:
    result = ExternalPython(sys.executable, {"PYTHONPATH": _source_root()}).run(desk.request("compare"))
    assert result.status is JobStatus.SUCCEEDED
    assert result.outputs["compare"]["status"] == "drift"
    assert "step compare of m starts" in capfd.readouterr().out


def test_a_failed_step_is_a_result_and_not_a_failed_process(desk) -> None:
    runtime = ExternalPython(sys.executable, {"PYTHONPATH": _source_root()})
    result = runtime.run(desk.request("compare", inputs={**desk.both(), "current_data": "/gone.parquet"}))
    assert (result.status, result.error.type) == (JobStatus.FAILED, "UnreadableDataError")


def test_a_killed_job_is_told_by_its_signal_and_its_last_lines(desk, interpreter) -> None:
    with pytest.raises(JobFailedError, match=r"exit code -9 and without a result.*ran out of memory") as error:
        ExternalPython(interpreter("echo loading the data; kill -9 $$")).run(desk.request("compare"))
    assert "loading the data" in str(error.value)


def test_an_environment_without_retrain_is_told_by_its_last_lines(desk, interpreter) -> None:
    program = interpreter("echo 'No module named retrain' >&2; exit 1")
    with pytest.raises(JobFailedError, match="No module named retrain"):
        ExternalPython(program).run(desk.request("compare"))


def test_a_document_that_the_other_version_refuses_is_not_tried_again(desk) -> None:
    import dataclasses

    request = dataclasses.replace(desk.request("compare"), contract=99)
    with pytest.raises(ContractError, match=r"follows contract 99.*Install the same version"):
        ExternalPython(sys.executable, {"PYTHONPATH": _source_root()}).run(request)


def test_a_log_in_another_encoding_is_no_error(desk, interpreter) -> None:
    program = interpreter(r"""printf 'caf\351\n'; echo '{"status": "succeeded"}' > "$7" """)
    assert ExternalPython(program).run(desk.request("compare")).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("place", ["nowhere/python", "."])
def test_an_interpreter_that_is_not_one_is_a_wrong_declaration(desk, tmp_path: Path, place: str) -> None:
    with pytest.raises(DeclarationError, match="there is no interpreter"):
        ExternalPython(str(tmp_path / place)).run(desk.request("compare"))


def test_secrets_are_in_the_environment_of_the_child_and_nowhere_else(desk, interpreter, capfd, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", "airflow-only")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "airflow-only")
    monkeypatch.setenv("PYTHONPATH", "/mixed")
    program = interpreter('echo "ARGUMENTS $*"; cat "$5"; echo; echo ENVIRONMENT; env')
    with pytest.raises(JobFailedError) as error:
        ExternalPython(program, {"OMP_NUM_THREADS": "1"}).run(
            desk.request("compare"), {"MLFLOW_TRACKING_PASSWORD": "pass-1234"}
        )
    shown, environment = capfd.readouterr().out.split("ENVIRONMENT")
    assert "MLFLOW_TRACKING_PASSWORD=pass-1234" in environment
    assert "OMP_NUM_THREADS=1" in environment
    assert "airflow-only" not in environment
    assert "PYTHONPATH" not in environment
    assert '"steps": ["compare"]' in shown
    assert "pass-1234" not in shown
    assert error.value.what


def test_nothing_is_left_on_disk_after_a_job(desk, interpreter, tmp_path: Path, monkeypatch) -> None:
    import tempfile

    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(JobFailedError):
        ExternalPython(interpreter("kill -9 $$")).run(desk.request("compare"))
    assert list(folder.iterdir()) == []


# The command line as it is, with a job that says its pid and then lasts longer than any test.
SLEEPING = """
import os, pathlib, time
import retrain.jobs
from retrain.cli import main

def run_job(request):
    pathlib.Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
    time.sleep(300)

retrain.jobs.run_job = run_job
main()
"""
TASK = """
import json, pathlib, sys
from retrain.jobs import ExternalPython
from retrain.records import JobRequest

python, document, source, pid = sys.argv[1:]
request = JobRequest.from_dict(json.loads(pathlib.Path(document).read_text()))
ExternalPython(python, {"PYTHONPATH": source, "PID_FILE": pid}).run(request)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the death of a parent")
def test_a_job_ends_with_a_task_that_is_killed(desk, interpreter, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(SLEEPING)
    python = interpreter(f'shift 2; exec {sys.executable} {tmp_path}/job.py "$@"')
    document, pid = tmp_path / "request.json", tmp_path / "pid"
    document.write_text(json.dumps(desk.request("compare").to_dict()))
    parent = subprocess.Popen(
        [sys.executable, "-c", TASK, python, str(document), _source_root(), str(pid)],
        env={**os.environ, "PYTHONPATH": _source_root(), "TMPDIR": str(tmp_path)},
    )
    try:
        _wait(lambda: pid.exists() and pid.read_text())
        child = int(pid.read_text())
        assert _alive(child)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    _wait(lambda: not _alive(child))


def test_a_job_whose_task_has_already_ended_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "retrain", "run", "--input", str(tmp_path / "never-read.json")]
    done = subprocess.run(
        [*command, "--die-with-parent", "1"],
        env={**os.environ, "PYTHONPATH": _source_root()}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "process 1, which asked for this job, has ended" in done.stderr


def test_whoever_starts_a_job_can_end_it(desk, interpreter) -> None:
    children: list[subprocess.Popen[str]] = []

    def end_soon(child: "subprocess.Popen[str]") -> None:
        children.append(child)
        threading.Timer(0.2, child.kill).start()

    with pytest.raises(JobFailedError, match="exit code -9"):
        ExternalPython(interpreter("exec sleep 300")).run(desk.request("compare"), on_start=end_soon)
    [child] = children
    assert child.returncode == -signal.SIGKILL


def _wait(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and that nobody has asked about yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _source_root() -> str:
    import retrain

    return str(Path(retrain.__file__).parents[1])
