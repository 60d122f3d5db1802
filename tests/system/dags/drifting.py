"""Airflow DAGs of a model whose data drifts, of one that is told, and of one that waits for it."""

import os

from airflow.sdk import DAG, Asset, task

from retrain import ContinuousTraining, NewData
from retrain.sensors import DriftSensor

FOLDER = os.environ["SYSTEM_TESTS"]

ContinuousTraining(
    model="drifting",
    data=f"file://{FOLDER}/data/drifting/{{partition}}.parquet",
    target="bought",
    train="shop.train:fit",
    metric="roc_auc",
    project_root=f"{FOLDER}/project",
    params={"case": "drifting"},
    retrain=[NewData(every=9)],
    watch=False,
    sweep="0 0 1 1 *",  # due at once when the DAG is not paused any more, and then not again
    retries=1,
    retry_delay_seconds=1,
)

DRIFT = Asset(name="retrain.drift.drifting", uri="retrain://drift/drifting")

with DAG("told_of_drift", schedule=DRIFT):

    @task
    def tell(triggering_asset_events=None):
        """Return what the events say."""
        return {"told": [event.extra for event in triggering_asset_events[DRIFT]]}

    tell()

with DAG("waits_for_drift", schedule=None):
    DriftSensor(task_id="wait", model="drifting", poke_interval=1, deferrable=True, retries=1)
