"""What is watched of a champion on new partitions, by the operator, with a real MLflow, ledger and store."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors

from retrain.data import storage
from retrain.operators import DriftCheckOperator, PartitionIngestOperator
from retrain.operators.assets import drift_asset
from retrain.registry import RegistryClient, credentials
from retrain.sensors import DriftSensor
from scripts.services.mlflow import MlflowServer
from tests.integration.airflow.test_operators import retrain, running, take_in  # noqa: F401
from tests.support.airflow_tasks import context
from tests.support.project import orders
from tests.support.shop import Shop

pytestmark = [
    pytest.mark.integration,
    # MLflow warns about type hints of its own when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


def ingest(shop: Shop, name: str, frame: pd.DataFrame, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take a partition in; return what the ledger then holds of it, and the task's context."""
    shop.land(name, frame)
    (partition,) = shop.discover()
    task = context("ingest", dag_id=f"{shop.spec.model}.data")
    task["outlet_events"] = OutletEventAccessors()
    outcome = shop.run(PartitionIngestOperator, "ingest", task, partition=partition, tell_drift=True, **options)
    payload = shop.ledger.get(f"model:{shop.spec.model}", "watched", f"{name}@v1").payload
    assert outcome["kinds"] == shop.run(PartitionIngestOperator, "ingest", task, partition=partition)["kinds"]
    return dict(payload), task


@pytest.fixture
def watched(running: Shop) -> Shop:  # noqa: F811
    """A shop with a champion that was judged on 2024-02."""
    for seed, name in enumerate(("2024-01", "2024-02")):
        running.land(name, orders(1500, seed))
    for partition in running.discover():
        running.ingest(partition)
    retrain(running, "manual__1")
    return running


def test_a_quiet_partition_is_judged_in_every_way_and_draws_and_tells_nothing(watched: Shop) -> None:
    payload, task = ingest(watched, "2024-03", orders(1500, 2))
    assert (payload["drift"]["status"], payload["drift"]["kinds"]) == ("ok", [])
    assert (payload["prediction"]["status"], payload["performance"]["status"]) == ("ok", "ok")
    assert (payload["concept"]["status"], payload["concept"]["rows"]) == ("ok", 3000)
    assert payload["label"]["status"] is None
    assert payload["estimate"]["reason"] == "The labels are there: the performance is measured"
    assert (payload["summary_uri"], payload["report_uri"]) == (None, None)
    assert task["ti"].pushed["retrain_pages"].keys() <= {"validation"}
    assert not list(task["outlet_events"])


def test_a_drift_is_drawn_told_and_logged_under_the_champions_training(
    watched: Shop, mlflow_server: MlflowServer
) -> None:
    moved = orders(1500, 2)
    payload, task = ingest(watched, "2024-03", moved.assign(amount=moved["amount"] * 3), draw_report=True)
    assert (payload["drift"]["status"], payload["drift"]["kinds"]) == ("drift", ["feature"])
    pages = task["ti"].pushed["retrain_pages"]
    assert (pages["summary"], pages["drift"]) == (payload["summary_uri"], payload["report_uri"])
    summary = storage.read_bytes(payload["summary_uri"]).decode()
    assert "data:image/png;base64," in summary
    assert "amount" in summary
    assert "Predictions, P(ŷ)" in summary
    assert b"Verdict: drift" in storage.read_bytes(payload["report_uri"])

    asset, alias = drift_asset(watched.spec)
    (event,) = task["outlet_events"][alias].asset_alias_events
    assert (event.dest_asset_key.name, event.dest_asset_key.uri) == (asset.name, asset.uri)
    assert {
        name: event.extra[name] for name in ("model", "partition", "status", "severity", "kinds", "verdict_uri")
    } == {
        "model": watched.spec.model,
        "partition": "2024-03",
        "status": "drift",
        "severity": payload["drift"]["severity"],
        "kinds": event.extra["kinds"],
        "verdict_uri": payload["drift"]["verdict_uri"],
    }
    assert "feature" in event.extra["kinds"]
    assert event.extra["drivers"] == ["amount"]
    waited = DriftSensor(task_id="wait", model=watched.spec.model, partition="2024-03").poke({})
    assert {**event.extra, "recorded_at": waited.xcom_value["recorded_at"]} == waited.xcom_value

    with credentials(mlflow_server.username, mlflow_server.password):
        client = RegistryClient(mlflow_server.uri).mlflow
        run = client.get_run(payload["monitoring_run_id"])
        trained = client.get_model_version(watched.spec.model, "1")
        assert run.data.tags["mlflow.parentRunId"] == trained.run_id
        assert run.info.status == "FINISHED"
        assert (run.data.metrics["drift"], run.data.metrics["drifted_columns"]) == (1.0, 1.0)
        assert run.data.metrics["roc_auc"] == pytest.approx(payload["performance"]["metric"])
        names = {file.path for file in client.list_artifacts(run.info.run_id, "drift/2024-03@v1")}
        assert names == {f"drift/2024-03@v1/{name}" for name in ("evidently.html", "summary.html", "verdict.json")}


