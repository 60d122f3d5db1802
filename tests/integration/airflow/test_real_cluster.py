"""A job in pods of a real cluster. Runs where one is named, and is skipped everywhere else.

KUBECONFIG leads to the cluster; RETRAIN_TEST_IMAGE holds `retrain[jobs]`; RETRAIN_TEST_STORE is a folder of an object
store that this machine and the pods reach; RETRAIN_TEST_SECRETS names the cluster's secrets with the store's keys.
"""

import json
import os
from pathlib import Path

import pandas as pd
import pytest
import yaml

from retrain.data import storage, write_parquet
from retrain.jobs import KubernetesPod
from retrain.operators import DriftCheckOperator
from tests.support.airflow_tasks import connect
from tests.support.pods import finished, task

NEEDED = ("KUBECONFIG", "RETRAIN_TEST_IMAGE", "RETRAIN_TEST_STORE")
pytestmark = [
    pytest.mark.real_cluster,
    pytest.mark.skipif(not all(os.environ.get(name) for name in NEEDED), reason=f"needs {', '.join(NEEDED)}"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in the worker"])
def test_a_job_answers_from_a_pod_that_is_deleted_afterwards(monkeypatch, deferrable: bool) -> None:
    from kubernetes import client, config

    document = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    connect(monkeypatch, "kubernetes_default", conn_type="kubernetes", extra={"kube_config": json.dumps(document)})
    store = storage.join(os.environ["RETRAIN_TEST_STORE"], "retrain-real-cluster")
    data = write_parquet(pd.DataFrame({"x": range(500)}), storage.join(store, "data.parquet")).uri
    secrets = tuple(filter(None, os.environ.get("RETRAIN_TEST_SECRETS", "").split(",")))
    env = {"AWS_ENDPOINT_URL": url} if (url := os.environ.get("AWS_ENDPOINT_URL")) else {}
    pod = KubernetesPod(os.environ["RETRAIN_TEST_IMAGE"], secrets=secrets, env=env, deferrable=deferrable)

    def check() -> DriftCheckOperator:
        return DriftCheckOperator(task_id="real", reference=data, current=data, store=store, runtime=pod)

    assert finished(check, task("real"))["status"] == "ok"
    config.load_kube_config_from_dict(document)
    left = (
        client.CoreV1Api().list_namespaced_pod("default", label_selector="app.kubernetes.io/managed-by=retrain").items
    )
    assert all(one.metadata.deletion_timestamp for one in left)
