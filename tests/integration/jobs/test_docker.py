"""A model that is declared to serve in a container, through the job of a retraining; skipped without an engine."""

from pathlib import Path
from typing import Any

import pytest

from retrain.data import storage
from retrain.records import ModelSpec
from retrain.registry import RegistryClient
from retrain.serving import Limits, Serving
from scripts.services.mlflow import MlflowServer
from tests.support.project import Project
from tests.support.retraining import Retraining
from tests.support.stand_in import IMAGE, PYTHON, containers

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("stand_in_image"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
# A preparation that needs what only this machine has.
HERE_ALONE = """
import sys

sys.path.append({folder!r})
import house_tools

def prepare(frame):
    return frame[["amount", "items"]]
"""
HANGS_ELSEWHERE = """
import pathlib
import time

if not pathlib.Path({folder!r}).exists():
    time.sleep(3600)

def prepare(frame):
    return frame[["amount", "items"]]
"""


@pytest.fixture
def retraining(tmp_path: Path, project: Project, mlflow: MlflowServer) -> Retraining:
    return Retraining(tmp_path, project, mlflow.uri)


def contained(retraining: Retraining, **limits: Any) -> ModelSpec:
    serving = Serving(mode="docker", image=IMAGE, python=PYTHON, limits=Limits(calls=5, **limits))
    return retraining.spec(serving=serving.to_dict())


def needs_this_machine(retraining: Retraining, folder: Path) -> None:
    folder.mkdir()
    (folder / "house_tools.py").touch()
    retraining.project.write("orders/features.py", HERE_ALONE.replace("{folder!r}", repr(str(folder))))


def test_one_that_serves_in_the_container_passes_the_gate_and_replays_the_champion(retraining: Retraining) -> None:
    champion = retraining.as_champion(retraining.done())
    outputs = retraining.done(contained(retraining), months=("2024-01", "2024-02"), champion=champion)
    serving = outputs["serving"]
    assert (serving["status"], serving["mode"], serving["harmless"]) == ("pass", "docker", True), serving["reasons"]
    assert outputs["gate"]["status"] == "pass", outputs["gate"]["reasons"]
    assert outputs["register"]["version"] == "2"
    assert serving["digest"] == outputs["train"]["artifact_digest"]
    whole = storage.read_json(serving["verdict_uri"])
    assert whole["mode"] == "docker"
    assert {"artifact", "parity", "load", "requests", "same answers", "champion replay", "memory", "secrets"} <= {
        one["name"] for one in whole["checks"]
    }
    assert not containers()


def test_one_that_needs_what_the_image_lacks_fails_there_alone(retraining: Retraining, tmp_path: Path) -> None:
    champion = retraining.as_champion(retraining.done())
    registry = RegistryClient(retraining.tracking_uri)
    registry.set_alias(retraining.project.package, "champion", "1")
    needs_this_machine(retraining, tmp_path / "house")
    outputs = retraining.done(contained(retraining), months=("2024-01", "2024-02"), champion=champion)
    serving, gate = outputs["serving"], outputs["gate"]
    assert (serving["status"], serving["mode"], gate["status"]) == ("fail", "docker", "fail")
    assert any("it needs the package 'house_tools'" in reason for reason in gate["reasons"])
    assert outputs["evaluate"]["challenger"] is None, "what does not load there is not loaded here"
    assert outputs["register"]["version"] == "2"
    assert registry.aliases(retraining.project.package)["champion"] == "1"
    assert not containers()
    here = retraining.done(
        retraining.spec(serving=Serving(limits=Limits(calls=5)).to_dict()), months=("2024-01", "2024-02")
    )
    assert (here["serving"]["status"], here["serving"]["mode"]) == ("pass", "process"), here["serving"]["reasons"]


def test_one_that_hangs_there_fails_and_its_container_is_gone(retraining: Retraining, tmp_path: Path) -> None:
    retraining.project.write("orders/features.py", HANGS_ELSEWHERE.replace("{folder!r}", repr(str(tmp_path))))
    outputs = retraining.done(contained(retraining, load_seconds=20))
    assert (outputs["serving"]["status"], outputs["gate"]["status"]) == ("fail", "fail")
    assert "did not load within 20 s" in outputs["serving"]["reasons"][0]
    assert not containers()


def test_a_rollback_tries_the_version_in_the_container_too(retraining: Retraining, tmp_path: Path) -> None:
    needs_this_machine(retraining, tmp_path / "house")
    trained = retraining.done(steps=("train",))["train"]
    models = {"1": {"model_uri": trained["model_uri"], "digest": trained["artifact_digest"]}}
    inside = retraining.done(contained(retraining), steps=("check_loads",), models=models)["check_loads"]["1"]
    assert (inside["status"], inside["mode"]) == ("fail", "docker")
    assert "house_tools" in inside["reasons"][0]
    here = retraining.done(steps=("check_loads",), models=models)["check_loads"]["1"]
    assert (here["status"], here["mode"]) == ("pass", "process"), here["reasons"]
    assert not containers()
