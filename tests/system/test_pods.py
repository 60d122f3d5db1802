"""Jobs in pods of a STUB of Kubernetes, started by real workers and waited for by a real triggerer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from retrain.data import storage, write_parquet
from tests.support.hostile_models import living
from tests.support.s3 import CREDENTIALS, running_s3
from tests.support.stub_kubernetes import StubKubernetes
from tests.system.world import World, running_world

DAGS = Path(__file__).parent / "dags"


@dataclass
class Deployed:
    """An Airflow, and what it takes for a cluster."""

    world: World
    cluster: StubKubernetes

    def state(self, dag_id: str, run_id: str, task: str) -> str | None:
        found: str | None = self.world.tasks(dag_id, run_id).get(task, {}).get("state")
        return found

    def pod_of(self, run_id: str, task: str):
        """The only pod that was started for a task; None while there is none."""
        found = [pod for pod in self.cluster.created if pod.document["metadata"]["labels"]["task_id"] == task]
        found = [pod for pod in found if pod.document["metadata"]["labels"]["dag_id"] == "hanging_pods"]
        assert len(found) <= 1
        return found[0] if found and found[0].process else None


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    root = tmp_path_factory.mktemp("pods")
    (root / "hanging").mkdir()
    (root / "hanging" / "sitecustomize.py").write_text("import time\ntime.sleep(3600)\n")
    stub = StubKubernetes(root / "cluster")
    stub.secrets["s3-login"] = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with running_s3() as endpoint, stub.running():
        with storage.configure("s3", endpoint_url=endpoint, **CREDENTIALS):
            fs, path = storage.filesystem("s3://pods")
            fs.mkdir(path)
            write_parquet(pd.DataFrame({"x": range(500)}), "s3://pods/data.parquet")
        extra = {
            "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps(
                {"conn_type": "kubernetes", "extra": {"kube_config": json.dumps(stub.config)}}
            ),
            "PODS_BUCKET": "s3://pods",
            "PODS_ENDPOINT": endpoint,
            "PODS_HANGING": str(root / "hanging"),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": CREDENTIALS["key"],
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS["secret"],
        }
        with running_world(root / "world", dags=[DAGS / "in_pods.py"], extra=extra, mlflow=False) as world:
            yield Deployed(world, stub)


def test_answers_come_back_through_triggerer_and_worker(deployed: Deployed) -> None:
    run = deployed.world.run("answers_from_pods")
    for task in ("deferred", "in_the_worker"):
        log = deployed.world.log("answers_from_pods", run, task)
        assert deployed.state("answers_from_pods", run, task) == "success", log[-5000:]
        assert "step compare of" in log  # what the pod has printed
    assert len(deployed.cluster.created) == 2
    deployed.world.wait("the pods to be gone", lambda: not deployed.cluster.pods)


def test_a_task_that_is_ended_or_out_of_time_ends_its_pod(deployed: Deployed) -> None:
    world, dag = deployed.world, "hanging_pods"
    world.airflow.unpause(dag)
    run = world.airflow.trigger(dag)
    # A trigger that no triggerer has taken yet is not told that its task was ended.
    world.wait("a triggerer", lambda: world.tasks(dag, run).get("deferred", {}).get("triggerer_job"))
    pods = {
        task: world.wait(f"the pod of {task}", lambda task=task: deployed.pod_of(run, task))
        for task in ("deferred", "in_the_worker", "out_of_time")
    }
    for task in ("deferred", "in_the_worker"):
        assert living(pods[task].process.pid)
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}"
        world.airflow.call("PATCH", path, {"new_state": "failed"})
    assert world.ended(dag, run) == "failed"
    deployed.world.wait("the pods to be gone", lambda: not deployed.cluster.pods)
    assert not any(living(pod.process.pid) for pod in pods.values())
    log = world.log(dag, run, "out_of_time")
    assert "is out of time" in log or "DeadlineExceeded" in log
