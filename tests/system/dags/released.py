"""Airflow DAGs of models that people release, and of one that is gone back from by itself; deployers are told."""

import os

from retrain import Approval, ContinuousTraining, NewData

FOLDER = os.environ["SYSTEM_TESTS"]


def declare(model: str, **changes) -> None:
    """Declare a small model."""
    ContinuousTraining(
        **{
            "model": model,
            "data": f"file://{FOLDER}/data/{model}/{{partition}}.parquet",
            "target": "bought",
            "train": "shop.train:fit",
            "metric": "roc_auc",
            "margin": 0.5,
            "expectations": "suite.json",
            "project_root": f"{FOLDER}/project",
            "params": {"case": model},
            "retrain": [],
            "watch": False,
            # Due at once, because it never ran, and then not again while the tests last.
            "sweep": "0 0 1 1 *",
            "retries": 5,
            "retry_delay_seconds": 1,
            **changes,
        }
    )


declare("asked", approval="always", webhook_conn_id="deployer", retrain=[NewData(every=2)])
# A second is 1/3600 of an hour: nobody can answer in time.
declare("asked-late", approval=Approval("always", timeout_hours=2 / 3600))
# Only `second` is asked; Airflow's API refuses everybody else.
declare("asked-one", approval=Approval("always", approvers=("second",)))
# Nothing but the alarm changes its champion: a retraining is asked for by hand.
declare("guarded", rollback_on=["decay"], webhook_conn_id="deployer", retrain=[NewData(every=99)], watch=True)
