"""Releases in a hostile world: a registry that was tampered with or is down, a ledger that was changed, alarms.

Real models in a real MLflow; the champion is untouched unless the test says otherwise.
"""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from click.testing import CliRunner

from retrain.cli.registry import command
from retrain.exceptions import RegistryUnavailableError
from retrain.ledger import Ledger
from retrain.loop.release import digest_of
from retrain.operators import (
    ModelGuardOperator,
    ModelPromoteOperator,
    ModelTrainOperator,
    RollbackModelOperator,
    TrainingPlanOperator,
)
from retrain.records import GateStatus, ModelSpec, RollbackOn, Verdict
from retrain.registry import RegistryClient, champion, credentials, promote
from retrain.training.artifacts import digest
from scripts.services.mlflow import MlflowServer, running_mlflow
from scripts.services.processes import free_port
from tests.support.airflow_tasks import connect, connect_ledger, context
from tests.support.project import Project
from tests.support.shop import Shop

pytestmark = [
    pytest.mark.integration,
    # MLflow warns about type hints of its own when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
PASS = Verdict(GateStatus.PASS, "roc_auc", "non_inferior", ("not worse",), 1000)
JUDGED = {"register": {"version": "1"}}


class Registry:
    """An MLflow server that can be stopped, and whose files can be reached."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        self._stack = contextlib.ExitStack()
        self.server: MlflowServer = self.start()

    def start(self) -> MlflowServer:
        self.server = self._stack.enter_context(running_mlflow(self.root, port=self.port, password="word-of-the-test"))
        return self.server

    def stop(self) -> None:
        self._stack.close()

    def files(self, model_uri: str) -> Path:
        """Return the folder of a logged model's files."""
        name = model_uri.removeprefix("models:/")
        (found,) = {path.parent for path in (self.root / "artifacts").rglob("MLmodel") if name in path.parts}
        return found


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = Registry(tmp_path_factory.mktemp("registry"))
    yield made
    made.stop()


@dataclass(frozen=True)
class Trained:
    """Two models that the loop has trained: a declaration, and what was promoted of it."""

    spec: ModelSpec
    store: str
    promoted: tuple[dict[str, Any], ...]


@pytest.fixture(scope="module")
def trained(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train twice, once for all tests; each makes versions of its own of these two models."""
    root = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        connect_ledger(patch, root / "ledger.db")
        connect_mlflow(patch, registry)
        shop = Shop(root, Project(root / "project"))
        for number, months in enumerate((("2024-01", "2024-02"), ("2024-03",)), start=1):
            for seed, month in enumerate(months):
                shop.land(month, seed=seed + 10 * number)
            for partition in shop.discover():
                shop.ingest(partition)
            train(shop, f"manual__{number}")
        promoted = shop.ledger.events(f"model:{shop.spec.model}", kinds=["promoted"])
        made = Trained(shop.spec, shop.store, tuple(dict(event.payload) for event in promoted))
        shop.ledger.close()
        return made


def train(shop: Shop, run_id: str) -> None:
    def task(task_id: str) -> dict[str, Any]:
        return context(task_id, dag_id=f"{shop.spec.model}.train", run_id=run_id, run_type="manual", user="ada")

    state = shop.run(TrainingPlanOperator, "plan", task("plan"), reason="because")
    state = shop.run(ModelTrainOperator, "train", task("train"), plan=state)
    shop.run(ModelPromoteOperator, "promote", task("promote"), judged=state)


def connect_mlflow(monkeypatch: pytest.MonkeyPatch, registry: Registry) -> None:
    server = registry.server
    connect(
        monkeypatch, "mlflow_default", conn_type="mlflow", host=server.uri, login=server.username,
        password=server.password,
    )  # fmt: skip


class Released:
    """A model whose version 2 replaced version 1, and the ways to release."""

    def __init__(self, root: Path, model: str, trained: Trained, registry: Registry) -> None:
        self.root, self.model, self.registry, self.store = root, model, registry, trained.store
        self.declared = ModelSpec.from_dict({**trained.spec.to_dict(), "model": model})
        self.stream = f"model:{model}"
        self.ledger = Ledger.open(f"sqlite:///{root}/ledger.db", migrate=True)
        self.client = RegistryClient(registry.server.uri)
        self.runs = 0
        self.client.mlflow.create_registered_model(model)
        before = None
        for payload in trained.promoted:
            uri = payload["model_uri"]
            made = self.client.mlflow.create_model_version(
                model, uri, run_id=payload["run_id"], tags={"retrain.model_uri": uri}, model_id=uri.split("/")[-1]
            )
            promote(
                self.ledger, self.client, model, made.version, expected=before, actor="ada", reason="", verdict=PASS
            )
            before = made.version

    def run(self, kind: type, task_id: str, task: dict[str, Any], **options: Any) -> Any:
        """Execute an operator and send its answer through JSON, as XCom does."""
        common = {"spec": self.declared, "store": self.store, **options}
        return json.loads(json.dumps(kind(task_id=task_id, **common).execute(task)))

    def task(self, kind: str = "rollback", user: str | None = "bo") -> dict[str, Any]:
        self.runs += 1
        return context(kind, dag_id=f"{self.model}.{kind}", run_id=f"r{self.runs}", run_type="manual", user=user)

    def broken(self) -> "contextlib.ExitStack":
        """Let no model be loaded for the time of the block."""
        stack = contextlib.ExitStack()
        for change in self.changes():
            for path in self.registry.files(change["model_uri"]).rglob("*.skops"):
                stack.callback(path.write_bytes, path.read_bytes())
                path.write_bytes(b"no model")
        return stack

    def roll_back(self, **options: Any) -> Any:
        return self.run(RollbackModelOperator, "rollback", self.task(), **{"reason": "wrong prices", **options})

    def sweep(self) -> Any:
        return self.run(ModelPromoteOperator, "promote", self.task("train"), judged=None)

    def judge(self, version: str, against: str | None, **more: Any) -> dict[str, Any]:
        """A verdict of a run, as its training task commits it; returns the run's context."""
        task = self.task("train")
        verdict = {"status": "pass", "metric": "roc_auc", "rule": "non_inferior", "reasons": ["fine"], "rows": 300}
        uri = next(change["model_uri"] for change in self.changes() if change["version"] == version)
        payload = {"version": version, "champion": against, "verdict": verdict, "model_uri": uri, **more}
        self.ledger.append(self.stream, "judged", f"{self.model}.train/{task['ti'].run_id}", payload)
        return task

    def changes(self) -> list[dict[str, Any]]:
        found = self.ledger.events(self.stream, kinds=["promoted", "rolled_back"])
        return [dict(event.payload) for event in found]

    def champion(self) -> str:
        return champion(self.ledger, self.model).version

    def spec(self, *alarms: str) -> ModelSpec:
        return ModelSpec.from_dict({**self.declared.to_dict(), "rollback_on": RollbackOn(alarms).to_dict()})

    def watch(self, partition: str, version: str, status: str) -> None:
        performance = {"status": status, "champion": version, "reason": "the loss rose by 0.1"}
        payload = {"partition": partition, "drift": {"champion": version}, "performance": performance}
        self.ledger.append(self.stream, "watched", f"{partition}@v1", payload)


@pytest.fixture
def released(
    tmp_path: Path, trained: Trained, registry: Registry, monkeypatch, request: pytest.FixtureRequest
) -> Iterator[Released]:
    connect_ledger(monkeypatch, tmp_path / "ledger.db")
    connect_mlflow(monkeypatch, registry)
    with credentials(registry.server.username, registry.server.password):
        made = Released(tmp_path, request.node.name[:90], trained, registry)
        assert made.client.aliases(made.model) == {"champion": "2", "previous": "1"}
        yield made
    made.ledger.close()


def test_a_rollback_loads_the_version_first_and_what_it_loaded_is_proven_later(released: Released) -> None:
    asset = Asset(name="retrain.champion.x", uri="retrain://champion/x")
    task = released.task()
    task["outlet_events"] = {asset: type("Event", (), {"extra": None})()}
    start = time.monotonic()
    done = released.run(RollbackModelOperator, "rollback", task, reason="wrong prices", outlets=[asset])
    print(f"\nrollback with its check: {time.monotonic() - start:.1f} s")
    assert (done["version"], released.champion()) == ("1", "1")
    check = released.changes()[-1]["check"]
    assert check["status"] == "pass", check
    assert len(check["digest"]) == 64
    told = task["outlet_events"][asset].extra
    assert (told["kind"], told["version"], told["previous"], told["by"]) == ("rolled_back", "1", "2", "bo")
    assert released.roll_back(version="2", reason="better after all")["version"] == "2"

    # From here on the bytes of both are known: whoever changes them is found out.
    folder = released.registry.files(released.changes()[0]["model_uri"])
    card = folder / "MLmodel"
    before = card.read_bytes()
    card.write_bytes(before + b"# nothing but a comment\n")
    try:
        with pytest.raises(AirflowFailException, match=r"version 1 .* does not serve any more.*bytes are not those"):
            released.roll_back()
    finally:
        card.write_bytes(before)
    assert released.roll_back()["version"] == "1"


def test_a_version_that_does_not_load_or_is_gone_is_not_gone_back_to(released: Released) -> None:
    with released.broken():
        refused = r"version 1 .* does not serve any more: load: it cannot be loaded"
        with pytest.raises(AirflowFailException, match=refused):
            released.roll_back()
    with released.broken():
        for path in released.registry.files(released.changes()[0]["model_uri"]).rglob("*.skops"):
            path.unlink()
        with pytest.raises(AirflowFailException, match=r"version 1 .* does not serve any more"):
            released.roll_back()
    released.client.mlflow.delete_model_version(released.model, "1")
    with pytest.raises(AirflowFailException, match=r"version 1 .* is not in MLflow any more"):
        released.roll_back()
    assert released.champion() == "2"
    assert released.client.aliases(released.model)["champion"] == "2"


def test_an_alias_that_was_moved_by_hand_is_set_back_by_the_next_sweep(released: Released) -> None:
    released.client.set_alias(released.model, "champion", "1")
    released.client.delete_alias(released.model, "previous")
    with pytest.raises(AirflowSkipException, match="No promotion"):
        released.sweep()
    assert released.client.aliases(released.model) == {"champion": "2", "previous": "1"}


def test_an_artifact_that_changed_since_it_was_judged_is_not_promoted(released: Released) -> None:
    task = released.judge("1", "2", serving={"status": "pass", "reasons": [], "digest": "0" * 64})
    with pytest.raises(
        AirflowFailException, match=r"version 1 .* is not what was judged.*not those that were recorded"
    ):
        released.run(ModelPromoteOperator, "promote", task, judged=JUDGED)
    assert released.champion() == "2"


def test_nothing_is_released_on_a_broken_chain(released: Released) -> None:
    task = released.judge("1", "2")
    with sqlite3.connect(released.root / "ledger.db") as database:
        for (name,) in database.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            database.execute(f"drop trigger {name}")
        database.execute(
            "update retrain_events set actor = 'eve' where stream = ? and kind = 'promoted'", (released.stream,)
        )
    refused = r"ChainBrokenError.*tampered with: event \d+ was changed.*retrain ledger verify"
    with pytest.raises(AirflowFailException, match=refused):
        released.run(ModelPromoteOperator, "promote", task, judged=JUDGED)
    with pytest.raises(AirflowFailException, match=refused):
        released.roll_back()
    # Nor is what it says now shown in MLflow.
    with pytest.raises(AirflowFailException, match=refused):
        released.sweep()
    assert released.client.aliases(released.model)["champion"] == "2"


def test_mlflow_down_changes_nothing_or_is_made_up_for_by_the_next_sweep(released: Released, monkeypatch) -> None:
    import retrain.loop.release as release

    before = released.changes()
    task = released.judge("1", "2")
    released.registry.stop()
    with pytest.raises(RegistryUnavailableError):
        released.run(ModelPromoteOperator, "promote", task, judged=JUDGED)
    with pytest.raises(Exception, match=r"RegistryUnavailableError|did not answer"):
        released.roll_back()
    assert released.changes() == before
    released.registry.start()

    # It goes down right after the ledger was written: the champion is the ledger's, and the sweep shows it.
    reconcile = release.reconcile

    def down(*args: Any) -> None:
        released.registry.stop()
        reconcile(*args)

    monkeypatch.setattr(release, "reconcile", down)
    with pytest.raises(RegistryUnavailableError):
        released.roll_back()
    monkeypatch.setattr(release, "reconcile", reconcile)
    assert released.champion() == "1"
    released.registry.start()
    assert released.client.aliases(released.model)["champion"] == "2"
    with pytest.raises(AirflowSkipException):
        released.sweep()
    assert released.client.aliases(released.model) == {"champion": "1", "previous": "2"}


def test_decay_after_a_promotion_takes_it_back_once_and_for_good(released: Released) -> None:
    spec = released.spec("decay")

    def guard() -> Any:
        return released.run(ModelGuardOperator, "guard", released.task("data", user=None), spec=spec)

    with pytest.raises(AirflowSkipException, match="No alarm"):
        guard()
    released.watch("2024-04", "2", "decay")
    assert (guard()["version"], released.champion()) == ("1", "1")
    done = released.changes()[-1]
    assert (done["alarm"], done["check"]["status"]) == ("decay", "pass")
    assert "decay on 2024-04@v1" in done["reason"]
    assert released.client.aliases(released.model) == {"champion": "1", "previous": "2"}
    # Neither does it swing back, nor does version 2 come again.
    released.watch("2024-05", "1", "decay")
    with pytest.raises(AirflowSkipException, match="No promotion"):
        guard()
    task = released.judge("2", "1")
    with pytest.raises(AirflowSkipException, match=r"version 2 is retired: decay on 2024-04@v1"):
        released.run(ModelPromoteOperator, "promote", task, judged=JUDGED)
    with pytest.raises(AirflowFailException, match="retired"):
        released.roll_back(version="2")
    assert released.champion() == "1"


def test_a_champion_that_does_not_serve_any_more_is_gone_back_from_unless_there_is_no_way(released: Released) -> None:
    spec = released.spec("serving")

    def guard() -> Any:
        return released.run(ModelGuardOperator, "guard", released.task("data", user=None), spec=spec)

    released.watch("2024-04", "2", "ok")
    with pytest.raises(AirflowSkipException, match="No alarm: version 2 stays"):
        guard()
    released.watch("2024-05", "2", "ok")
    with (
        released.broken(),
        pytest.raises(AirflowSkipException, match=r"there is no way back: version 1 .* does not serve any more"),
    ):
        guard()
    noted = released.ledger.last(released.stream, "guarded").payload
    assert (noted["alarm"], noted["version"], released.champion()) == ("serving", "2", "2")
    assert "does not serve" in noted["refused"]
    with pytest.raises(AirflowSkipException, match="No promotion"):
        guard()


def test_a_person_promotes_only_what_loads_and_is_what_was_judged(released: Released) -> None:
    where = ["--ledger", f"sqlite:///{released.root}/ledger.db", "--tracking-uri", released.registry.server.uri]
    by_hand = ["promote", released.model, "1", "--reason", "better after all", "--actor", "bo", *where]
    folder = released.registry.files(released.changes()[0]["model_uri"])
    released.judge("1", "2", artifact_digest=digest(folder), partitions=["2024-01"])
    (code,) = folder.rglob("features.py")
    before, marker = code.read_bytes(), released.root / "ran"
    code.write_bytes(f"open({str(marker)!r}, 'w')\n".encode() + before)
    try:
        refused = CliRunner().invoke(command, by_hand)
    finally:
        code.write_bytes(before)
    assert re.search(r"version 1 .* does not serve: .*bytes are not those that were recorded", str(refused.exception))
    assert not marker.exists()
    assert released.champion() == "2"
    assert "is now champion" in CliRunner().invoke(command, by_hand, catch_exceptions=False).output
    evidence = released.changes()[-1]["evidence"]
    assert (evidence["check"]["status"], evidence["digest"]) == ("pass", digest(folder))
    assert evidence["partitions"] == ["2024-01"]
    assert digest_of(released.ledger, released.model, "1") == digest(folder)


def test_the_command_line_rolls_back_and_retires(released: Released) -> None:
    ledger = ["--ledger", f"sqlite:///{released.root}/ledger.db"]
    both = [*ledger, "--tracking-uri", released.registry.server.uri]

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(command, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    # As a person types it: a process of its own, which imports everything first.
    typed = ("rollback", released.model, "--reason", "wrong prices", "--actor", "bo", "--json", *both)
    server = released.registry.server
    login = {"MLFLOW_TRACKING_USERNAME": server.username, "MLFLOW_TRACKING_PASSWORD": server.password}
    command_line = [sys.executable, "-m", "retrain", "registry", *typed]
    start = time.monotonic()
    told = subprocess.run(command_line, env={**os.environ, **login}, capture_output=True, check=False)
    print(f"\nretrain registry rollback: {time.monotonic() - start:.1f} s")
    assert told.returncode == 0, told.stderr
    done = json.loads(told.stdout)
    assert (done["version"], done["previous"], done["check"]["status"]) == ("1", "2", "pass")
    assert "version 2 is retired: bad" in run("retire", released.model, "2", "--reason", "bad", *ledger)
    refused = CliRunner().invoke(command, ["rollback", released.model, "--reason", "again", *both])
    assert "cannot be rolled back to the previous champion" in str(refused.exception)
    assert [one["kind"] for one in json.loads(run("history", released.model, "--json", *ledger))][-1] == "rolled_back"
    assert released.client.aliases(released.model)["champion"] == "1"
