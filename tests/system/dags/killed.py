"""Airflow DAGs of models whose workers are killed: one model for each stage."""

import os

from retrain import ContinuousTraining, NewData

FOLDER = os.environ["SYSTEM_TESTS"]
STAGES = ("discover", "ingest", "orphan", "decide", "plan", "train", "serving", "promote")


def declare(model: str, **changes) -> None:
    """Declare a small model."""
    ContinuousTraining(
        **{
            "model": model,
            "data": f"file://{FOLDER}/data/{changes.get('dataset', model)}/{{partition}}.parquet",
            "target": "bought",
            "train": "shop.train:fit",
            "metric": "roc_auc",
            "expectations": "suite.json",
            "project_root": f"{FOLDER}/project",
            "params": {"case": model},
            "retrain": [NewData(every=1)],
            "watch": False,
            # Due at once, because it never ran, and then not again while the tests last: an hourly sweep that
            # happened to fall into them would finish what they wait for.
            "sweep": "0 0 1 1 *",
            "retries": 12,
            "retry_delay_seconds": 1,
            **changes,
        }
    )


for stage in STAGES:
    declare(f"kill-{stage}")
# Whole runs die for good; the next run, or the sweep, has to finish what they began.
declare("kill-run", retries=0)
declare("kill-sweep", retries=0, sweep="* * * * *")
# Two models on one dataset: a dead run of the one holds what the other one needs, until its lease ends.
declare("kill-holder", retries=0, dataset="kill-shared")
declare("kill-waiter", retries=30, dataset="kill-shared")
declare("kill-scheduler")
declare("kill-triggerer", watch=True)
# A person is asked, and the workers die around the question; then two versions, and they die around the way back.
declare("kill-approve", approval="always")
declare("kill-asked", approval="always", retries=0)
declare("kill-rollback", margin=0.5)
