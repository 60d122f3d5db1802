"""A model that is trained, tried, judged and promoted by jobs in pods: real operators, MLflow, store and job processes.

The cluster is a STUB (`tests.support.stub_kubernetes`); its image is this machine's Python with a copy of the project.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from retrain.data import storage, write_parquet
from retrain.jobs import KubernetesPod
from retrain.operators import (
    ModelPromoteOperator,
    ModelServingCheckOperator,
    ModelTrainOperator,
    PartitionDiscoverOperator,
    PartitionIngestOperator,
    TrainingPlanOperator,
)
from retrain.operators.job import RetrainOperator
from retrain.serving import Limits, Serving
from scripts.services.mlflow import MlflowServer
from scripts.services.processes import wait_for
from tests.support.airflow_tasks import connect
from tests.support.hostile_models import living
from tests.support.pods import finished, task
from tests.support.project import orders
from tests.support.shop import Shop
from tests.support.stub_kubernetes import StubKubernetes

pytestmark = [
    pytest.mark.integration,
    # MLflow warns about type hints of its own when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    # The clients of Airflow's provider are closed by the end of the task's process.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
# A model whose preparation does something where it serves that it did not do where it was trained.
FEATURES = """
import os, time
from pathlib import Path

if "IN_TRAINING" not in os.environ:
    {elsewhere}

def prepare(frame):
    return frame[["amount", "items"]]
"""


class Deployment:
    """A model's DAGs whose tasks run in the worker, or with `self.pod` in a pod."""

    def __init__(self, shop: Shop, cluster: StubKubernetes, pod: KubernetesPod) -> None:
        self.shop, self.cluster, self.pod = shop, cluster, pod
        self.declare(load_seconds=60)

    def declare(self, load_seconds: float) -> None:
        serving = Serving(limits=Limits(calls=5, load_seconds=load_seconds))
        self.shop.spec = self.shop.project.spec(data=self.shop.spec.data, margin=0.5, serving=serving.to_dict())

    def run(self, kind: type[RetrainOperator], name: str, runtime: KubernetesPod | None = None, **options: Any) -> Any:
        """Run a task of the manual run to its end."""
        fields = {"spec": self.shop.spec, "store": self.shop.store, "runtime": runtime, **options}
        dag_id = f"{self.shop.spec.model}.{'data' if kind is PartitionIngestOperator else 'train'}"
        run = {"dag_id": dag_id, "run_id": "manual__1", "run_type": "manual", "user": "ada"}
        return finished(lambda: kind(task_id=name, **fields), task(name, **run))

    def planned(self, runtime: KubernetesPod | None = None) -> dict[str, Any]:
        """Take two partitions in, the first by a job that runs there, and plan a training."""
        for number, name in enumerate(("2024-01", "2024-02"), start=1):
            write_parquet(orders(300, number), self.shop.spec.data.format(partition=name))
        for partition, where in zip(self.run(PartitionDiscoverOperator, "discover"), (runtime, None), strict=True):
            assert self.run(PartitionIngestOperator, "ingest", where, partition=partition)["validation"] == "pass"
        planned: dict[str, Any] = self.run(TrainingPlanOperator, "plan", reason="because")
        return planned

    def judged(self) -> dict[str, Any]:
        event = self.shop.ledger.last(f"model:{self.shop.spec.model}", "judged")
        return dict(event.payload)

    def whole(self) -> str:
        """All that the cluster and the store were told, and all that pods have printed."""
        documents = [pod.document for pod in self.cluster.created]
        asked = [pod.containers[0]["args"][2] for pod in self.cluster.created]
        printed = [pod.log.read_text() for pod in self.cluster.created]
        return json.dumps(documents) + "".join(storage.read_bytes(uri).decode() for uri in asked) + "".join(printed)


