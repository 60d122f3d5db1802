"""Partitions of different schemas, and private columns: what is trained, judged and kept all the same."""

import json
import logging
from pathlib import Path

import pytest

from retrain.data import save_snapshot, storage
from retrain.jobs import run_job
from retrain.records import JobRequest, ModelSpec, Snapshot
from retrain.registry import credentials
from retrain.training import load_model, train
from scripts.services.mlflow import MlflowServer
from tests.support.project import Project, orders

pytestmark = [
    pytest.mark.integration,
    # MLflow warns about type hints of its own when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]

MORE = {"coupon": "x", "refunded": "no"}


def job(mlflow: MlflowServer, spec: ModelSpec, tmp_path: Path, *steps: str, **inputs: object) -> dict:
    request = JobRequest(
        steps=steps, spec=spec, store=(tmp_path / "store").as_uri(), inputs=inputs, tracking_uri=mlflow.uri
    )
    result = run_job(request)
    assert result.error is None, result.error
    return dict(result.outputs)


def test_a_partition_with_a_column_more_or_of_another_type_is_trained_on_and_judged_by(
    mlflow: MlflowServer, project: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain, more = ([orders(seed=seed).assign(**other) for seed in (1, 2)] for other in ({}, MORE))
    snapshot = Snapshot("orders", (project.partition("2024-01", more[0]), project.partition("2024-02", plain[0])))
    holdout = [project.partition("2024-03", plain[1]).to_dict(), project.partition("2024-04", more[1]).to_dict()]
    with caplog.at_level(logging.WARNING, "retrain"):
        outputs = job(
            mlflow, project.spec(), tmp_path, "train", "evaluate",
            snapshot_uri=save_snapshot(snapshot, str(tmp_path / "store")), holdout=holdout,
        )  # fmt: skip
    assert "left out: coupon" in caplog.text
    assert outputs["evaluate"]["rows"] == 600
    profile = storage.read_json(outputs["train"]["profile_uri"])
    assert "coupon" not in profile["columns"]
    assert profile["columns"]["refunded"]["family"] == "mixed"


def test_what_the_champion_cannot_predict_does_not_lose_the_verdict_on_the_data(
    mlflow: MlflowServer, project: Project, tmp_path: Path
) -> None:
    spec = project.spec()
    trained = train(spec, project.snapshot("2024-01"), tracking_uri=mlflow.uri, store=str(tmp_path / "store"))
    champion = {"version": "1", "model_uri": trained.model_uri, "losses_uri": "s3://x", "profile_uri": None}
    lacking = project.partition("2024-02", orders(seed=3).drop(columns="shop"))
    outputs = job(
        mlflow,
        spec,
        tmp_path,
        "validate",
        "performance",
        partition=lacking.to_dict(),
        champion=champion | {"metric": 1},
    )
    assert outputs["validate"]["status"] == "pass"
    assert outputs["performance"]["status"] is None
    assert "lacks ['shop']" in outputs["performance"]["reason"]
    assert outputs["performance"]["champion"] == "1"


def test_no_value_of_a_private_column_is_kept_with_the_model(
    mlflow: MlflowServer, project: Project, tmp_path: Path
) -> None:
    frame = orders().assign(customer=[f"secret-{row}" for row in range(300)])
    frame["region"] = frame["customer"].str.slice(0, 8).astype("category")
    snapshot = Snapshot("orders", (project.partition("2024-01", frame),))
    spec = project.spec(pii=("customer", "region"))
    # A profile that another model had made, with other options.
    foreign = job(mlflow, project.spec(), tmp_path, "profile", partition=snapshot.partitions[0].to_dict())
    assert "secret-1" in json.dumps(storage.read_json(foreign["profile"]["uri"]))
    outputs = job(
        mlflow, spec, tmp_path, "train",
        snapshot_uri=save_snapshot(snapshot, str(tmp_path / "store")), profiles={"2024-01": foreign["profile"]["uri"]},
    )  # fmt: skip
    assert "secret" not in json.dumps(storage.read_json(outputs["train"]["profile_uri"]))
    with credentials(mlflow.username, mlflow.password):
        import mlflow as library

        before = library.get_tracking_uri()
        library.set_tracking_uri(mlflow.uri)
        try:
            for uri in (outputs["train"]["model_uri"], f"runs:/{outputs['train']['run_id']}/profile.json"):
                library.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(tmp_path / "kept"))
        finally:
            library.set_tracking_uri(before)
    files = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert "retrain.json" in {path.name for path in files}
    assert not [path for path in files if b"secret" in path.read_bytes()]
    model = load_model(outputs["train"]["model_uri"], tracking_uri=mlflow.uri)
    assert "customer" in model.metadata.get_input_schema().input_names()
    assert len(model.predict(frame.drop(columns=["returned"]).astype({"items": "float64"}))) == 300
