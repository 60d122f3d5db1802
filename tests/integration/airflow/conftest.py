import gc
import json
import os
from pathlib import Path

import pytest

from tests.support.airflow_tasks import connect, connect_ledger, use_own_home
from tests.support.project import Project

use_own_home()
# Airflow's Kubernetes provider reads this when it is imported: a test does not wait long for a server that is away.
os.environ["AIRFLOW__WORKERS__API_RETRY_WAIT_MIN"] = os.environ["AIRFLOW__WORKERS__API_RETRY_WAIT_MAX"] = "0.1"


@pytest.fixture
def shop(tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch):
    from tests.support.shop import DEAD, Shop

    connect_ledger(monkeypatch, tmp_path / "ledger.db")
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host=DEAD)
    made = Shop(tmp_path, project)
    yield made
    made.ledger.close()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A STUB of a cluster in which the image and the store's key are known."""
    from tests.support.stub_kubernetes import StubKubernetes

    stub = StubKubernetes(tmp_path / "cluster")
    stub.secrets["s3-login"] = {
        "AWS_ACCESS_KEY_ID": "key-of-the-pod",
        "AWS_SECRET_ACCESS_KEY": "hidden-word-of-the-pod",
    }
    connect(monkeypatch, "kubernetes_default", conn_type="kubernetes", extra={"kube_config": json.dumps(stub.config)})
    with stub.running():
        yield stub
        gc.collect()  # the provider's clients leave sockets behind


@pytest.fixture
def remote(shop, bucket: str):
    """The shop with its feed and its store in a bucket."""
    shop.store = f"{bucket}/store"
    shop.spec = shop.project.spec(data=f"{bucket}/feed/{{partition}}.parquet", margin=0.5)
    return shop
