"""One Airflow, one MLflow and one ledger for all system tests, and what the tests ask of them."""

import base64
import contextlib
import json
import os
import shutil
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retrain.ledger import ClaimState, Event, Ledger
from retrain.loop.requests import open_requests
from retrain.loop.streams import Kind, dataset_stream, model_stream
from scripts.demo.settings import REPOSITORY, Settings
from scripts.services.airflow import Airflow
from scripts.services.mlflow import running_mlflow
from scripts.services.processes import Server, free_port

HERE = Path(__file__).parent
DAGS = (
    *(HERE / "dags" / name for name in ("killed.py", "unlucky.py", "fed.py", "released.py", "drifting.py")),
    REPOSITORY / "dags" / "flights_on_arrival.py",
)
# Generous, because a machine may be busy; what is expected takes seconds.
DEADLINE = 420.0
PARTITIONS = ("2024-01", "2024-02")
ENDED = {"success", "failed"}
# A killed worker, scheduler or triggerer is noticed within seconds instead of minutes.
QUICK = {
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,second:admin,viewer:viewer",
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "30",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "12",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "30",
}


@dataclass
class World:
    """The servers that run, and their folders. `folder` is what the test DAGs know as SYSTEM_TESTS."""

    settings: Settings
    airflow: Airflow
    viewer: Airflow
    second: Airflow
    ledger: Ledger
    folder: Path
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    # --- MLflow

    def start_mlflow(self) -> None:
        """Start the tracking server; it finds what it had before."""
        settings = self.settings
        self.stack.enter_context(
            running_mlflow(settings.root / "mlflow", password=settings.password, port=settings.mlflow_port)
        )

    def stop_mlflow(self) -> None:
        """Stop the tracking server."""
        self.stack.close()

    def mlflow(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask MLflow's REST API as admin."""
        request = urllib.request.Request(
            f"{self.settings.mlflow_url}/api/2.0/mlflow/{path}", data=json.dumps(body).encode() if body else None
        )
        login = base64.b64encode(f"admin:{self.settings.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def aliases(self, model: str) -> dict[str, str]:
        """Return version by alias of a registered model."""
        found = self.mlflow(f"registered-models/get?name={model}")["registered_model"]
        return {alias["alias"]: alias["version"] for alias in found.get("aliases", [])}

    def versions(self, model: str) -> list[dict[str, Any]]:
        """Return the versions of a registered model, oldest first, their tags as a dictionary."""
        query = urllib.request.quote(f"name='{model}'")
        found = self.mlflow(f"model-versions/search?filter={query}&max_results=100").get("model_versions", [])
        for version in found:
            version["tags"] = {tag["key"]: tag["value"] for tag in version.get("tags", [])}
        return sorted(found, key=lambda version: int(version["version"]))

    # --- the ledger

    def events(self, model: str, *kinds: Kind) -> list[Event]:
        """Return the events of a model, in order."""
        return list(self.ledger.events(model_stream(model), kinds=kinds or None))

    def dataset_events(self, dataset: str, *kinds: Kind) -> list[Event]:
        """Return the events of a dataset, in order."""
        return list(self.ledger.events(dataset_stream(dataset), kinds=kinds or None))

    # --- data

    def land(self, model: str, *partitions: str, frame: pd.DataFrame | None = None) -> Path:
        """Land partitions of the small synthetic data (or `frame`); each appears at once and whole."""
        target = self.folder
        for partition in partitions:
            rows = sample(partition) if frame is None else frame
            target = self.drop(model, partition, lambda path, rows=rows: rows.to_parquet(path, index=False))
        return target

    def drop(self, model: str, partition: str, write: Callable[[Path], Any]) -> Path:
        """Let `write` make a partition's file beside its place, then move it there."""
        target = self.folder / "data" / model / f"{partition}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.with_name(f".{target.name}.tmp")
        write(hidden)
        hidden.replace(target)
        return target

    # --- Airflow

    def wait(self, what: str, ready: Callable[[], Any], seconds: float = DEADLINE, pause: float = 0.25) -> Any:
        """Poll until `ready` answers something true and return it; fails with what was waited for."""
        deadline = time.monotonic() + seconds
        while not (found := ready()):
            dead = [server.name for server in self.airflow.servers.values() if not server.alive]
            assert not dead, f"waited for {what}, but these are dead: {dead}"
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}\n{self.situation()}"
            time.sleep(pause)
        return found

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Run a DAG by hand and return the run's id when it has ended, however it ended."""
        self.airflow.unpause(dag_id, watchers=False)
        run_id = self.airflow.trigger(dag_id, conf)
        self.ended(dag_id, run_id)
        return run_id

    def ended(self, dag_id: str, run_id: str) -> str:
        """Wait until a run has ended; returns its state."""
        return str(
            self.wait(
                f"the end of {dag_id} {run_id}", lambda: state if (state := self.state(dag_id, run_id)) in ENDED else ""
            )
        )

    def state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state."""
        return str(self.airflow.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return a run's task instances by name; mapped ones as `ingest[0]`."""
        return {
            one["task_id"] + (f"[{one['map_index']}]" if one["map_index"] >= 0 else ""): one
            for one in self.airflow.task_instances(dag_id, run_id)
        }

    def log(self, dag_id: str, run_id: str, task: str) -> str:
        """Return what a task wrote in its last try, as the UI shows it."""
        one = self.tasks(dag_id, run_id)[task]
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{one['task_id']}/logs/{one['try_number']}"
        return json.dumps(self.airflow.call("GET", f"{path}?map_index={one['map_index']}&full_content=true"))

    def idle(self, model: str) -> bool:
        """Say whether no run of the model's DAGs goes on."""
        runs = [run for kind in ("data", "train", "rollback") for run in self.airflow.runs(f"{model}.{kind}")]
        return all(run["state"] in ENDED for run in runs)

    def quiet(self, model: str) -> bool:
        """Say whether no run of the model's DAGs goes on and nothing is wanted."""
        return not open_requests(self.ledger, model) and self.idle(model)

    def wake(self, model: str) -> None:
        """Wake the model's training as a decision does, from outside."""
        uri = f"retrain://wanted/{model}"
        found = self.airflow.call("GET", f"/assets?uri_pattern={urllib.request.quote(uri, safe='')}")["assets"]
        (asset,) = [one for one in found if one["uri"] == uri]
        self.airflow.call("POST", "/assets/events", {"asset_id": asset["id"]})

    def begin(self, *models: str, dataset: str | None = None, watchers: bool = False) -> None:
        """Land the data and start the models' loops: their sweeps are due as soon as they are not paused any more."""
        for model in models:
            self.land(dataset or model, *PARTITIONS)
        self.airflow.unpause(*(f"{model}.{kind}" for model in models for kind in ("train", "data")), watchers=watchers)

    def finished(self, model: str) -> bool:
        """Say whether the model has a champion that MLflow shows, and nothing goes on."""
        promoted = self.events(model, Kind.PROMOTED)
        if not promoted or not self.quiet(model):
            return False
        return self.aliases(model).get("champion") == promoted[-1].payload["version"]

    def situation(self) -> str:
        """Describe where everything stands, for the message of a test that fails."""
        broken = self.airflow.call("GET", "/importErrors")["import_errors"]
        lines = [f"{one['filename']}: {one['stack_trace'][-1000:]}" for one in broken]
        for dag in self.airflow.call("GET", "/dags?limit=200&paused=false")["dags"]:
            for run in self.airflow.runs(dag["dag_id"])[:3]:
                if run["state"] == "success":
                    continue
                tasks = self.tasks(dag["dag_id"], run["dag_run_id"])
                states = {name: f"{one['state']} (try {one['try_number']})" for name, one in tasks.items()}
                lines.append(f"{dag['dag_id']} {run['dag_run_id']} {run['state']}: {states}")
        logs = [f"--- the end of {server.log}\n{server.tail(15)}" for server in self.airflow.servers.values()]
        return "\n".join(lines + logs)

    def question(self, dag_id: str, run_id: str) -> dict[str, Any] | None:
        """Return what a person is asked in a run, None while nobody is, or after the answer."""
        task = self.tasks(dag_id, run_id).get("approve")
        if task is None or task["state"] != "awaiting_input":
            return None
        found = self.airflow.call("GET", self._question(dag_id, run_id))
        return None if found["response_received"] else found

    def answer(self, dag_id: str, run_id: str, chosen: str, *, by: Airflow, **form: Any) -> None:
        """Wait until a person is asked, and answer in the name of `by`.

        Not at once: as long as a busy scheduler has not taken note that the task waits, it takes one that goes on for
        lost, and a task that is tried again has to ask again.
        """
        self.wait(f"the question of {dag_id}", lambda: self.question(dag_id, run_id))
        time.sleep(0.5)  # what the task has printed is in the log by then
        patience = time.monotonic() + 10
        while not self.noted(dag_id, run_id) and time.monotonic() < patience:
            time.sleep(0.25)
        by.call("PATCH", self._question(dag_id, run_id), {"chosen_options": [chosen], "params_input": form})

    def noted(self, dag_id: str, run_id: str) -> bool:
        """Say whether the scheduler knows of each time that the task which asks has left its worker to wait."""
        asked = ("Pausing task as AWAITING_INPUT", f"dag_id={dag_id} ", f"run_id={run_id} ")
        place = f"dag_id='{dag_id}', task_id='approve', run_id='{run_id}'"
        left = ("Received executor event with state success", place)
        lines = self.component("scheduler").log.read_text(encoding="utf-8", errors="replace").splitlines()
        times, known = (sum(all(part in line for part in parts) for line in lines) for parts in (asked, left))
        return 0 < times <= known

    def settle(self, dag_id: str, run_id: str, chosen: str, *, by: Airflow, **form: Any) -> str:
        """Answer as often as it is asked, until the run has ended; returns its state."""

        def ended() -> str:
            if self.question(dag_id, run_id) is not None:
                self.answer(dag_id, run_id, chosen, by=by, **form)
            return state if (state := self.state(dag_id, run_id)) in ENDED else ""

        return str(self.wait(f"the end of {dag_id} {run_id}", ended))

    def _question(self, dag_id: str, run_id: str) -> str:
        return f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"

    def component(self, name: str) -> Server:
        """Return a running component of Airflow."""
        return self.airflow.servers[name]


def assert_whole(world: World, model: str, dataset: str | None = None) -> None:
    """Check that everything happened exactly once, and that ledger and MLflow agree."""
    dataset = dataset or model
    for kind in (Kind.ARRIVED, Kind.VALIDATED):
        seen = Counter(event.payload["partition"] for event in world.dataset_events(dataset, kind))
        assert seen == dict.fromkeys(PARTITIONS, 1)
    watched = Counter(event.payload["partition"] for event in world.events(model, Kind.WATCHED))
    assert watched == dict.fromkeys(PARTITIONS, 1)
    assert sum(event.payload["retrain"] for event in world.events(model, Kind.DECIDED)) == 1
    (judged,) = world.events(model, Kind.JUDGED)
    (promoted,) = world.events(model, Kind.PROMOTED)
    assert promoted.payload["version"] == judged.payload["version"]
    assert promoted.payload["run_id"] == judged.payload["run_id"]
    assert world.aliases(model) == {"champion": promoted.payload["version"]}
    assert {version["tags"]["retrain.training_key"] for version in world.versions(model)} == {
        judged.payload["training_key"]
    }
    assert not world.ledger.claims(prefix=f"model:{model}/", state=ClaimState.HELD)
    assert not world.ledger.claims(prefix=f"dataset:{dataset}/", state=ClaimState.HELD)
    assert world.ledger.verify().ok


def sample(partition: str, rows: int = 400) -> pd.DataFrame:
    """Return rows whose label follows from two numbers and a little noise; the same for the same partition."""
    rng = np.random.default_rng(sum(map(ord, partition)))
    x, y = rng.normal(size=rows), rng.normal(size=rows)
    return pd.DataFrame({"x": x, "y": y, "bought": (x + y + rng.normal(scale=0.7, size=rows) > 0).astype("int64")})


@contextlib.contextmanager
def running_world(
    root: Path,
    *,
    dags: Iterable[Path] = DAGS,
    extra: Mapping[str, str] | None = None,
    ledger_url: str | None = None,
    schedulers: int = 1,
    mlflow: bool = True,
) -> Iterator[World]:
    """Run everything for the time of the block.

    `extra` is added to the environment of Airflow. `ledger_url` is where its connection `retrain_ledger` leads; by
    default an SQLite file.
    """
    folder = root / "tests"
    shutil.copytree(HERE / "project", folder / "project")
    (root / "dags").mkdir()
    for path in dags:
        shutil.copy(path, root / "dags")
    paths = [str(HERE / "sabotage"), *filter(None, [os.environ.get("PYTHONPATH")])]
    execution_port = free_port()
    environment = {
        **QUICK,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{execution_port}/execution/",
        "PYTHONPATH": os.pathsep.join(paths),
        "SYSTEM_TESTS": str(folder),
        **(extra or {}),
    }
    settings = Settings(root / "servers", dags=root / "dags", extra=environment)
    notes = [folder / name for name in ("armed", "data", "held", "hold", "sprung")]
    for path in (settings.flights, settings.store, *notes):
        path.mkdir(parents=True)
    settings.write_passwords()
    passwords = settings.root / "airflow" / "passwords.json"
    passwords.write_text(json.dumps({**json.loads(passwords.read_text()), "second": settings.password}))
    env = settings.environment()
    airflow = Airflow(
        settings.airflow_url,
        settings.password,
        env,
        settings.root,
        execution_port=execution_port,
        schedulers=schedulers,
    )
    viewer, second = (
        Airflow(settings.airflow_url, settings.password, env, settings.root, user=user) for user in ("viewer", "second")
    )
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        migrated = pool.submit(airflow.migrate)
        ledger = Ledger.open(ledger_url or str(settings.ledger), migrate=True)
        stack.callback(ledger.close)
        world = World(settings, airflow, viewer, second, ledger, folder)
        stack.callback(world.stop_mlflow)
        if mlflow:
            world.start_mlflow()
        migrated.result()
        # A triggerer takes its time to end; nothing of what it still does is wanted.
        stack.callback(airflow.stop, seconds=5)
        airflow.start()
        airflow.wait()
        yield world
