"""The evidence of a version that was really trained: kept by the promotion, complete with MLflow, proven, compared."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from click.testing import CliRunner, Result

from retrain.audit.evidence import from_text, prove
from retrain.cli.registry import command
from retrain.data import storage
from retrain.operators import ModelPromoteOperator, ModelTrainOperator, TrainingPlanOperator
from retrain.records import ModelSpec
from retrain.registry import credentials
from scripts.services.mlflow import MlflowServer
from tests.support.airflow_tasks import connect, connect_ledger, context
from tests.support.project import Project, orders
from tests.support.shop import Shop

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


@dataclass
class Trained:
    """A shop after three trainings: the first two were promoted, the gate refused the third."""

    shop: Shop
    mlflow: MlflowServer
    pages: list[str]

    @property
    def model(self) -> str:
        return self.shop.spec.model

    def registry(self, *arguments: str) -> Result:
        """Run `retrain registry` as a person at a shell does."""
        url = f"sqlite:///{self.shop.root}/ledger.db"
        with credentials(self.mlflow.username, self.mlflow.password):
            return CliRunner(env={"MLFLOW_TRACKING_URI": self.mlflow.uri}).invoke(
                command, [*arguments, "--ledger", url]
            )


def take_in(shop: Shop, *names: str) -> None:
    """Let months with numbered rows arrive."""
    for name in names:
        first = 1000 * int(name[-2:])
        shop.land(name, orders(300, int(name[-2:])).assign(number=range(first, first + 300)))
    for partition in shop.discover():
        shop.ingest(partition)


def retrain(shop: Shop, run_id: str, overrides: dict[str, Any] | None = None, **spec: Any) -> str:
    """Train, judge and promote in a run by hand; return the page that the promotion's task has pushed."""

    def task(task_id: str) -> dict[str, Any]:
        return context(task_id, dag_id=f"{shop.spec.model}.train", run_id=run_id, run_type="manual", user="ada")

    options = {"spec": ModelSpec.from_dict({**shop.spec.to_dict(), **spec})}
    state = shop.run(TrainingPlanOperator, "plan", task("plan"), reason="because", overrides=overrides, **options)
    state = shop.run(ModelTrainOperator, "train", task("train"), plan=state, **options)
    promotion = task("promote")
    with contextlib.suppress(AirflowSkipException):
        shop.run(ModelPromoteOperator, "promote", promotion, judged=state, **options)
    page: str = promotion["ti"].pushed["retrain_pages"]["evidence"]
    return page


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, mlflow_server: MlflowServer) -> Iterator[Trained]:
    root = tmp_path_factory.mktemp("evidence")
    with pytest.MonkeyPatch.context() as patch:
        connect_ledger(patch, root / "ledger.db")
        connect(
            patch, "mlflow_default", conn_type="mlflow", host=mlflow_server.uri, login=mlflow_server.username,
            password=mlflow_server.password,
        )  # fmt: skip
        shop = Shop(root, Project(root / "project"))
        take_in(shop, "2024-01", "2024-02")
        pages = [retrain(shop, "manual__1")]
        take_in(shop, "2024-03")
        pages.append(retrain(shop, "manual__2", overrides={"learning_rate": 0.2}, serving=None))
        take_in(shop, "2024-04")
        pages.append(retrain(shop, "manual__3", rule="superior", margin=0.9, serving=None))
        yield Trained(shop, mlflow_server, pages)
        shop.ledger.close()


def test_a_promotion_keeps_evidence_that_the_ledger_proves(trained: Trained) -> None:
    page = trained.pages[0]
    assert page.startswith(f"{trained.shop.store}/evidence/{trained.model}/1-")
    document = from_text(storage.read_bytes(page.replace(".html", ".json")), page)
    assert [proof for proof in prove(document, trained.shop.ledger) if not proof.holds] == []
    assert document["digest"] in storage.read_bytes(page).decode()

    shown = storage.read_bytes(page).decode()
    assert shown.count('<img src="data:image/png;base64,') == len(document["ledger"]["gate"]["pictures"]) == 2

    told, mlflow = document["ledger"], document["mlflow"]
    assert [source["status"] for source in document["sources"]] == ["ok", "ok", "ok"]
    assert told["data"]["proven"] is True
    assert told["production"][0]["actor"] == document["made"]["by"] == "ada"
    assert told["asked_for"][0]["reason"] == "because"
    assert told["serving"]["status"] == "pass"
    assert told["training"]["code"] == mlflow["code"]
    assert told["training"]["params"] == {}
    assert mlflow["train"] == trained.shop.project.reference("train:fit")
    assert "champion" in mlflow["aliases"]
    assert told["training"]["artifact_digest"] == told["serving"]["digest"]
    assert told["training"]["environment"] == mlflow["environment"]
    assert set(mlflow["environment"]) >= {"python", "pandas", "scikit-learn"}
    assert any(line.startswith("scikit-learn==") for line in mlflow["requirements"])
    assert mlflow["metrics"]["rows"] == 300


def test_a_version_that_the_gate_refused_has_its_evidence_too(trained: Trained) -> None:
    page = trained.pages[2]
    document = from_text(storage.read_bytes(page.replace(".html", ".json")), page)
    assert (document["version"], document["ledger"]["production"]) == ("3", [])
    assert document["ledger"]["gate"]["verdict"]["status"] != "pass"


def test_two_versions_differ_in_what_was_changed_between_them(trained: Trained) -> None:
    found = json.loads(trained.registry("diff", trained.model, "1", "2", "--json").stdout)
    sections = {section["name"]: section for section in found["sections"]}
    assert [one["name"] for one in sections["parameters"]["changes"]] == ["learning_rate"]
    assert sections["code"]["changes"] == sections["environment"]["changes"] == []
    assert (sections["code"]["unknown"], sections["environment"]["unknown"]) == (None, None)
    assert "partition 2024-02" in [one["name"] for one in sections["data"]["changes"]]
    assert "learning_rate=0.2" in trained.registry("why", trained.model).output


def test_a_subject_leads_to_the_versions_that_learned_from_it(trained: Trained) -> None:
    result = trained.registry("affected-by", trained.model, "--key-value", "number=2000", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["affected"]) == (1, ["2", "3"])
    second = document["versions"][1]
    assert (second["standing"], [hit["rows"] for hit in second["trained"]]) == ("champion", [1])
    assert trained.registry("affected-by", trained.model, "--key-value", "number=-1").exit_code == 0


def test_a_store_that_is_down_hinders_no_promotion(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "no-store").write_text("a file, and no folder")
    model = trained.model
    task = context("promote", dag_id=f"{model}.train", run_id="manual__2", run_type="manual", user="ada")
    judged = {"register": {"version": "2"}}
    options = {"spec": {**trained.shop.spec.to_dict(), "serving": None}, "store": str(tmp_path / "no-store")}
    done = trained.shop.run(ModelPromoteOperator, "promote", task, judged=judged, **options)
    assert (done["version"], done["created"]) == ("2", False)
    assert "retrain_pages" not in task["ti"].pushed
