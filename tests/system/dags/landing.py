"""Airflow DAGs of a model on whose feed files land faster than they are taken in."""

import os

from retrain import ContinuousTraining, NewData

FOLDER = os.environ["SYSTEM_TESTS"]

loop = ContinuousTraining(
    model="landing",
    data=f"file://{FOLDER}/data/landing/{{partition}}.parquet",
    target="bought",
    train="shop.train:fit",
    metric="roc_auc",
    project_root=f"{FOLDER}/project",
    retrain=[NewData(every=1000)],
    sweep="* * * * *",
    retries=12,
    retry_delay_seconds=1,
)
# Side by side instead of in order, so that both schedulers have tasks of one run at the same time.
loop.data_dag.get_task("ingest").partial_kwargs["max_active_tis_per_dagrun"] = 4
