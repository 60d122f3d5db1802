"""The evidence of a version that was really trained: kept by the promotion, complete with MLflow, proven, compared."""

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from click.testing import CliRunner, Result

from retrain.audit.evidence import from_text, prove
from retrain.cli.registry import command
from retrain.data import read, storage
from retrain.operators import ModelPromoteOperator, ModelTrainOperator, TrainingPlanOperator
from retrain.registry import credentials
from scripts.services.mlflow import MlflowServer
from tests.support.airflow_tasks import connect, context
from tests.support.project import orders
from tests.support.shop import Shop

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


@pytest.fixture
def running(shop: Shop, mlflow_server: MlflowServer, monkeypatch) -> Shop:
    """The shop with the real MLflow behind its connection."""
    connect(
        monkeypatch, "mlflow_default", conn_type="mlflow", host=mlflow_server.uri, login=mlflow_server.username,
        password=mlflow_server.password,
    )  # fmt: skip
    return shop


def take_in(shop: Shop, *names: str) -> None:
    for seed, name in enumerate(names):
        shop.land(name, orders(300, seed).assign(number=range(1000 * seed, 1000 * seed + 300)))
    for partition in shop.discover():
        shop.ingest(partition)


def retrain(shop: Shop, run_id: str, overrides: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Train, judge and promote in a run by hand; return what the promotion's task has pushed."""

    def task(task_id: str) -> dict[str, Any]:
        return context(task_id, dag_id=f"{shop.spec.model}.train", run_id=run_id, run_type="manual", user="ada")

    state = shop.run(TrainingPlanOperator, "plan", task("plan"), reason="because", overrides=overrides, **options)
    state = shop.run(ModelTrainOperator, "train", task("train"), plan=state, **options)
    promotion = task("promote")
    shop.run(ModelPromoteOperator, "promote", promotion, judged=state, **options)
    return dict(promotion["ti"].pushed)


def registry(shop: Shop, mlflow: MlflowServer, *arguments: str) -> Result:
    url = f"sqlite:///{shop.root}/ledger.db"
    with credentials(mlflow.username, mlflow.password):
        return CliRunner(env={"MLFLOW_TRACKING_URI": mlflow.uri}).invoke(command, [*arguments, "--ledger", url])


def test_a_promotion_keeps_evidence_that_the_ledger_proves(running: Shop, mlflow_server: MlflowServer) -> None:
    shop, model = running, running.spec.model
    take_in(shop, "2024-01", "2024-02")
    page = retrain(shop, "manual__1")["retrain_pages"]["evidence"]
    assert page.startswith(f"{shop.store}/evidence/{model}/1-")
    document = from_text(storage.read_bytes(page.replace(".html", ".json")), page)
    assert [proof for proof in prove(document, shop.ledger) if not proof.holds] == []
    assert document["digest"] in storage.read_bytes(page).decode()

    told, mlflow = document["ledger"], document["mlflow"]
    assert [source["status"] for source in document["sources"]] == ["ok", "ok", "ok"]
    assert told["data"]["proven"] is True
    assert told["production"][0]["actor"] == document["made"]["by"] == "ada"
    assert told["asked_for"][0]["reason"] == "because"
    assert told["training"]["code"] == mlflow["code"]
    assert told["training"]["params"] == {}
    assert mlflow["train"] == shop.project.reference("train:fit")
    assert mlflow["aliases"] == ["champion"]
    assert set(mlflow["environment"]) >= {"python", "pandas", "scikit-learn"}
    assert any(line.startswith("scikit-learn==") for line in mlflow["requirements"])
    assert mlflow["metrics"]["rows"] == 300

    take_in(shop, "2024-03")
    retrain(shop, "manual__2", overrides={"learning_rate": 0.2})
    found = json.loads(registry(shop, mlflow_server, "diff", model, "1", "2", "--json").stdout)
    sections = {section["name"]: section for section in found["sections"]}
    assert [one["name"] for one in sections["parameters"]["changes"]] == ["learning_rate"]
    assert sections["code"]["changes"] == sections["environment"]["changes"] == []
    assert (sections["code"]["unknown"], sections["environment"]["unknown"]) == (None, None)
    assert "partition 2024-02" in [one["name"] for one in sections["data"]["changes"]]
    assert "learning_rate=0.2" in registry(shop, mlflow_server, "why", model).output


def test_a_subject_leads_to_the_versions_that_learned_from_it(running: Shop, mlflow_server: MlflowServer) -> None:
    shop, model = running, running.spec.model
    take_in(shop, "2024-01", "2024-02")
    retrain(shop, "manual__1")
    take_in(shop, "2024-03")
    retrain(shop, "manual__2")
    accepted = [event.payload["accepted"] for event in shop.ledger.events("dataset:orders", kinds=["validated"])]
    numbers = read(accepted[1]["uri"])["number"]  # of the second month
    result = registry(shop, mlflow_server, "affected-by", model, "--key-value", f"number={numbers[0]}", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["affected"]) == (1, ["2"])
    second = document["versions"][1]
    assert (second["standing"], second["trained"][0]["rows"]) == ("champion", 1)
    assert registry(shop, mlflow_server, "affected-by", model, "--key-value", "number=-1").exit_code == 0


def test_a_version_that_the_gate_refuses_has_its_evidence_too_and_a_store_that_is_down_hinders_nothing(
    running: Shop, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    shop = running
    take_in(shop, "2024-01", "2024-02")
    retrain(shop, "manual__1")
    take_in(shop, "2024-03")
    strict = type(shop.spec).from_dict({**shop.spec.to_dict(), "rule": "superior", "margin": 0.9})
    with pytest.raises(AirflowSkipException):
        retrain(shop, "manual__2", spec=strict)
    kept = sorted(path.name for path in Path(f"{tmp_path}/store/evidence/{shop.spec.model}").glob("*.html"))
    assert [name.partition("-")[0] for name in kept] == ["1", "2"]

    (tmp_path / "no-store").write_text("a file, and no folder")
    task = context("promote", dag_id=f"{shop.spec.model}.train", run_id="manual__1", run_type="manual", user="ada")
    judged = {"register": {"version": "1"}}
    done = shop.run(ModelPromoteOperator, "promote", task, judged=judged, store=str(tmp_path / "no-store"))
    assert (done["version"], done["created"]) == ("1", False)
    assert "retrain_pages" not in task["ti"].pushed
