"""The pod that a job runs in: valid for strict API servers, complete, and without a secret in it.

No cluster is needed: the schemas are Kubernetes' own; what they cannot say is asserted here.
"""

import json
import re
from datetime import timedelta
from typing import Any

import kubernetes_validate
import pytest
from airflow.sdk import DAG
from kubernetes.client import ApiClient
from kubernetes.utils import parse_quantity

from retrain.exceptions import DeclarationError
from retrain.jobs import KubernetesPod
from retrain.operators import DriftCheckOperator
from retrain.operators.job import RetrainOperator
from retrain.operators.pod import RESULT_PATH, build_pod_operator
from retrain.records import ModelSpec
from tests.support.airflow_tasks import connect, context

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
RUNTIMES = {
    "smallest": KubernetesPod("registry/jobs:1"),
    "everything": KubernetesPod(
        "registry/jobs@sha256:" + "0" * 64,
        namespace="ml-team",
        project_root="/opt/project",
        service_account="trainer",
        requests={"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1Gi"},
        limits={"cpu": "2", "memory": "4Gi", "ephemeral-storage": "2Gi", "nvidia.com/gpu": "1"},
        secrets=("mlflow-login", "s3-login"),
        env={"OMP_NUM_THREADS": "2"},
        labels={"team": "pricing"},
        image_pull_policy="Always",
    ),
}


@pytest.fixture(autouse=True)
def cluster(monkeypatch) -> None:
    """A connection to a cluster that nobody calls."""
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    connect(monkeypatch, "kubernetes_default", conn_type="kubernetes", extra={"kube_config": json.dumps(config)})


@pytest.fixture(params=RUNTIMES)
def runtime(request) -> KubernetesPod:
    return RUNTIMES[request.param]


def build(runtime: KubernetesPod, task_id: str = "Train_the.model") -> dict[str, Any]:
    operator = build_pod_operator(runtime, "s3://bucket/jobs/0a1b.json", ("train", "gate"), task_id=task_id)
    pod: dict[str, Any] = ApiClient().sanitize_for_serialization(operator.build_pod_request_obj())
    return pod


@pytest.mark.parametrize("version", ["1.29", "1.31", "1.33", "1.35", "1.37"])
def test_the_pod_is_valid_for_a_strict_api_server(runtime, version: str) -> None:
    kubernetes_validate.validate(build(runtime), version, strict=True)