@pytest.fixture
def deployment(
    remote: Shop, cluster: StubKubernetes, endpoint: str, mlflow_server: MlflowServer, tmp_path: Path, monkeypatch
) -> Deployment:
    """MLflow behind its connection, and behind a secret of the cluster."""
    user, password = mlflow_server.username, mlflow_server.password
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host=mlflow_server.uri, login=user, password=password)
    cluster.secrets["mlflow-login"] = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    shutil.copytree(remote.project.root, tmp_path / "image")
    monkeypatch.setenv("IN_TRAINING", "yes")
    pod = KubernetesPod(
        cluster.image, project_root=str(tmp_path / "image"), secrets=("s3-login", "mlflow-login"),
        env={"AWS_ENDPOINT_URL": endpoint},
    )  # fmt: skip
    return Deployment(remote, cluster, pod)


def test_a_model_trained_tried_and_promoted_in_pods_is_the_one_that_the_worker_finds(
    deployment: Deployment, mlflow_server: MlflowServer
) -> None:
    plan = deployment.planned(deployment.pod)
    state = deployment.run(ModelTrainOperator, "train", deployment.pod, plan=plan)
    promoted = deployment.run(ModelPromoteOperator, "promote", deployment.pod, judged=state)
    assert (promoted["version"], promoted["created"]) == ("1", True)

    pods = deployment.cluster.created
    assert [pod.containers[0]["args"][-1] for pod in pods[-2:]] == [
        "train,serving,evaluate,gate,register",
        "check_bytes",
    ]
    wait_for("the pods to be gone", lambda: not deployment.cluster.pods)
    verdict = deployment.judged()["serving"]
    assert (verdict["status"], verdict["mode"], verdict["requests"]) == ("pass", "process", 5)
    assert deployment.judged()["verdict"]["status"] == "pass"
    whole = deployment.whole()
    assert mlflow_server.uri in whole
    assert mlflow_server.password not in whole
    assert "word-of-the-pod" not in whole

    # The worker, asked the same, finds the model of the pod by its key and judges its bytes alike.
    again = deployment.run(ModelTrainOperator, "train", None, plan=plan)
    assert again["train"]["run_id"] == state["train"]["run_id"]
    for name in ("status", "mode", "digest", "python"):
        assert again["serving"][name] == verdict[name]
    assert checks(again["serving"]) == checks(state["serving"])
    assert again["evaluate"]["challenger"] == state["evaluate"]["challenger"]
    assert deployment.shop.ledger.verify().ok


def checks(verdict: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["name"], one["status"]) for one in storage.read_json(verdict["verdict_uri"])["checks"]]


@pytest.mark.parametrize(
    ("elsewhere", "seconds", "said", "deferrable"),
    [
        ("import house_tools", 60, "load: it needs the package 'house_tools'", True),
        ("Path({marker!r}).write_text(str(os.getpid())); time.sleep(3600)", 20, "did not load within 20 s", False),
    ],
    ids=["a package is missing", "it hangs"],
)
def test_a_model_that_does_not_serve_in_the_pod_is_a_verdict_and_no_error(
    deployment: Deployment, tmp_path: Path, elsewhere: str, seconds: float, said: str, deferrable: bool
) -> None:
    marker = tmp_path / "pid"
    text = FEATURES.format(elsewhere=elsewhere.format(marker=str(marker)))
    deployment.shop.project.write("orders/features.py", text.replace("{", "{{").replace("}", "}}"))
    deployment.declare(load_seconds=seconds)
    there = KubernetesPod.from_dict({**deployment.pod.to_dict(), "deferrable": deferrable})

    state = deployment.run(ModelTrainOperator, "train", plan=deployment.planned(), steps=("train",))
    state = deployment.run(ModelServingCheckOperator, "serving", there, plan=state)
    assert (state["serving"]["status"], state["serving"]["harmless"]) == ("fail", False)
    assert said in "; ".join(state["serving"]["reasons"])
    wait_for("the pods to be gone", lambda: not deployment.cluster.pods)
    assert not marker.exists() or not living(int(marker.read_text()))

    state = deployment.run(ModelTrainOperator, "judge", plan=state, steps=("evaluate", "gate", "register"))
    assert deployment.judged()["serving"]["reasons"] == state["serving"]["reasons"]
    assert deployment.judged()["verdict"]["status"] == "fail"
    with pytest.raises(AirflowSkipException):
        deployment.run(ModelPromoteOperator, "promote", judged=state)
    assert deployment.shop.ledger.last(f"model:{deployment.shop.spec.model}", "promoted") is None
