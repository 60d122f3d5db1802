"""Models that misbehave, through the whole job of a retraining: a clear verdict each, and the champion stays."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import mlflow as mlflow_client
import pytest

from retrain.data import storage
from retrain.registry import credentials
from scripts.services.mlflow import MlflowServer, running_mlflow
from tests.support.hostile_models import living
from tests.support.project import Project, orders
from tests.support.retraining import CHECKED, Retraining

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
# Code of the project that behaves in training and otherwise where the model serves.
FEATURES = """
import os
import sys
from pathlib import Path

{elsewhere}

def prepare(frame):
    return frame[["amount", "items"]]
"""
ELSEWHERE = "if 'IN_TRAINING' not in os.environ:\n    "


@pytest.fixture
def retraining(tmp_path: Path, project: Project, mlflow: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Retraining:
    monkeypatch.setenv("IN_TRAINING", "yes")
    return Retraining(tmp_path, project, mlflow.uri)


def hostile(retraining: Retraining, elsewhere: str, **limits: Any) -> dict[str, Any]:
    """Train a model whose preparation runs `elsewhere` when it is imported where it serves."""
    retraining.project.write("orders/features.py", FEATURES.replace("{elsewhere}", elsewhere))
    return retraining.done(retraining.spec(serving={"limits": {**CHECKED["limits"], **limits}}))


def refused(outputs: dict[str, Any], check: str) -> str:
    """Expect a registered version with a verdict of fail, because of a check; returns its reason."""
    verdict, serving = outputs["gate"], outputs["serving"]
    assert (verdict["status"], serving["status"]) == ("fail", "fail")
    assert outputs["register"]["version"] == "1"
    whole = storage.read_json(serving["verdict_uri"])
    found = next(one for one in whole["checks"] if one["name"] == check and one["status"] == "fail")
    assert any(found["reason"] in reason for reason in verdict["reasons"])
    reason: str = found["reason"]
    return reason


class TestChallenger:
    def test_that_hangs_on_load_is_killed_and_never_loaded_in_the_job(
        self, retraining: Retraining, tmp_path: Path
    ) -> None:
        marker = tmp_path / "pid"
        hang = f"Path({str(marker)!r}).write_text(str(os.getpid()))\n    import time; time.sleep(3600)"
        outputs = hostile(retraining, ELSEWHERE + hang, load_seconds=30)
        assert "did not load within 30 s" in refused(outputs, "load")
        assert not living(int(marker.read_text()))
        assert outputs["evaluate"]["predictions_uri"] is outputs["evaluate"]["challenger"] is None
        assert "was not scored" in outputs["gate"]["reasons"][0]

    def test_that_prints_its_environment_is_refused_and_nothing_of_it_is_kept(
        self, retraining: Retraining, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WAREHOUSE_PASSWORD", "hunter2-hunter2")
        outputs = hostile(retraining, ELSEWHERE + "print(dict(os.environ), 'hunter2-hunter2')")
        assert "prints or answers" in refused(outputs, "secrets")
        whole = storage.read_bytes(outputs["serving"]["verdict_uri"]).decode()
        assert "hunter2" not in whole
        assert "<WAREHOUSE_PASSWORD>" in whole
        assert outputs["evaluate"]["predictions_uri"] is None

    def test_that_needs_a_missing_package_is_told_its_name(
        self, retraining: Retraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "only").mkdir()
        (tmp_path / "only" / "house_tools.py").touch()
        monkeypatch.syspath_prepend(str(tmp_path / "only"))
        outputs = hostile(retraining, "import house_tools")
        assert "it needs the package 'house_tools'" in refused(outputs, "load")

    def test_that_ends_its_process_is_refused(self, retraining: Retraining) -> None:
        assert "exit code 3" in refused(hostile(retraining, ELSEWHERE + "os._exit(3)"), "load")

    def test_that_answers_nan_is_refused(self, retraining: Retraining) -> None:
        retraining.project.write(
            "orders/train.py",
            """
            import numpy as np
            from sklearn.base import BaseEstimator, ClassifierMixin

            class Broken(ClassifierMixin, BaseEstimator):
                def fit(self, features, target):
                    self.classes_ = np.array([0, 1])
                    return self

                def predict(self, features):
                    return np.zeros(len(features), dtype=int)

                def predict_proba(self, features):
                    return np.full((len(features), 2), np.nan)

            def fit(data, params):
                return Broken().fit(data.features, data.target)
            """,
        )
        outputs = retraining.done(retraining.spec(serving=CHECKED))
        assert "NaN" in refused(outputs, "finite")
        # Nothing speaks against loading it, so that the gate says it too.
        assert "the challenger cannot be scored: 400 of 400 predictions are NaN" in outputs["gate"]["reasons"][0]

    def test_that_quotes_private_values_is_not_quoted(self, retraining: Retraining) -> None:
        retraining.project.write(
            "orders/features.py",
            """
            import os

            def prepare(frame):
                if "IN_TRAINING" not in os.environ:
                    print("printed", list(frame["shop"]))
                    raise ValueError(f"cannot read {frame['shop'].iloc[0]!r}")
                return frame[["items"]].assign(known=frame["shop"].isna())
            """,
        )
        held = orders(400, seed=99).assign(shop="Madame Tussaud")
        outputs = retraining.done(retraining.spec(serving=CHECKED, pii=("shop",)), holdout=held)
        assert "ValueError" in refused(outputs, "requests")
        kept = storage.read_bytes(outputs["serving"]["verdict_uri"]).decode() + repr(outputs)
        assert "Tussaud" not in kept


class TestFilesThatChangeAfterTheTraining:
    """The challenger's files lie in a registry that others can write to, also before anything has checked them."""

    def test_are_noticed_by_serving_check_evaluation_and_promotion_and_never_run(
        self, tmp_path: Path, project: Project
    ) -> None:
        with running_mlflow(tmp_path / "mlflow") as server, credentials(server.username, server.password):
            retraining = Retraining(tmp_path, project, server.uri)
            trained = retraining.done(steps=("train",))["train"]
            digest = trained["artifact_digest"]
            asked = {"model_uri": trained["model_uri"], "digest": digest}
            assert retraining.done(steps=("check_bytes",), **asked)["check_bytes"]["status"] == "pass"

            marker = tmp_path / "ran"
            (code,) = (tmp_path / "mlflow" / "artifacts").rglob("features.py")
            code.write_text(f"open({str(marker)!r}, 'w')\n" + code.read_text())
            judging = ("serving", "evaluate", "gate")
            outputs = retraining.done(retraining.spec(serving=CHECKED), steps=judging, trained=trained)
            assert (outputs["serving"]["status"], outputs["gate"]["status"]) == ("fail", "fail")
            assert (
                f"not those that were recorded: {outputs['serving']['digest']}, not {digest}"
                in (outputs["serving"]["reasons"][0])
            )
            unchecked = retraining.done(steps=judging, trained=trained)
            assert (unchecked["serving"]["status"], unchecked["gate"]["status"]) == (None, "fail")
            assert "are not those that were checked" in unchecked["gate"]["reasons"][0]
            assert retraining.done(steps=("check_bytes",), **asked)["check_bytes"]["status"] == "fail"
            again = retraining.done(steps=("train",))["train"]
            assert (again["reused"], again["artifact_digest"]) == (True, digest)
            assert not marker.exists()