def test_the_schemas_would_find_a_misspelt_field(runtime) -> None:
    pod = build(runtime)
    pod["spec"]["containers"][0]["imagePulPolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, "1.33", strict=True)


def test_the_pod_runs_the_same_command_line_as_everywhere(runtime) -> None:
    [job] = [container for container in build(runtime)["spec"]["containers"] if container["name"] == "base"]
    assert job["command"] + job["args"] == [
        *("python", "-m", "retrain", "run", "--input", "s3://bucket/jobs/0a1b.json"),
        *("--output", RESULT_PATH, "--exit-zero", "train,gate"),
    ]
    assert job["image"] == runtime.image
    assert job["imagePullPolicy"] == runtime.image_pull_policy


def test_quantities_can_be_read_and_requests_stay_within_limits(runtime) -> None:
    for container in build(runtime)["spec"]["containers"]:
        asked, allowed = container["resources"].get("requests", {}), container["resources"].get("limits", {})
        for name, quantity in asked.items():
            assert parse_quantity(quantity) > 0
            if name in allowed:
                assert parse_quantity(quantity) <= parse_quantity(allowed[name])
    [job] = [container for container in build(runtime)["spec"]["containers"] if container["name"] == "base"]
    assert job["resources"] == {"requests": dict(runtime.requests), "limits": dict(runtime.limits)}


def test_every_mount_has_its_volume_and_the_result_lies_in_one(runtime) -> None:
    spec = build(runtime)["spec"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in spec["containers"]:
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) <= volumes
        assert any(RESULT_PATH.startswith(path + "/") for path in mounts)


@pytest.mark.parametrize("task_id", ["train", "Train_the.model", "a" * 250])
def test_names_and_labels_follow_rfc_1123(runtime, task_id: str) -> None:
    pod = build(runtime, task_id)
    assert len(pod["metadata"]["name"]) <= 63
    assert LABEL.fullmatch(pod["metadata"]["name"])
    assert LABEL.fullmatch(pod["metadata"]["namespace"])
    for name, value in pod["metadata"]["labels"].items():
        assert re.fullmatch(r"([a-z0-9.-]+/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?", name)
        assert re.fullmatch(r"([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?", value)
    assert pod["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "retrain"
    assert set(runtime.labels.items()) <= set(pod["metadata"]["labels"].items())


def test_secrets_are_named_and_never_spelt_out(runtime, monkeypatch) -> None:
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host="http://m", login="me", password="hidden-word")
    pod = build(runtime)
    [job] = [container for container in pod["spec"]["containers"] if container["name"] == "base"]
    assert [source["secretRef"]["name"] for source in job.get("envFrom", [])] == list(runtime.secrets)
    assert {entry["name"] for entry in job["env"]} == {"DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", *runtime.env}
    assert "hidden-word" not in json.dumps(pod)


def test_the_time_out_of_the_task_is_the_clusters_too(runtime) -> None:
    options = {"task_id": "a", "execution_timeout": timedelta(seconds=89.5)}
    pod = ApiClient().sanitize_for_serialization(
        build_pod_operator(runtime, "s3://b/j.json", ("train",), **options).build_pod_request_obj()
    )
    assert pod["spec"]["activeDeadlineSeconds"] == 90
    kubernetes_validate.validate(pod, "1.37", strict=True)
    assert "activeDeadlineSeconds" not in build(runtime)["spec"]


def test_a_task_whose_jobs_run_in_pods_has_a_time_out_and_ones_own_counts() -> None:
    common = {"task_id": "a", "reference": "s3://b/1", "current": "s3://b/2"}
    pod, own = RUNTIMES["smallest"], timedelta(days=3)
    assert DriftCheckOperator(runtime=pod, **common).execution_timeout == timedelta(hours=12)
    assert DriftCheckOperator(runtime=pod, execution_timeout=own, **common).execution_timeout == own
    assert DriftCheckOperator(**common).execution_timeout is None
    with DAG("d", schedule=None, default_args={"execution_timeout": own}):
        assert DriftCheckOperator(runtime=pod, **common).execution_timeout == own


def test_telemetry_is_off_in_the_pod_too() -> None:
    [job] = [one for one in build(RUNTIMES["everything"])["spec"]["containers"] if one["name"] == "base"]
    assert {"name": "DO_NOT_TRACK", "value": "true"} in job["env"]


@pytest.mark.parametrize("store", ["/var/store", "file:///var/store", "store", "local:///var/store"])
def test_a_store_that_a_pod_cannot_reach_is_refused(monkeypatch, store: str) -> None:
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host="http://m")
    spec = ModelSpec("m", "d", "s3://b/{partition}.parquet", "y", "a:b", "roc_auc", "/project")
    operator = RetrainOperator(task_id="a", spec=spec, store=store, runtime=KubernetesPod("registry/jobs:1"))
    request = operator.request(context(), ("profile",), {})
    with pytest.raises(DeclarationError, match=r"is local, and a pod cannot reach it.*object store"):
        operator.run(context(), request)


class _EndedEarlyError(Exception):
    pass


class _Killed(RetrainOperator):
    """Is asked to end just before its pod is started."""

    end: Any = None

    def _started(self, end) -> None:
        self.end = end
        self._end = end
        self.on_kill()
        raise _EndedEarlyError


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_task_that_is_asked_to_end_asks_the_operator_of_its_pod(monkeypatch, deferrable: bool) -> None:
    """Without a cluster: what is asked is the provider's own `on_kill`, which deletes the pod."""
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host="http://m")
    runtime = KubernetesPod("registry/jobs:1", deferrable=deferrable)
    spec = ModelSpec("m", "d", "s3://b/{partition}.parquet", "y", "a:b", "roc_auc", "/project")
    task = _Killed(task_id="a", spec=spec, store="memory://store", runtime=runtime)
    with pytest.raises(_EndedEarlyError):
        task.run(context(), task.request(context(), ("profile",), {}))
    pod = task.end.__self__
    assert isinstance(pod, KubernetesPodOperator)
    assert pod.deferrable is deferrable
    assert pod._killed
