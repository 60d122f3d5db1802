"""Airflow DAGs whose jobs run in pods of a stub of Kubernetes."""

import os
from datetime import timedelta

from airflow.sdk import DAG

from retrain import KubernetesPod
from retrain.operators import DriftCheckOperator

DATA = f"{os.environ['PODS_BUCKET']}/data.parquet"
ENDPOINT = {"AWS_ENDPOINT_URL": os.environ["PODS_ENDPOINT"]}
# Its Python sleeps before it does anything.
HANGS = {**ENDPOINT, "PYTHONPATH": os.environ["PODS_HANGING"]}


def check(task_id: str, env: dict, deferrable: bool, **options) -> None:
    """Compare data with itself, in a pod."""
    pod = KubernetesPod("registry/jobs:1", secrets=("s3-login",), env=env, deferrable=deferrable)
    store = f"{os.environ['PODS_BUCKET']}/store"
    DriftCheckOperator(task_id=task_id, reference=DATA, current=DATA, store=store, runtime=pod, **options)


with DAG("answers_from_pods", schedule=None):
    check("deferred", ENDPOINT, True)
    check("in_the_worker", ENDPOINT, False)

with DAG("hanging_pods", schedule=None):
    check("deferred", HANGS, True)
    check("in_the_worker", HANGS, False)
    check("out_of_time", HANGS, True, execution_timeout=timedelta(seconds=10))
