"""`retrain data show`: the frame of a training is made again bit for bit, or what keeps it from that is named."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from retrain.cli.data import command
from retrain.data import read, save_snapshot, storage, write_parquet
from retrain.jobs import run_job
from retrain.ledger import Ledger
from retrain.loop.access import read_entry, reads_of
from retrain.loop.release import promote_judged
from retrain.records import JobRequest, JobResult, JobStatus, ModelSpec, Snapshot
from retrain.registry import RegistryClient
from retrain.training import frame_digest, snapshot_frame
from retrain.training.frames import description_uri
from retrain.training.tracking import connect
from scripts.services.mlflow import MlflowServer
from tests.support.project import Project, orders

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
ORIGIN = {"dag_id": "orders.train", "run_id": "manual-1", "task_id": "train", "try_number": "1"}


class Desk:
    """A model's ledger, store and MLflow; trains a version as the train DAG does."""

    def __init__(self, root: Path, project: Project, mlflow: MlflowServer) -> None:
        self.root, self.project, self.mlflow = root, project, mlflow
        self.store = str(root / "store")
        self.url = f"sqlite:///{root}/ledger.db"
        self.spec: ModelSpec = project.spec(pii=("shop",), margin=1.0, serving=None)
        with Ledger.open(self.url, migrate=True):
            pass

    def train(self, snapshot: Snapshot, *, frame: bool = True) -> dict[str, Any]:
        holdout = self.project.partition("2024-12", orders(200, seed=99))
        request = JobRequest(
            ("train", "evaluate", "gate", "register"),
            self.spec,
            self.store,
            inputs={"snapshot_uri": save_snapshot(snapshot, self.store), "holdout": [holdout.to_dict()]},
            tracking_uri=self.mlflow.uri,
            origin=ORIGIN,
        )
        result = run_job(request)
        assert result.status is JobStatus.SUCCEEDED, result.error
        self.commit(result, request, frame)
        return dict(result.outputs)

    def commit(self, result: JobResult, request: JobRequest, frame: bool) -> None:
        trained, version = result.outputs["train"], str(result.outputs["register"]["version"])
        payload = {
            "version": version,
            "champion": None,
            "verdict": result.outputs["gate"],
            "run_id": trained["run_id"],
            "model_uri": trained["model_uri"],
            "snapshot_uri": request.inputs["snapshot_uri"],
            **({"frame": trained["frame"]} if frame else {}),
        }
        with Ledger.open(self.url) as ledger:
            ledger.append(f"model:{self.spec.model}", "judged", f"run {version}", payload)
            ledger.append_all(
                [read_entry(self.spec.model, result, key=f"run {version}", origin=request.origin, actor="dag:x")]
            )

    def promote(self) -> None:
        with Ledger.open(self.url) as ledger:
            event = ledger.last(f"model:{self.spec.model}", "judged")
            promote_judged(ledger, RegistryClient(self.mlflow.uri), self.spec.model, event, actor="test")

    def run(self, *arguments: str) -> Result:
        # MLflow's library sets the variable when its address is set in this process.
        return CliRunner(env={"MLFLOW_TRACKING_URI": None}).invoke(command, [*arguments, "--ledger", self.url])

    def show(self, version: str = "@1", *options: str) -> tuple[int, dict[str, Any]]:
        result = self.run("show", f"{self.spec.model}{version}", "--json", *options)
        assert result.exit_code in (0, 1), result.output
        return result.exit_code, json.loads(result.output)


@pytest.fixture
def desk(tmp_path: Path, project: Project, mlflow: MlflowServer) -> Desk:
    return Desk(tmp_path, project, mlflow)


