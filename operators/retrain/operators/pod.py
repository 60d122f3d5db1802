"""Run a job in a Kubernetes pod of the cncf-kubernetes provider, with the same command line as everywhere."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DeclarationError, JobFailedError, MissingDependencyError
from retrain.jobs.runtime import KubernetesPod
from retrain.records import JobRequest, JobResult

if TYPE_CHECKING:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from airflow.sdk import BaseOperator, Context

RESULT_PATH = "/airflow/xcom/return.json"


def build_pod_operator(
    runtime: KubernetesPod, request_uri: str, steps: tuple[str, ...], **task: Any
) -> "KubernetesPodOperator":
    """Return the operator whose pod runs `retrain run` on the job document at `request_uri`.

    The pod reads its document from the store and answers through the XCom sidecar. It is found again after a retry by
    its labels (`durable`), and deleted when it has ended. `task` holds `task_id` and the like.
    """
    try:
        from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
        from kubernetes.client import models as k8s
    except ImportError as error:
        raise MissingDependencyError(
            "KubernetesPod needs Airflow's Kubernetes provider",
            remedy='Install it: pip install "airflow-provider-retrain[kubernetes]"',
        ) from error
    return KubernetesPodOperator(
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
    on_start: "Callable[[KubernetesPodOperator], None] | None" = None,
) -> JobResult:
    """Start the pod and wait for it without holding a worker; called again with `event` when it has ended.

    Raises TaskDeferred with the method name `trigger_reentry`, which the calling operator must have. `on_start` gets
    the operator that starts the pod or waits for it: its `on_kill` deletes the pod.
    """
    from retrain.data import storage
    from retrain.jobs.steps import fingerprint

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
    uri = storage.join(request.store, "jobs", f"{fingerprint(request.to_dict())}.json")
    operator = build_pod_operator(runtime, uri, request.steps, task_id=task.task_id)
    if on_start is not None:
        on_start(operator)
    if event is not None:
        document = operator.trigger_reentry(context, dict(event))
    else:
        storage.write_json(uri, request.to_dict())
        document = operator.execute(context)
    if not isinstance(document, Mapping):
        raise JobFailedError(
            f"the pod of {task.task_id} ended without a result",
            remedy="It is tried again; if it stays so, look for who deletes pods or kills containers in the cluster",
        )
    return JobResult.from_dict(document)
