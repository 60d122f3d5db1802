"""Run a job in a Kubernetes pod of the cncf-kubernetes provider, with the same command line as everywhere."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from retrain.exceptions import (
    ConnectionConfigError,
    ContractError,
    DeclarationError,
    JobFailedError,
    MissingDependencyError,
    RetrainError,
    UnavailableError,
)
from retrain.jobs.runtime import EXIT_REFUSED, KubernetesPod
from retrain.records import JobRequest, JobResult

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from retrain.operators.job_pod import JobPodOperator

RESULT_PATH = "/airflow/xcom/return.json"


def build_pod_operator(
    runtime: KubernetesPod,
    request_uri: str,
    steps: tuple[str, ...],
    *,
    execution_timeout: timedelta | None = None,
    **task: Any,
) -> "JobPodOperator":
    """Return the operator whose pod runs `retrain run` on the job document at `request_uri`.

    The pod reads its document from the store and answers through the XCom sidecar. It is found again after a retry by
    its labels (`durable`), and deleted when it has ended. After `execution_timeout` the cluster ends it too, also when
    Airflow is gone. `task` holds `task_id` and the like.
    """
    try:
        from kubernetes.client import models as k8s

        from retrain.operators.job_pod import JobPodOperator
    except ImportError as error:
        raise MissingDependencyError(
            "KubernetesPod needs Airflow's Kubernetes provider",
            remedy='Install it: pip install "airflow-provider-retrain[kubernetes]"',
        ) from error
    return JobPodOperator(
        image=runtime.image,
        image_pull_policy=runtime.image_pull_policy,
        namespace=runtime.namespace,
        cmds=["python", "-m", "retrain"],
        arguments=["run", "--input", request_uri, "--output", RESULT_PATH, "--exit-zero", ",".join(steps)],
        env_vars={"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", **runtime.env},
        env_from=[k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=name)) for name in runtime.secrets],
        container_resources=k8s.V1ResourceRequirements(requests=dict(runtime.requests), limits=dict(runtime.limits)),
        service_account_name=runtime.service_account,
        labels={"app.kubernetes.io/managed-by": "retrain", **runtime.labels},
        kubernetes_conn_id=runtime.kubernetes_conn_id,
        deferrable=runtime.deferrable,
        schedule_timeout_seconds=runtime.startup_timeout_seconds,
        startup_timeout_seconds=runtime.startup_timeout_seconds,
        execution_timeout=execution_timeout,
        active_deadline_seconds=math.ceil(execution_timeout.total_seconds()) if execution_timeout else None,
        # The last lines of the log of a container that failed come with its status.
        termination_message_policy="FallbackToLogsOnError",
        log_pod_spec_on_failure=False,
        do_xcom_push=True,
        durable=True,
        on_finish_action="delete_pod",
        get_logs=True,
        **task,
    )


def run_in_pod(
    task: "BaseOperator",
    runtime: KubernetesPod,
    request: JobRequest,
    context: "Context",
    event: Mapping[str, Any] | None,
    on_start: "Callable[[JobPodOperator], None] | None" = None,
) -> JobResult:
    """Start the pod and wait for it without holding a worker; called again with `event` when it has ended.

    Raises TaskDeferred with the method name `trigger_reentry`, which the calling operator must have. `on_start` gets
    the operator that starts the pod or waits for it: its `on_kill` deletes the pod.
    """
    from retrain.data import storage

    if runtime.project_root:
        request = dataclasses.replace(
            request, spec=dataclasses.replace(request.spec, project_root=runtime.project_root)
        )
    if storage.normalise(request.store).startswith("file:"):
        raise DeclarationError(
            f"the store {request.store} is local, and a pod cannot reach it",
            expected="an object store (s3://, gs://, abfs://) where jobs run in Kubernetes",
            remedy="Declare store=... on an object store, or run the job in the worker",
        )
    uri = storage.join(request.store, "jobs", f"{_name(request)}.json")
    operator = build_pod_operator(
        runtime, uri, request.steps, task_id=task.task_id, execution_timeout=task.execution_timeout
    )
    if on_start is not None:
        on_start(operator)
    with _plain_errors(operator, runtime):
        if event is not None:
            document = operator.trigger_reentry(context, dict(event))
        else:
            storage.write_json(uri, request.to_dict())
            document = operator.start(context)
    if not isinstance(document, Mapping):
        raise _without_result(operator, runtime, "its answer is empty")
    return JobResult.from_dict(document)


def _name(request: JobRequest) -> str:
    """Name a job document by what is asked, whichever try asks: a retry must find the pod that works on it."""
    from retrain.jobs.steps import fingerprint

    origin = {name: value for name, value in request.origin.items() if name != "try_number"}
    return fingerprint({**request.to_dict(), "origin": origin})


@contextmanager
def _plain_errors(operator: "JobPodOperator", runtime: KubernetesPod) -> Iterator[None]:
    """Turn the errors of the provider and of the cluster into ours, which say how the pod ended."""
    from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException, AirflowTaskTimeout
    from kubernetes.client.exceptions import ApiException
    from kubernetes.config.config_exception import ConfigException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (ApiException, HTTPError) as error:
        raise _of_the_api(error, operator, runtime) from error
    except (AirflowNotFoundException, ConfigException) as error:
        raise ConnectionConfigError(
            f"no way to the cluster by the connection {runtime.kubernetes_conn_id!r}: {error}",
            remedy="Define the connection (type kubernetes), or correct KubernetesPod(kubernetes_conn_id=...)",
        ) from error
    except AirflowException as error:
        # The provider's tidying up hides that Airflow has ended the task, which Airflow has to see.
        if isinstance(error.__context__, AirflowTaskTimeout):
            raise error.__context__ from None
        raise _without_result(operator, runtime, str(error).splitlines()[0] if str(error) else "") from error


def _of_the_api(error: Exception, operator: "JobPodOperator", runtime: KubernetesPod) -> RetrainError:
    status, said = getattr(error, "status", None), str(error)
    with suppress(ValueError, TypeError, KeyError):
        said = json.loads(getattr(error, "body", None) or "")["message"]
    if operator.pod is not None and status in (400, 404):  # of its log, or of itself
        return _without_result(operator, runtime, said)
    if status in (400, 422):
        return DeclarationError(f"Kubernetes refuses the pod: {said}", remedy="Correct KubernetesPod(...)")
    return UnavailableError(
        f"Kubernetes did not do what it was asked: {said}",
        remedy="It is tried again, and finds the pod if there is one; see the connection and the rights of its account",
    )


def _without_result(operator: "JobPodOperator", runtime: KubernetesPod, said: str) -> RetrainError:
    """Say how a pod without an answer ended."""
    ending = operator.ending()
    name = operator.pod.metadata.name if operator.pod else f"of {operator.task_id}"
    if operator.exit_code() == EXIT_REFUSED:
        return ContractError(
            f"the image {runtime.image} refused the job document: {ending}",
            remedy="Install the same version of retrain in the image as in Airflow, or let the pod read the store",
        )
    if operator.killed:
        return JobFailedError(f"the pod {name} was deleted, because the task was asked to end")
    remedy = "It is tried again; if it stays so, look for who deletes pods or kills containers in the cluster"
    if "OOMKilled" in ending:
        limit = runtime.limits.get("memory", "none")
        remedy = f"Raise the memory of KubernetesPod(limits=...), which is {limit}, or give the job less data"
    elif "DeadlineExceeded" in ending:
        remedy = "Raise the task's execution_timeout, or find what the job waits for"
    return JobFailedError(f"the pod {name} ended without a result: {ending or said}", remedy=remedy)