class TestChampion:
    """The champion's files lie in a registry that others can write to."""

    def test_whose_files_have_changed_is_not_loaded(self, tmp_path: Path, project: Project) -> None:
        with running_mlflow(tmp_path / "mlflow") as server, credentials(server.username, server.password):
            retraining = Retraining(tmp_path, project, server.uri)
            champion = retraining.as_champion(retraining.done(retraining.spec(serving=CHECKED)))
            marker = tmp_path / "ran"
            (code,) = (tmp_path / "mlflow" / "artifacts").rglob("features.py")
            code.write_text(f"open({str(marker)!r}, 'w')\n" + code.read_text())
            outputs = retraining.done(months=("2024-01", "2024-02"), champion=champion)
            assert outputs["gate"]["status"] == "inconclusive"
            assert "DigestMismatchError" in outputs["gate"]["reasons"][0]
            arrived = project.partition("2024-11", orders(200, seed=3)).to_dict()
            watched = retraining.done(champion=champion, steps=("performance",), partition=arrived)
            assert watched["performance"]["status"] is None
            assert "are not those that were checked" in watched["performance"]["reason"]
            assert not marker.exists()

    def test_that_is_a_pickle_from_elsewhere_is_not_unpickled(self, retraining: Retraining, tmp_path: Path) -> None:
        marker = tmp_path / "ran"
        champion = {"version": "7", "model_uri": pickled(tmp_path, marker), "snapshot_uri": None}
        outputs = retraining.done(champion=champion)
        assert outputs["gate"]["status"] == "inconclusive"
        assert "pickle" in outputs["gate"]["reasons"][0]
        assert not marker.exists()
        assert outputs["evaluate"]["challenger"] > 0.5

    def test_that_is_gone_is_inconclusive(self, retraining: Retraining) -> None:
        champion = {"version": "7", "model_uri": "models:/m-0123456789abcdef0123456789abcdef", "snapshot_uri": None}
        outputs = retraining.done(champion=champion)
        assert outputs["gate"]["status"] == "inconclusive"
        assert "the champion, version 7, cannot be scored" in outputs["gate"]["reasons"][0]


class Bomb:
    """Whoever unpickles it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.marker, "w"))


def echo(model_input: list[str]) -> list[str]:
    """Answer what is asked."""
    return model_input


def pickled(folder: Path, marker: Path) -> str:
    """Save a model of Python's own kind and put another pickle in its place."""
    path = folder / "pickled"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow_client.pyfunc.save_model(str(path), python_model=echo, pip_requirements=[])
    (path / "python_model.pkl").write_bytes(pickle.dumps(Bomb(marker)))
    assert not marker.exists()
    return str(path)


def test_mlflow_that_dies_during_the_job_is_no_verdict(tmp_path: Path, project: Project) -> None:
    with running_mlflow(tmp_path / "mlflow") as server, credentials(server.username, server.password):
        retraining = Retraining(tmp_path, project, server.uri)
        trained = retraining.done(steps=("train",))["train"]
    for steps in (("serving",), ("evaluate",)):
        result = retraining.run(retraining.spec(serving=CHECKED), steps=steps, trained=trained)
        assert result.error is not None
        assert (result.error.type, result.error.retryable) == ("RegistryUnavailableError", True)
