"""Airflow DAGs of `flight-delays-drift`: retrained when the flights no longer look like those it was trained on.

Beside them two that are told of a drift: one is scheduled on it, one waits for it.
"""

import os

from airflow.sdk import DAG, Param, task

from retrain import ContinuousTraining, Drift, Every
from retrain.sensors import DriftSensor

flights = ContinuousTraining(
    model="flight-delays-drift",
    data=os.environ.get("FLIGHTS_DATA", "/opt/airflow/data/flights") + "/{partition}.parquet",
    dataset="flights",
    target="late",
    expectations="include/flights/expectations.json",
    prepare="include.flights.features:prepare",
    train="include.flights.train:fit",
    metric="roc_auc",
    columns=["carrier", "origin", "dest", "distance"],  # not the weather: it changes with every season
    # Drift alone is evidence for a person. To retrain on it, although the labels are there, must be asked for.
    retrain=[Drift(when="always", partitions=2), Every("@monthly")],
    draw_report=True,
)

with DAG("flights_drifted", schedule=flights.drift, catchup=False, tags=["retrain"]):

    @task
    def tell(triggering_asset_events=None):
        """Print what a message to people would say."""
        for event in triggering_asset_events[flights.drift]:
            print(event.extra["partition"], event.extra["severity"], event.extra["kinds"], event.extra["drivers"])

    tell()

with DAG(
    "flights_is_it_drift",
    schedule=None,
    catchup=False,
    tags=["retrain"],
    params={"partition": Param("2013-06", type="string", pattern="^2013-(0[1-9]|1[0-2])$")},
):
    DriftSensor(
        task_id="verdict",
        model="flight-delays-drift",
        partition="{{ params.partition }}",
        status="any",
        deferrable=True,
        retries=3,
    )
