"""What the operators share: which errors are final, on whose behalf they work, where the project is."""

import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

import retrain.operators as exported
from retrain import exceptions
from retrain.exceptions import DataError, JobFailedError
from retrain.jobs import ExternalPython
from retrain.operators.job import (
    JobOperator,
    RetrainOperator,
    actor,
    default_project_root,
    final_errors,
    origin,
    owner,
    raise_for,
)
from retrain.records import JobError, JobRequest, JobResult, JobStatus, ModelSpec
from tests.support.airflow_tasks import context

FINAL = (
    "ConfigurationError",
    "DataError",
    "PromotionRefusedError",
    "ChainBrokenError",
    "SuiteError",
    "MissingColumnError",
    "ContractError",
)
PASSING = ("UnavailableError", "LedgerUnavailableError", "RegistryUnavailableError", "ClaimLostError", "JobFailedError")


@pytest.mark.parametrize("name", FINAL)
def test_an_error_that_no_retry_can_mend_fails_the_task_at_once(name: str) -> None:
    @final_errors
    def execute() -> None:
        raise getattr(exceptions, name)("the suite is empty", remedy="Fill it")

    with pytest.raises(AirflowFailException, match=f"{name}: the suite is empty. Fill it.") as error:
        execute()
    assert type(error.value.__cause__) is getattr(exceptions, name)


@pytest.mark.parametrize("name", PASSING)
def test_an_error_that_may_pass_is_left_to_the_retries(name: str) -> None:
    @final_errors
    def execute() -> None:
        raise getattr(exceptions, name)("not now")

    with pytest.raises(getattr(exceptions, name)) as error:
        execute()
    assert not isinstance(error.value, AirflowException)


class Waiting(JobOperator):
    """Tells what it is called with."""

    def work(self, context, event):
        if event == {"status": "gone"}:
            raise DataError("it is gone")
        return event


def test_work_begins_anew_with_the_event_when_the_pod_has_ended() -> None:
    task = Waiting(task_id="a", spec={})
    assert task.execute({}) is None
    assert task.trigger_reentry({}, {"status": "success"}) == {"status": "success"}
    with pytest.raises(AirflowFailException, match="DataError: it is gone"):
        task.trigger_reentry({}, {"status": "gone"})


def test_a_failed_job_is_final_or_tried_again_as_it_says() -> None:
    raise_for(JobResult(JobStatus.SUCCEEDED))
    with pytest.raises(AirflowFailException, match="SuiteError: validate: it is empty"):
        raise_for(JobResult(JobStatus.FAILED, error=JobError("SuiteError", "validate: it is empty")))
    with pytest.raises(JobFailedError, match=r"KeyError: gate: 'x'\.?\nTraceback"):
        raise_for(JobResult(JobStatus.FAILED, error=JobError("KeyError", "gate: 'x'", True, "Traceback ...")))


def test_a_retry_has_the_same_owner_and_another_map_index_another() -> None:
    first, second = context("ingest", map_index=0), context("ingest", map_index=0, try_number=2)
    assert owner(first) == owner(second) == "returns.data/scheduled__1/ingest[0]"
    assert owner(context("ingest", map_index=1)) != owner(first)
    assert owner(context("ingest", run_id="scheduled__2")) != owner(context("ingest"))


def test_a_run_that_a_person_started_names_the_person() -> None:
    assert actor(context(user="ada")) == "ada"
    assert actor(context()) == "dag:returns.data"


def test_the_code_version_of_the_bundle_is_written_down() -> None:
    task = context(try_number=3)
    assert origin(task)["try_number"] == "3"
    task["ti"].bundle_instance = SimpleNamespace(name="git", version="abc123", path=Path())
    assert (origin(task)["bundle"], origin(task)["bundle_version"]) == ("git", "abc123")
    task["ti"].bundle_instance = SimpleNamespace(name="local", version=None, path=Path())
    assert "bundle_version" not in origin(task)


@pytest.fixture
def task_in(tmp_path: Path):
    def make(*folders: str):
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True)
        task = context()
        task["ti"].bundle_instance = SimpleNamespace(name="b", version=None, path=tmp_path / "bundle")
        return task

    return make


def test_the_project_is_the_bundle_that_holds_include(task_in, tmp_path: Path) -> None:
    assert default_project_root(task_in("bundle/include", "include")) == str(tmp_path / "bundle")


def test_the_project_is_above_a_bundle_that_is_the_dags_folder_beside_include(task_in, tmp_path: Path) -> None:
    assert default_project_root(task_in("bundle", "include")) == str(tmp_path)


def test_the_deployments_setting_comes_first(task_in, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW__RETRAIN__PROJECT_ROOT", "/opt/project")
    assert default_project_root(task_in("bundle/include")) == "/opt/project"


def test_without_a_bundle_the_project_is_airflow_home() -> None:
    assert default_project_root(context()) == os.environ["AIRFLOW_HOME"]


def test_the_store_is_the_operators_or_the_deployments_or_asked_for(monkeypatch) -> None:
    operator = RetrainOperator(task_id="a", spec={})
    with pytest.raises(exceptions.DeclarationError, match="AIRFLOW__RETRAIN__STORE"):
        _ = operator.store_uri
    monkeypatch.setenv("AIRFLOW__RETRAIN__STORE", "s3://deployment")
    assert operator.store_uri == "s3://deployment"
    assert RetrainOperator(task_id="a", spec={}, store="s3://own").store_uri == "s3://own"


@pytest.fixture
def slow_job(tmp_path: Path):
    """An operator whose job sleeps in a child that writes its pid, and the request for it."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\ncd {tmp_path}; echo $$ > pid.part; mv pid.part pid; exec sleep 300\n")
    program.chmod(0o755)
    spec = ModelSpec("m", "d", "x/{partition}", "y", "a:fit", "roc_auc", str(tmp_path))
    operator = _WithoutMlflow(task_id="a", spec=spec, runtime=ExternalPython(str(program)))
    return operator, JobRequest(("profile",), spec, tmp_path.as_uri(), {}), tmp_path / "pid"


class _WithoutMlflow(RetrainOperator):
    needs_mlflow = False


def test_a_task_that_is_asked_to_end_ends_its_child(slow_job) -> None:
    """As in a task: the signal's handler, in the main thread, calls `on_kill` and no more."""
    operator, request, pid = slow_job
    before = signal.signal(signal.SIGTERM, lambda number, frame: operator.on_kill())

    def ask() -> None:
        while not pid.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=ask, daemon=True)
    try:
        thread.start()
        with pytest.raises(JobFailedError, match="exit code -9"):
            operator.run(context(), request)
    finally:
        thread.join(60)
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert operator._end is None


def test_a_task_that_was_asked_to_end_leaves_no_child_that_it_starts_afterwards(slow_job) -> None:
    operator, request, _ = slow_job
    operator.on_kill()
    with pytest.raises(JobFailedError, match="exit code -9"):
        operator.run(context(), request)


def test_what_ends_a_job_is_not_part_of_the_serialised_operator(slow_job) -> None:
    operator, _, _ = slow_job
    assert operator._end is None
    assert not {"_end", "_killed"} & (set(operator.get_serialized_fields()) | set(vars(operator)))


def test_every_exported_operator_exists() -> None:
    for name in exported.__all__:
        assert issubclass(getattr(exported, name), RetrainOperator)
    assert set(exported.__all__) == set(exported._MODULES)
    with pytest.raises(AttributeError, match="has no attribute 'Paint'"):
        _ = exported.Paint
