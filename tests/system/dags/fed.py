"""Airflow DAGs of models whose way in is out of the ordinary: replayed, and with labels that arrive apart."""

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


declare("replayed")
declare("labelled", labels=f"file://{FOLDER}/data/labelled-labels/{{partition}}.parquet", key=["number"])
