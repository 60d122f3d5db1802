"""How operators run jobs: in the worker, in another environment or in a pod, and what their errors become."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from retrain import exceptions
from retrain.exceptions import (
    ChainBrokenError,
    ConfigurationError,
    DataError,
    DeclarationError,
    JobFailedError,
    PromotionRefusedError,
)
from retrain.hooks.ledger import LedgerHook
from retrain.hooks.mlflow import MlflowHook
from retrain.jobs.runtime import ExternalPython, KubernetesPod, Runtime, runtime_from_dict
from retrain.records import JobRequest, JobResult, JobStatus, ModelSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from retrain.ledger import Ledger

# A retraining holds its claim so long, from the plan to the verdict, also while a pod trains; the next run of the same
# DAG takes over from a dead one before that.
LONGEST_JOB = timedelta(hours=12)

P = ParamSpec("P")
T = TypeVar("T")


class JobEndedException(AirflowFailException):
    """A job that failed for good; `kind` is the name of its error's class."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


def final_errors(execute: Callable[P, T]) -> Callable[P, T]:
    """Let an error that no retry can mend fail the task at once; every other error goes to Airflow's retries."""

    @wraps(execute)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return execute(*args, **kwargs)
        except (ConfigurationError, DataError, PromotionRefusedError, ChainBrokenError) as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error

    return wrapped