def test_the_frame_of_a_version_is_made_again_bit_for_bit(desk: Desk, tmp_path: Path) -> None:
    snapshot = desk.project.snapshot("2024-01", "2024-02")
    trained = desk.train(snapshot)["train"]
    before = snapshot_frame(snapshot)
    run = connect(desk.mlflow.uri).get_run(trained["run_id"])
    assert run.data.tags["retrain.frame"] == trained["frame"] == frame_digest(before).digest
    trained_on = {"orders/2024-01@v1", "orders/2024-02@v1"}
    assert trained_on < {item.dataset.name for item in run.inputs.dataset_inputs}

    code, document = desk.show("@1", "--output", str(tmp_path / "out.parquet"))

    assert (code, document["identical"], document["changes"]) == (0, True, [])
    assert document["digest"] == document["recorded"] == trained["frame"]
    assert document["rows"] == 600
    assert [one["digest"] for one in document["partitions"]] == [ref.digest for ref in snapshot.partitions]
    after = read(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(after, before, check_exact=True)
    assert frame_digest(after).digest == trained["frame"]


def test_without_a_version_it_is_the_champion(desk: Desk) -> None:
    snapshot = desk.project.snapshot("2024-01")
    desk.train(snapshot)
    result = desk.run("show", desk.spec.model)
    assert result.exit_code == 2
    assert "has no champion" in result.output
    desk.promote()
    assert desk.show("")[1]["version"] == "1"
    output = desk.run("show", desk.spec.model).output
    assert "identical: these are the rows" in output
    unknown = desk.run("show", f"{desk.spec.model}@7")
    assert unknown.exit_code == 2
    assert f"Name one of {desk.spec.model}@1" in unknown.output


def test_every_partition_that_is_not_what_it_was_is_named(desk: Desk) -> None:
    snapshot = desk.project.snapshot("2024-01", "2024-02", "2024-03")
    desk.train(snapshot)
    Path(snapshot.partitions[0].uri.removeprefix("file://")).unlink()
    write_parquet(orders(300, seed=50), snapshot.partitions[2].uri)
    result = desk.run("show", f"{desk.spec.model}@1")
    assert result.exit_code == 2
    assert "2024-01@v1 is not there any more" in result.output
    assert "2024-03@v1 holds other bytes" in result.output
    assert "2024-02@v1" not in result.output


def test_accepted_copies_outlive_their_source(desk: Desk) -> None:
    source = desk.project.partition("2024-01", orders(300))
    request = JobRequest(("validate",), desk.spec, desk.store, inputs={"partition": source.to_dict()})
    result = run_job(request)
    assert result.error is None
    accepted = result.outputs["validate"]["accepted"]
    assert accepted["uri"].startswith("file://" + desk.store)
    desk.train(Snapshot.from_dict({"dataset": "orders", "partitions": [accepted]}))
    path = Path(source.uri.removeprefix("file://"))
    for spoil in (lambda: path.write_bytes(b"other"), path.unlink):
        spoil()
        code, document = desk.show()
        assert (code, document["identical"], document["rows"]) == (0, True, 300)


def test_a_frame_that_other_libraries_make_differently_is_named(desk: Desk) -> None:
    desk.train(desk.project.snapshot("2024-01"))
    # As if it had been recorded under another pandas, which reads a column otherwise.
    with Ledger.open(desk.url) as ledger:
        payload = dict(ledger.last(f"model:{desk.spec.model}", "judged").payload)
        there = description_uri(payload["snapshot_uri"], desk.spec.model, payload["frame"])
        kept = storage.read_json(there)
        next(column for column in kept["columns"] if column["name"] == "items").update(dtype="int32")
        kept["libraries"]["pandas"] = "1.5.0"
        payload["frame"] = "sha256:" + "0" * 64
        storage.write_json(description_uri(payload["snapshot_uri"], desk.spec.model, payload["frame"]), kept)
        ledger.append(f"model:{desk.spec.model}", "judged", "again", payload)
    code, document = desk.show()
    assert (code, document["identical"]) == (1, False)
    assert document["changes"] == ["'items' is int64 and not int32", f"pandas was 1.5.0 and is {pd.__version__}"]
    assert "DIFFERENT" in desk.run("show", f"{desk.spec.model}@1").output


def test_a_digest_that_only_mlflow_knows_is_asked_of_it(desk: Desk) -> None:
    desk.train(desk.project.snapshot("2024-01"), frame=False)
    code, document = desk.show()
    assert (code, document["identical"], document["recorded"]) == (0, None, None)
    assert "no digest was recorded" in desk.run("show", f"{desk.spec.model}@1").output
    code, document = desk.show("@1", "--tracking-uri", desk.mlflow.uri)
    assert (code, document["identical"]) == (0, True)


def test_rows_are_listed_without_private_columns_and_the_reading_is_recorded(desk: Desk) -> None:
    desk.train(desk.project.snapshot("2024-01"))
    jobs = len(_reads(desk))
    desk.show()
    assert len(_reads(desk)) == jobs
    _, document = desk.show("@1", "--head", "3", "--actor", "ana")
    assert [row["shop"] for row in document["head"]] == ["•••"] * 3
    (read_,) = _reads(desk)[jobs:]
    assert (read_.actor, read_.key, read_.origin["command"]) == ("ana", "2024-01@v1", "retrain data show")
    assert "•••" in desk.run("show", f"{desk.spec.model}@1", "--head", "1").output


def _reads(desk: Desk) -> list[Any]:
    with Ledger.open(desk.url) as ledger:
        return reads_of(ledger, desk.spec.model)


def test_what_training_and_judging_read_is_listed(desk: Desk) -> None:
    desk.train(desk.project.snapshot("2024-01", "2024-02"))
    found = json.loads(desk.run("access", desk.spec.model, "--json").output)
    assert [(one["partition"], one["steps"]) for one in found] == [
        ("2024-01", ["train"]),
        ("2024-02", ["train"]),
        ("2024-12", ["evaluate"]),
    ]
    assert found[0]["origin"] == ORIGIN
    assert "shop" in found[0]["columns"]
    assert json.loads(desk.run("access", desk.spec.model, "--column", "nothing", "--json").output) == []
    output = desk.run("access", desk.spec.model, "--partition", "2024-12").output
    assert "2024-12@v1" in output
    assert "2024-01" not in output


def test_a_training_that_is_found_again_reads_nothing_and_knows_its_frame(desk: Desk) -> None:
    snapshot = desk.project.snapshot("2024-01")
    first = desk.train(snapshot)["train"]
    told: list[str] = []
    from retrain.training import train

    again = train(
        desk.spec,
        snapshot,
        tracking_uri=desk.mlflow.uri,
        store=desk.store,
        on_read=lambda ref: told.append(ref.key),
    )
    assert (again.reused, again.frame, told) == (True, first["frame"], [])
