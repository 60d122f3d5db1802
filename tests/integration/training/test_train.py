"""Training against a real MLflow server with a login, artifacts through the server."""

import dataclasses
import json
import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from retrain.data import read_many
from retrain.exceptions import (
    ConnectionConfigError,
    DeclarationError,
    MissingColumnError,
    RegistryUnavailableError,
    UserCodeError,
)
from retrain.registry import credentials, register
from retrain.training import load_model, predict_for_metric, train
from retrain.training.tracking import connect
from scripts.services.mlflow import MlflowServer
from scripts.services.processes import free_port
from tests.support.project import Project, orders

pytestmark = [
    pytest.mark.integration,
    # MLflow warns about type hints of its own when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
ORIGIN = {
    "dag_id": "orders.train",
    "run_id": "manual-1",
    "task_id": "train",
    "code_version": "abc123",
    "reason": "drift",
}


def test_run_carries_the_models_origin(mlflow: MlflowServer, project: Project, tmp_path: Path) -> None:
    snapshot = project.snapshot("2024-01", "2024-02")
    outcome = train(
        project.spec(params={"max_leaf_nodes": 7}),
        snapshot,
        tracking_uri=mlflow.uri,
        store=str(tmp_path / "store"),
        params={"learning_rate": 0.2},
        origin=ORIGIN,
        profile={"rows": 600},
    )
    assert (outcome.rows, outcome.partitions, outcome.reused) == (600, ("2024-01@v1", "2024-02@v1"), False)
    client = connect(mlflow.uri)
    run = client.get_run(outcome.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"max_leaf_nodes": "7", "learning_rate": "0.2"}
    assert {key: run.data.tags[f"retrain.origin.{key}"] for key in ORIGIN} == ORIGIN
    assert run.data.tags["retrain.snapshot"] == snapshot.digest == outcome.snapshot
    assert run.data.metrics["rows"] == 600
    assert [item.dataset.name for item in run.inputs.dataset_inputs] == ["orders/2024-01@v1", "orders/2024-02@v1"]
    kept = json.loads(run.inputs.dataset_inputs[0].dataset.source)
    assert kept["digest"] == snapshot.partitions[0].digest
    assert {file.path for file in client.list_artifacts(outcome.run_id)} == {"profile.json", "snapshot.json"}


def test_model_predicts_alike_in_a_process_that_has_the_model_only(
    mlflow: MlflowServer, project: Project, tmp_path: Path
) -> None:
    snapshot = project.snapshot("2024-01")
    outcome = train(project.spec(), snapshot, tracking_uri=mlflow.uri, store=str(tmp_path / "store"))
    frame = read_many(snapshot.partitions)
    expected = predict_for_metric(load_model(outcome.model_uri, tracking_uri=mlflow.uri), frame, "score")
    folder, raw, answer = tmp_path / "alone", tmp_path / "raw.parquet", tmp_path / "answer.json"
    with credentials(mlflow.username, mlflow.password):
        import mlflow as library

        before = library.get_tracking_uri()
        library.set_tracking_uri(mlflow.uri)
        library.artifacts.download_artifacts(artifact_uri=outcome.model_uri, dst_path=str(folder))
        library.set_tracking_uri(before)
    project.root.rename(tmp_path / "gone")
    # As somebody with plain MLflow would: numbers as floats, without the target and what is only known afterwards.
    numbers = {"items": "float64"}
    frame.drop(columns=["returned", "refunded"]).astype(numbers).to_parquet(raw)
    script = textwrap.dedent(
        f"""
        import sys, json
        sys.modules["retrain"] = sys.modules["airflow"] = None  # importing either fails
        import mlflow, pandas
        model = mlflow.pyfunc.load_model({str(folder)!r})
        scores = model.predict(pandas.read_parquet({str(raw)!r}))["score"]
        open({str(answer)!r}, "w").write(json.dumps(list(scores)))
        """
    )
    environment = {
        "PATH": os.environ["PATH"],
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HOME": str(tmp_path),
    }
    # The entry point of the header provider belongs to retrain, which this process may not import: MLflow warns.
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert np.allclose(json.loads(answer.read_text(encoding="utf-8")), expected)


def test_models_folder_holds_no_pickle_and_its_example_is_valid(
    mlflow: MlflowServer, project: Project, tmp_path: Path
) -> None:
    outcome = train(project.spec(), project.snapshot("2024-01"), tracking_uri=mlflow.uri, store=str(tmp_path / "store"))
    model = load_model(outcome.model_uri, tracking_uri=mlflow.uri)
    schema = model.metadata.get_input_schema()
    assert {column.name: column.required for column in schema.inputs} == {
        "placed_at": True,
        "shop": True,
        "amount": True,
        "items": True,
        "refunded": False,
    }
    import mlflow as library
    from mlflow.models import Model

    before = library.get_tracking_uri()
    library.set_tracking_uri(mlflow.uri)
    folder = Path(library.artifacts.download_artifacts(artifact_uri=outcome.model_uri, dst_path=str(tmp_path / "m")))
    library.set_tracking_uri(before)
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")]
    assert "scikit-learn==" in (folder / "requirements.txt").read_text(encoding="utf-8")
    assert Model.load(str(folder)).get_serving_input(str(folder)) is not None


def test_retry_finds_the_finished_training_and_registers_one_version(
    mlflow: MlflowServer, project: Project, tmp_path: Path
) -> None:
    counter = tmp_path / "trained"
    project.write(
        "orders/counted.py",
        f"""
        from pathlib import Path
        from {project.package}.orders import train
        def fit(data, params):
            with Path({str(counter)!r}).open("a") as file:
                file.write("x")
            return train.fit(data, params)
        """,
    )
    spec, snapshot = project.spec(train=project.reference("counted:fit")), project.snapshot("2024-01")
    asked = {"tracking_uri": mlflow.uri, "store": str(tmp_path / "store"), "origin": ORIGIN}
    first = train(spec, snapshot, **asked)
    # As if the task had been killed after the model was logged and before the run was closed.
    connect(mlflow.uri).update_run(first.run_id, status="RUNNING")
    again = train(spec, snapshot, **asked)
    assert again == dataclasses.replace(first, reused=True)
    assert len(first.artifact_digest or "") == 64
    assert first.environment["python"] == platform.python_version()
    assert connect(mlflow.uri).get_run(first.run_id).info.status == "FINISHED"
    assert counter.read_text() == "x"
    versions = {register(first, spec, tracking_uri=mlflow.uri), register(again, spec, tracking_uri=mlflow.uri)}
    assert versions == {"1"}
    other = train(spec, snapshot, params={"max_depth": 2}, **asked)
    assert not other.reused
    assert register(other, spec, tracking_uri=mlflow.uri) == "2"


def test_run_that_a_dead_try_left_behind_is_closed_and_trained_again(
    mlflow: MlflowServer, project: Project, tmp_path: Path
) -> None:
    spec, snapshot = project.spec(), project.snapshot("2024-01")
    asked = {"tracking_uri": mlflow.uri, "store": str(tmp_path / "store"), "origin": ORIGIN}
    dead = train(spec, snapshot, **asked)
    client = connect(mlflow.uri)
    client.delete_tag(dead.run_id, "retrain.model_uri")
    client.update_run(dead.run_id, status="RUNNING")
    alive = train(spec, snapshot, **asked)
    assert (alive.reused, alive.run_id == dead.run_id) == (False, False)
    assert client.get_run(dead.run_id).info.status == "KILLED"


def test_training_whose_model_was_deleted_is_done_again(mlflow: MlflowServer, project: Project, tmp_path: Path) -> None:
    spec, snapshot = project.spec(), project.snapshot("2024-01")
    first = train(spec, snapshot, tracking_uri=mlflow.uri, store=str(tmp_path))
    connect(mlflow.uri).delete_logged_model(first.model_uri.removeprefix("models:/"))
    assert not train(spec, snapshot, tracking_uri=mlflow.uri, store=str(tmp_path)).reused


def test_champion_keeps_its_own_preparation_beside_a_challenger_with_another(
    mlflow: MlflowServer, project: Project, tmp_path: Path
) -> None:
    snapshot = project.snapshot("2024-01")
    champion = train(project.spec(), snapshot, tracking_uri=mlflow.uri, store=str(tmp_path))
    frame = orders(50, seed=9)
    before = predict_for_metric(load_model(champion.model_uri, tracking_uri=mlflow.uri), frame, "score")
    project.write("orders/late.py", "FACTOR = -1\n")
    train(project.spec(), snapshot, tracking_uri=mlflow.uri, store=str(tmp_path))
    after = predict_for_metric(load_model(champion.model_uri, tracking_uri=mlflow.uri), frame, "score")
    assert np.array_equal(before, after)


def test_predictions_come_as_a_metric_takes_them(mlflow: MlflowServer, project: Project, tmp_path: Path) -> None:
    outcome = train(project.spec(), project.snapshot("2024-01"), tracking_uri=mlflow.uri, store=str(tmp_path))
    model, frame = load_model(outcome.model_uri, tracking_uri=mlflow.uri), orders(40, seed=3)
    score, proba, label = (predict_for_metric(model, frame, takes) for takes in ("score", "proba", "label"))
    assert proba.shape == (40, 2)
    assert np.allclose(proba[:, 1], score)
    assert np.array_equal(label, (score > 0.5).astype(int))
    # A column of whole numbers has a gap in it for the first time.
    gap = frame.assign(items=frame["items"].where(frame.index != 0))
    assert predict_for_metric(model, gap, "score").shape == (40,)
    with pytest.raises(MissingColumnError, match=r"lacks \['items'\]"):
        predict_for_metric(model, frame.drop(columns="items"), "score")
    with pytest.raises(UserCodeError, match="does not fit the model's signature"):
        predict_for_metric(model, frame.assign(items="many"), "score")
    with pytest.raises(DeclarationError, match=r"score \| label \| value \| proba"):
        predict_for_metric(model, frame, "rank")


def test_error_of_the_user_leaves_a_failed_run_and_nothing_to_reuse(
    mlflow: MlflowServer, project: Project, tmp_path: Path
) -> None:
    spec, snapshot = project.spec(params={"no_such_parameter": 1}), project.snapshot("2024-01")
    with pytest.raises(UserCodeError, match="no_such_parameter"):
        train(spec, snapshot, tracking_uri=mlflow.uri, store=str(tmp_path))
    client = connect(mlflow.uri)
    experiment = client.get_experiment_by_name(spec.model)
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
    with pytest.raises(MissingColumnError, match="no target column 'gone'"):
        train(project.spec(target="gone"), snapshot, tracking_uri=mlflow.uri, store=str(tmp_path))


def test_dead_server_and_wrong_password_stop_the_training_before_it_starts(
    mlflow_server: MlflowServer, project: Project, tmp_path: Path
) -> None:
    spec, snapshot = project.spec(), project.snapshot("2024-01")
    with pytest.raises(RegistryUnavailableError, match="did not answer"):
        train(spec, snapshot, tracking_uri=f"http://127.0.0.1:{free_port()}", store=str(tmp_path))
    with (
        credentials("admin", "a wrong password"),
        pytest.raises(ConnectionConfigError, match="refused the credentials"),
    ):
        train(spec, snapshot, tracking_uri=mlflow_server.uri, store=str(tmp_path))