class RetrainOperator(BaseOperator):
    """What retrain's operators share: the declaration, the store, the connections.

    :param spec: the declaration, a `ModelSpec` or its dictionary
    :param store: URI for what is too large for XCom; default: `[retrain] store` of Airflow's configuration
    :param runtime: where heavy steps run (`Worker`, `ExternalPython`, `KubernetesPod`, or its dictionary)
    :param ledger_conn_id: connection of type `retrain_ledger`
    :param mlflow_conn_id: connection of type `mlflow`
    """

    ui_color = "#e6f4ea"
    # Without it the operator works in a deployment that has no MLflow connection.
    needs_mlflow: ClassVar[bool] = True
    # Ends what runs elsewhere for this task. Defaults of the class: they exist before `execute` and are not serialised.
    _end: Callable[[], None] | None = None
    _killed: bool = False

    def __init__(
        self,
        *,
        spec: ModelSpec | Mapping[str, Any],
        store: str | None = None,
        runtime: Runtime | Mapping[str, Any] | None = None,
        ledger_conn_id: str = LedgerHook.default_conn_name,
        mlflow_conn_id: str = MlflowHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = spec.to_dict() if isinstance(spec, ModelSpec) else dict(spec)
        self.store = store
        self.runtime = runtime if runtime is None or isinstance(runtime, Mapping) else runtime.to_dict()
        self.ledger_conn_id = ledger_conn_id
        self.mlflow_conn_id = mlflow_conn_id

    @property
    def model_spec(self) -> ModelSpec:
        """The declaration as a record."""
        return ModelSpec.from_dict(self.spec)

    @property
    def store_uri(self) -> str:
        """The declared store, or the deployment's."""
        from airflow.sdk import conf

        if uri := self.store or conf.get("retrain", "store", fallback=None):
            return uri
        raise DeclarationError(
            "no store is declared",
            expected="a URI for profiles, verdicts and predictions, such as s3://ml-store/retrain",
            remedy="Pass store=..., or set [retrain] store in Airflow's configuration (AIRFLOW__RETRAIN__STORE)",
        )

    def open_ledger(self) -> "Ledger":
        """Open the ledger for one task."""
        return LedgerHook(self.ledger_conn_id).get_conn()

    @contextmanager
    def registry(self) -> Iterator[Any]:
        """A registry client that is allowed in."""
        hook = MlflowHook(self.mlflow_conn_id)
        with hook.authenticated():
            yield hook.get_conn()

    def request(self, context: "Context", steps: tuple[str, ...], inputs: Mapping[str, Any]) -> JobRequest:
        """Make the job document: declaration, inputs, and on whose behalf."""
        spec = self.model_spec
        if not spec.project_root:
            spec = dataclasses.replace(spec, project_root=default_project_root(context))
        return JobRequest(
            steps=steps,
            spec=spec,
            store=self.store_uri,
            inputs=inputs,
            tracking_uri=MlflowHook(self.mlflow_conn_id).tracking_uri if self.needs_mlflow else None,
            origin=origin(context),
        )

    def run(
        self,
        context: "Context",
        request: JobRequest,
        event: Mapping[str, Any] | None = None,
        ledger: "Ledger | None" = None,
    ) -> JobResult:
        """Run the job where it is declared to run and return its result; a failed job raises.

        `event` is what the triggerer brought back when the job was deferred (a pod). With a `ledger` what the job has
        read is recorded, also when it failed.
        """
        try:
            result = self._run(runtime_from_dict(self.runtime), context, request, event)
        finally:
            self._end = None
        self._log_cost(result)
        if ledger is not None and result.reads:
            self._record_reads(context, request, result, ledger)
        raise_for(result)
        return result

    def _record_reads(self, context: "Context", request: JobRequest, result: JobResult, ledger: "Ledger") -> None:
        from retrain.jobs.steps import fingerprint
        from retrain.loop.access import read_entry

        key = f"{owner(context)}/{context['ti'].try_number}/{fingerprint(request.steps, request.inputs)}"
        ledger.append_all(
            [read_entry(request.spec.model, result, key=key, origin=request.origin, actor=actor(context))]
        )

    def on_kill(self) -> None:
        """End the child process or the pod: Airflow's handler of SIGTERM does no more than call this."""
        self._killed = True
        if self._end is not None:
            self._end()

    def _run(
        self, runtime: Runtime, context: "Context", request: JobRequest, event: Mapping[str, Any] | None
    ) -> JobResult:
        if isinstance(runtime, KubernetesPod):
            from retrain.operators.pod import run_in_pod

            return run_in_pod(self, runtime, request, context, event, lambda pod: self._started(pod.on_kill))
        if isinstance(runtime, ExternalPython):
            secrets = MlflowHook(self.mlflow_conn_id).secrets if self.needs_mlflow else None
            return runtime.run(request, secrets, lambda child: self._started(child.kill))
        from retrain.jobs import run_job

        with MlflowHook(self.mlflow_conn_id).authenticated() if self.needs_mlflow else nullcontext():
            return run_job(request)

    def _started(self, end: Callable[[], None]) -> None:
        self._end = end
        if self._killed:  # the signal came while the child was being started
            end()

    def _log_cost(self, result: JobResult) -> None:
        for name, cost in result.cost.items():
            peak = cost.peak_memory_bytes / 2**20
            self.log.info("%-12s %6.2f s  %6.2f CPU-s  %5.0f MiB", name, cost.wall_seconds, cost.cpu_seconds, peak)


class JobOperator(RetrainOperator):
    """An operator of which all that it does is `work`, which may wait for a job in a pod without holding a worker.

    Until then the task has done what a repeat does again without harm: `work` begins anew when the pod has ended, with
    the triggerer's `event`, and hands it to `run`. Where jobs run in pods and nobody has set an `execution_timeout`,
    it is `LONGEST_JOB`: of a task that is marked failed while it waits Airflow tells nobody, and its pod would stay.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.execution_timeout is None and isinstance(runtime_from_dict(self.runtime), KubernetesPod):
            self.execution_timeout = LONGEST_JOB

    def work(self, context: "Context", event: Mapping[str, Any] | None) -> Any:
        """Do it, with `run`; what is returned is the task's XCom."""
        raise NotImplementedError

    def execute(self, context: "Context") -> Any:
        """Do the work, or wait for its pod."""
        return self._done(context, None)

    def trigger_reentry(self, context: "Context", event: dict[str, Any]) -> Any:
        """Go on when the pod has ended."""
        return self._done(context, event)

    @final_errors
    def _done(self, context: "Context", event: Mapping[str, Any] | None) -> Any:
        return self.work(context, event)


def raise_for(result: JobResult) -> None:
    """Raise what a failed job says: for good, or for Airflow to try again."""
    if result.status is JobStatus.SUCCEEDED or result.error is None:
        return
    message = f"{result.error.type}: {result.error.message}"
    if result.error.traceback:
        message += "\n" + result.error.traceback
    if result.error.retryable:
        raise JobFailedError(message)
    raise JobEndedException(message, result.error.type)


def run_name(context: "Context") -> str:
    """Name the DAG run: the owner of a retraining's claims, and the key of what it commits once."""
    ti = context["ti"]
    return f"{ti.dag_id}/{ti.run_id}"


def is_about_data(error: Exception) -> bool:
    """Say whether the data or the user's code is at fault: the same job on the same data would end the same way."""
    kind = getattr(exceptions, error.kind, object) if isinstance(error, JobEndedException) else type(error)
    return isinstance(kind, type) and issubclass(kind, DataError)


def owner(context: "Context") -> str:
    """Name who works: DAG, run, task and map index. Not the try: a retry keeps its claim."""
    from retrain.ledger import task_owner

    ti = context["ti"]
    return task_owner(ti.dag_id, ti.run_id, ti.task_id, getattr(ti, "map_index", -1))


def origin(context: "Context") -> dict[str, str]:
    """Say on whose behalf a job runs; written to MLflow with the model."""
    ti = context["ti"]
    found = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "try_number": str(ti.try_number)}
    bundle = getattr(ti, "bundle_instance", None)
    if bundle is not None:
        found["bundle"] = str(bundle.name)
        if bundle.version:
            found["bundle_version"] = str(bundle.version)
    return found


def actor(context: "Context") -> str:
    """Name who is behind a run: the user who triggered it, or the DAG itself."""
    run: Any = context.get("dag_run")
    user = getattr(run, "triggering_user_name", None)
    return str(user) if user else f"dag:{context['ti'].dag_id}"


def default_project_root(context: "Context") -> str:
    """Find the project when none is declared: the deployment's setting, else the DAG bundle, else AIRFLOW_HOME.

    A bundle either holds `include/` itself or is the `dags/` folder beside it.
    """
    from airflow.sdk import conf

    if root := conf.get("retrain", "project_root", fallback=None):
        return root
    bundle = getattr(context["ti"], "bundle_instance", None)
    path = Path(bundle.path) if bundle is not None else Path(os.environ.get("AIRFLOW_HOME", "."))
    beside = not (path / "include").is_dir() and (path.parent / "include").is_dir()
    return str(path.parent if beside else path)
