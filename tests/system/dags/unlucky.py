"""Airflow DAGs of models whose data, suite, connections or servers are not as they should be."""

import os

from retrain import ContinuousTraining, NewData

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
            "expectations": "suite.json",
            "project_root": f"{FOLDER}/project",
            "params": {"case": model},
            "retrain": [NewData(every=1)],
            "watch": False,
            "sweep": "0 0 1 1 *",  # due at once when the DAG is not paused any more, and then not again
            "retries": 1,
            "retry_delay_seconds": 1,
            **changes,
        }
    )


declare("bad-files")
declare("bad-target", expectations=None)
declare("bad-suite", expectations="broken.json")
declare("bad-ledger-name", ledger_conn_id="ledger_of_tomorrow")
declare("bad-mlflow-login", mlflow_conn_id="mlflow_of_tomorrow")
declare("bad-ledger-down", ledger_conn_id="ledger_in_postgresql", retries=100)
declare("bad-mlflow-down", retries=100)
