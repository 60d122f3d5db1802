"""Airflow DAGs of `flight-delays-weekly`: the feed is looked at every morning, the model retrained every week."""

import os

from retrain import ContinuousTraining, Every

ContinuousTraining(
    model="flight-delays-weekly",
    data=os.environ.get("FLIGHTS_DATA", "/opt/airflow/data/flights") + "/{partition}.parquet",
    dataset="flights",  # shared: what another model's DAG has validated is not validated again
    target="late",
    expectations="include/flights/expectations.json",
    prepare="include.flights.features:prepare",
    train="include.flights.train:fit",
    metric="roc_auc",
    retrain=[Every("@weekly")],
    watch=False,  # nothing waits for files; the sweep alone finds them
    sweep="0 6 * * *",
)