def test_all_looks_at_one_version_are_in_one_run_step_by_step(watched: Shop, mlflow_server: MlflowServer) -> None:
    first, _ = ingest(watched, "2024-03", orders(300, 2))
    second, _ = ingest(watched, "2024-04", orders(300, 3))
    assert first["monitoring_run_id"] == second["monitoring_run_id"]
    with credentials(mlflow_server.username, mlflow_server.password):
        history = RegistryClient(mlflow_server.uri).mlflow.get_metric_history(first["monitoring_run_id"], "roc_auc")
    assert [(one.step, one.value) for one in history] == [
        (step, pytest.approx(payload["performance"]["metric"])) for step, payload in enumerate((first, second))
    ]


def test_late_labels_are_no_drift_and_the_performance_is_estimated_meanwhile(watched: Shop) -> None:
    payload, task = ingest(watched, "2024-03", orders(1500, 2).assign(returned=pd.NA))
    assert (payload["drift"]["status"], payload["performance"]["status"]) == ("ok", None)
    estimate = payload["estimate"]
    assert (estimate["estimated"], estimate["metric"], estimate["status"]) == (True, "roc_auc", "ok")
    assert estimate["value"] == pytest.approx(estimate["realised"], abs=0.1)
    assert payload["concept"]["reason"].startswith("No labels")
    assert payload["prediction"]["status"] == "ok"
    assert not list(task["outlet_events"])


def test_a_changed_concept_is_found_on_the_stream_of_losses_and_named_as_such(watched: Shop) -> None:
    ingest(watched, "2024-03", orders(1500, 2))
    swapped = orders(1500, 3)
    payload, task = ingest(watched, "2024-04", swapped.assign(returned=1 - swapped["returned"]))
    assert payload["concept"]["status"] == payload["performance"]["status"] == "decay"
    assert (payload["concept"]["since"], payload["concept"]["rows"]) == ("2024-04", 4500)
    assert payload["concept"]["after"] > payload["concept"]["before"]
    (event,) = task["outlet_events"][drift_asset(watched.spec)[1]].asset_alias_events
    assert "concept" in event.extra["kinds"]
    assert payload["summary_uri"]


def test_predictions_that_moved_are_drift_of_the_predictions(watched: Shop) -> None:
    rows = orders(6000, 2)
    reference = storage.read_json(
        watched.ledger.last(f"model:{watched.spec.model}", "promoted").payload["evidence"]["profile_uri"]
    )
    assert reference["columns"]
    # Only orders of the kind that comes back: each column stays within what it was, the predictions do not.
    late = rows[rows["returned"] == rows["returned"].max()].head(1500)
    payload, _ = ingest(watched, "2024-03", late)
    assert payload["prediction"]["status"] == "drift"
    assert payload["prediction"]["severity"] in ("low", "medium", "high")
    assert "label" in payload["drift"]["kinds"]
    assert np.isfinite(payload["performance"]["difference"])


def test_a_comparison_by_itself_draws_the_pages_that_its_task_links_to(running: Shop) -> None:  # noqa: F811
    take_in(running, "2024-01")
    running.land("2024-02", orders(300, 1).assign(amount=99.0))
    data = [str(running.feed / f"2024-0{month}.parquet") for month in (1, 2)]
    task = context()
    check = DriftCheckOperator(task_id="a", reference=data[0], current=data[1], store=running.store, draw_report=True)
    verdict = check.execute(task)
    assert task["ti"].pushed["retrain_pages"] == {"summary": verdict["summary_uri"], "drift": verdict["report_uri"]}
    assert all(storage.exists(uri) for uri in task["ti"].pushed["retrain_pages"].values())
    calm = DriftCheckOperator(task_id="a", reference=data[0], current=data[0], store=running.store).execute(task)
    assert (calm["summary_uri"], calm["report_uri"]) == (None, None)
