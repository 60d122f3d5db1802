"""An Airflow DAG with single checks, for those who only want these: validate one month, compare it with another."""

import os

from airflow.sdk import DAG, Param

from retrain.operators import DataValidateOperator, DriftCheckOperator

FLIGHTS = os.environ.get("FLIGHTS_DATA", "/opt/airflow/data/flights")
MONTH = {"type": "string", "pattern": "^2013-(0[1-9]|1[0-2])$"}

with DAG(
    "flights_checks",
    schedule=None,
    catchup=False,
    tags=["retrain"],
    doc_md=__doc__,
    params={"reference": Param("2013-01", **MONTH), "current": Param("2013-02", **MONTH)},
):
    validate = DataValidateOperator(
        task_id="validate",
        data=FLIGHTS + "/{{ params.current }}.parquet",
        expectations="include/flights/expectations.json",
    )
    compare = DriftCheckOperator(
        task_id="compare",
        reference=FLIGHTS + "/{{ params.reference }}.parquet",
        current=FLIGHTS + "/{{ params.current }}.parquet",
    )
    validate >> compare
