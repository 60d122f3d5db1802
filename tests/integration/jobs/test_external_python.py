"""Jobs in a second Python environment, which has what steps need and no Airflow."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from retrain.data import storage, write_parquet
from retrain.exceptions import JobFailedError
from retrain.jobs import ExternalPython, run_job
from retrain.records import JobRequest, JobStatus, ModelSpec

pytestmark = [
    pytest.mark.integration,
    # Great Expectations says this when it is imported.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:great_expectations.*"),
]

SUITE = {
    "name": "orders",
    "expectations": [
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "amount"},
            "severity": "critical",
        }
    ],
}


@pytest.fixture
def request_(tmp_path: Path):
    """Make a request for steps on a small partition with five rows that break the suite."""
    frame = pd.DataFrame({"amount": [float(n % 7) for n in range(200)], "y": [n % 2 for n in range(200)]})
    frame.loc[:4, "amount"] = None
    ref = write_parquet(frame, str(tmp_path / "data" / "2024-01.parquet"), partition="2024-01", version=1)
    (tmp_path / "suite.json").write_text(json.dumps(SUITE))
    spec = ModelSpec(
        model="m", dataset="orders", data=f"{tmp_path}/data/{{partition}}.parquet", target="y", train="shop:fit",
        metric="roc_auc", project_root=str(tmp_path), expectations="suite.json",
    )  # fmt: skip

    def make(*steps: str) -> JobRequest:
        inputs = {"partition": ref.to_dict(), "champion": None}
        return JobRequest(steps, spec, (tmp_path / "store").as_uri(), inputs)

    return make


def test_the_second_environment_has_the_jobs_libraries_and_no_airflow(second_python: Path) -> None:
    code = (
        "import importlib.util, sys\n"
        "assert importlib.util.find_spec('airflow') is None\n"
        "import retrain, great_expectations, mlflow, sklearn, pandas\n"
        "print(retrain.__file__)"
    )
    done = subprocess.run(
        [second_python, "-c", code], capture_output=True, text=True, timeout=300, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    assert str(second_python.parents[1]) in done.stdout


def test_validation_and_profile_run_there_and_say_the_same_as_here(second_python: Path, request_, capfd) -> None:
    asked = request_("validate", "profile", "drift", "performance")
    there = ExternalPython(str(second_python)).run(asked)
    assert there.status is JobStatus.SUCCEEDED, there.error
    assert "step validate of m took" in capfd.readouterr().out
    verdict = there.outputs["validate"]
    assert (verdict["status"], verdict["rows"], verdict["quarantined_rows"]) == ("warn", 200, 5)
    assert there.outputs["profile"]["rows"] == 195
    assert storage.exists(there.outputs["profile"]["uri"])
    assert there.cost["validate"].peak_memory_bytes > 50 * 2**20
    here = run_job(asked)
    assert here.outputs == there.outputs


def test_an_error_of_a_step_comes_back_as_a_result(second_python: Path, request_, tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text("{ not json")
    result = ExternalPython(str(second_python)).run(request_("validate"))
    assert (result.status, result.error.type, result.error.retryable) == (JobStatus.FAILED, "SuiteError", False)
    assert "suite.json" in result.error.message


def _children() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


@pytest.mark.skipif(not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="needs Linux's /proc")
def test_a_job_that_is_killed_in_the_middle_is_a_failed_job(second_python: Path, request_) -> None:
    before = _children()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            ExternalPython(str(second_python)).run(request_("validate"))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
    while not (started := _children() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    for pid in started:
        os.kill(pid, signal.SIGKILL)
    thread.join(60)
    [error] = errors
    assert isinstance(error, JobFailedError)
    assert "exit code -9 and without a result" in str(error)
    assert ExternalPython(str(second_python)).run(request_("validate")).status is JobStatus.SUCCEEDED
