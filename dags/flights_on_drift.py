"""Airflow DAGs of `flight-delays-drift`: retrained when the flights no longer look like those it was trained on."""

import os

from retrain import ContinuousTraining, Drift, Every

ContinuousTraining(
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
