"""Airflow DAGs of the model `flight-delays`: retrained as months of flights arrive, and when it decays."""

import os

from retrain import ContinuousTraining, Decay, Every, NewData

ContinuousTraining(
    model="flight-delays",
    data=os.environ.get("FLIGHTS_DATA", "/opt/airflow/data/flights") + "/{partition}.parquet",
    dataset="flights",
    target="late",
    expectations="include/flights/expectations.json",
    prepare="include.flights.features:prepare",
    train="include.flights.train:fit",
    metric="roc_auc",
    columns=["carrier", "origin", "distance", "temp", "humid", "wind_speed", "precip", "visib"],
    retrain=[NewData(every=3), Decay(drop=0.02), Every("@monthly")],
)
