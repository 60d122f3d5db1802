"""What Airflow's OpenLineage provider gets from the operators, through its own extractor, as an event to send."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.airflow_tasks import connect, connect_ledger, use_own_home

use_own_home()
pytest.importorskip("airflow.providers.openlineage", reason="the extra `openlineage` is not installed")

from airflow.providers.openlineage.extractors.manager import ExtractorManager  # noqa: E402
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState  # noqa: E402
from openlineage.client.serde import Serde  # noqa: E402

from retrain.data import storage  # noqa: E402
from retrain.operators import ModelPromoteOperator, ModelTrainOperator, PartitionIngestOperator  # noqa: E402
from retrain.records import ModelSpec  # noqa: E402
from tests.support.story import Story  # noqa: E402

RUN = "018f6b0e-0000-7000-8000-000000000000"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    made = Story(tmp_path).three_versions()
    connect_ledger(monkeypatch, tmp_path / "ledger.db")
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host="http://mlflow:5000", login="a", password="secret")
    yield made
    made.ledger.close()


def spec(told: Story) -> ModelSpec:
    return ModelSpec(
        model="returns", dataset="orders", data=f"{told.store}/{{partition}}", target="y", train="a:b",
        metric="roc_auc", project_root="/project",
    )  # fmt: skip


def event(task: Any) -> dict[str, Any]:
    """Let the provider ask the task, and write the event that it would send."""
    run = SimpleNamespace(dag_id="returns.train", run_id="run-2")
    ti = SimpleNamespace(**vars(run), task_id=task.task_id, task=task, try_number=1, map_index=-1)
    found = ExtractorManager().extract_metadata(dagrun=run, task=task, task_instance_state="success", task_instance=ti)
    whole = RunEvent(
        eventTime="2024-05-01T12:00:00Z", run=Run(RUN, found.run_facets), job=Job("airflow", task.task_id),
        producer="https://example.com", eventType=RunState.COMPLETE, inputs=found.inputs, outputs=found.outputs,
    )  # fmt: skip
    document: dict[str, Any] = json.loads(Serde.to_json(whole))
    return document


def test_an_ingest_tells_what_came_in_what_was_broken_and_what_was_accepted(told: Story) -> None:
    partition = {"partition": "2024-01", "version": 1}
    found = event(PartitionIngestOperator(task_id="ingest", spec=spec(told), store=told.store, partition=partition))
    (came,), (accepted,) = found["inputs"], found["outputs"]
    assert came["inputFacets"]["inputStatistics"]["rowCount"] == 100
    (broken,) = came["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (broken["assertion"], broken["column"], broken["success"]) == ("expect_x", "items", False)
    assert broken["severity"] == "error"
    assert accepted["facets"]["version"]["datasetVersion"] == told.refs["2024-01@v1"].digest
    assert accepted["facets"]["schema"]["fields"][0]["name"] == "id"
    assert accepted["outputFacets"]["outputStatistics"]["rowCount"] == 97


def test_a_training_tells_its_partitions_and_the_version_that_came_of_it(told: Story) -> None:
    judged = told.ledger.get("model:returns", "judged", "returns.train/run-2").payload
    document = {
        "snapshot": storage.read_json(judged["snapshot_uri"])["snapshot"],
        "holdout": [told.refs["2024-03@v1"].to_dict()],
    }
    uri = storage.write_json(f"{told.store}/plans/returns/plan.json", document)
    found = event(ModelTrainOperator(task_id="train", spec=spec(told), store=told.store, plan={"plan_uri": uri}))
    assert len(found["inputs"]) == 3
    (version,) = found["outputs"]
    assert (version["namespace"], version["name"]) == ("http://mlflow:5000", "returns")
    assert version["facets"]["version"]["datasetVersion"] == "2"
    assert version["facets"]["datasetType"]["datasetType"] == "MODEL"
    tags = {tag["key"]: tag["value"] for tag in found["run"]["facets"]["tags"]["tags"]}
    assert tags["gate"] == "pass"
    assert "secret" not in json.dumps(found)


def test_a_promotion_tells_which_version_became_champion(told: Story) -> None:
    told.append("model:returns", "promoted", "2:returns.train/run-2", {"version": "2", "previous": "1"})
    found = event(ModelPromoteOperator(task_id="promote", spec=spec(told), store=told.store, judged={}))
    assert [one["name"] for one in (*found["inputs"], *found["outputs"])] == ["returns", "returns@champion"]
    assert found["outputs"][0]["facets"]["version"]["datasetVersion"] == "2"


def test_a_ledger_that_is_down_leaves_the_event_empty_and_the_task_alone(told: Story, monkeypatch) -> None:
    connect_ledger(monkeypatch, Path("/nowhere/ledger.db"))
    found = event(ModelPromoteOperator(task_id="promote", spec=spec(told), store=told.store, judged={}))
    assert (found["inputs"], found["outputs"]) == ([], [])
