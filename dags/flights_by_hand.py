"""An Airflow DAG wired by hand from retrain's operators: for those who want other tasks in between."""

import os

from airflow.sdk import DAG, Param, TriggerRule

from retrain.operators import (
    ModelEvaluateOperator,
    ModelGateOperator,
    ModelPromoteOperator,
    ModelRegisterOperator,
    ModelServingCheckOperator,
    ModelTrainOperator,
    PartitionDiscoverOperator,
    PartitionIngestOperator,
    TrainingPlanOperator,
)
from retrain.records import ModelSpec

SPEC = ModelSpec(
    model="flight-delays-by-hand",
    dataset="flights",
    data=os.environ.get("FLIGHTS_DATA", "/opt/airflow/data/flights") + "/{partition}.parquet",
    target="late",
    expectations="include/flights/expectations.json",
    prepare="include.flights.features:prepare",
    train="include.flights.train:fit",
    metric="roc_auc",
    project_root="",  # the deployment's: [retrain] project_root, or the DAG bundle
)

with DAG(
    "flights_by_hand",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["retrain"],
    doc_md=__doc__,
    params={"reason": Param("wired by hand", type="string", title="Why retrain now?", minLength=3)},
):
    discover = PartitionDiscoverOperator(task_id="discover", spec=SPEC)
    ingest = PartitionIngestOperator.partial(task_id="ingest", spec=SPEC.to_dict(), max_active_tis_per_dagrun=1).expand(
        partition=discover.output
    )
    plan = TrainingPlanOperator(
        task_id="plan", spec=SPEC, reason="{{ params.reason }}", trigger_rule=TriggerRule.NONE_FAILED
    )
    train = ModelTrainOperator(task_id="train", spec=SPEC, plan=plan.output, steps=("train",))
    serving = ModelServingCheckOperator(task_id="serving", spec=SPEC, plan=train.output)
    evaluate = ModelEvaluateOperator(task_id="evaluate", spec=SPEC, plan=serving.output)
    gate = ModelGateOperator(task_id="gate", spec=SPEC, plan=evaluate.output)
    register = ModelRegisterOperator(task_id="register", spec=SPEC, plan=gate.output)
    promote = ModelPromoteOperator(task_id="promote", spec=SPEC, judged=register.output)
    discover >> ingest >> plan
