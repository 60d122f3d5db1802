"""Waiting in a real Airflow: workers, scheduler, triggerer, and connections that lie in its database."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from scripts.demo.settings import Settings
from scripts.services.airflow import Airflow
from scripts.services.processes import free_port, wait_for

pytestmark = pytest.mark.integration

DAGS = Path(__file__).parent / "dags"
ENDED = {"success", "failed", "skipped", "upstream_failed"}


class Waits:
    """An Airflow whose DAGs wait, the folder in which files arrive, and the table in which rows do."""

    def __init__(self, root: Path) -> None:
        self.feed = root / "feed"
        self.feed.mkdir()
        self.database = root / "shop.db"
        (root / "dags").mkdir()
        (root / "dags" / "waits.py").write_text((DAGS / "waits.py").read_text(encoding="utf-8"), encoding="utf-8")
        execution_port = free_port()
        extra = {
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{execution_port}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__MP_FORKSERVER_PRELOAD": "airflow,airflow.executors.local_executor",
            "AIRFLOW__RETRAIN__POLL_INTERVAL_SECONDS": "1",
            "WAITS_FEED": str(self.feed),
        }
        settings = Settings(root / "servers", dags=root / "dags", extra=extra)
        settings.write_passwords()
        self.settings = settings
        self.airflow = Airflow(
            settings.airflow_url,
            settings.password,
            settings.environment(),
            settings.root,
            execution_port=execution_port,
        )

    def start(self) -> None:
        self.execute("create table orders (id integer primary key, day text)")
        self.airflow.migrate()
        self.airflow.start()
        self.airflow.wait()
        self.connect("shop", conn_type="sqlite", host=str(self.database))
        self.connect(
            "this_airflow",
            conn_type="http",
            host="127.0.0.1",
            port=self.settings.airflow_port,
            login="admin",
            password=self.settings.password,
        )
        self.airflow.unpause("waits", "woken_by_rows", "woken_by_event", "produces")

    def connect(self, connection_id: str, **fields: Any) -> None:
        """Put a connection into Airflow's database: nothing of it is in any environment."""
        self.airflow.call("POST", "/connections", {"connection_id": connection_id, **fields})

    def execute(self, statement: str) -> None:
        engine = sa.create_engine(f"sqlite:///{self.database}", poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text(statement))

    def land(self, name: str) -> None:
        unfinished = self.feed / f".{name}.tmp"
        unfinished.write_text("rows")
        unfinished.replace(self.feed / f"{name}.csv")

    def tell(self, name: str, **extra: Any) -> None:
        """Give an asset an event."""
        found = self.airflow.call("GET", f"/assets?name_pattern={name}")["assets"]
        (asset,) = [one for one in found if one["name"] == name]
        self.airflow.call("POST", "/assets/events", {"asset_id": asset["id"], "extra": extra})

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        return {one["task_id"]: one for one in self.airflow.task_instances("waits", run_id)}

    def lost(self, task_id: str) -> int:
        """Count the tries that Airflow took for lost: in the queue again before it read that the last one ended."""
        text = self.airflow.servers["scheduler"].log.read_text(encoding="utf-8", errors="replace")
        return text.count(f"reported that the task instance <TaskInstance: waits.{task_id} ")

    def returned(self, run_id: str, task_id: str) -> Any:
        path = f"/dags/waits/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value?deserialize=true"
        return self.airflow.call("GET", path)["value"]

    def until(self, what: str, ready: Any, seconds: float = 300) -> None:
        wait_for(what, ready, list(self.airflow.servers.values()), seconds=seconds, pause=0.5)


@pytest.fixture(scope="module")
def waits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waits]:
    made = Waits(tmp_path_factory.mktemp("waits"))
    try:
        made.start()
        yield made
    finally:
        made.airflow.stop(seconds=5)


@pytest.fixture(scope="module")
def run_id(waits: Waits) -> str:
    """Run the DAG that waits; let what it waits for arrive when every task has looked and nothing was there."""
    started = waits.airflow.trigger("waits")

    seen: set[str] = set()

    def all_have_waited() -> bool:
        """Note who waits; those that visit a worker now and then are seldom seen outside all at once."""
        states = {name: one["state"] for name, one in waits.tasks(started).items()}
        waiting = {name for name in states if name.endswith(("_file", "_rows", "_growing", "_event"))}
        assert len(waiting) == 9
        state = {"deferred": "deferred", "reschedule": "up_for_reschedule", "poke": "running"}
        seen.update(name for name in waiting if states[name] == state[name.split("_")[0]])
        return seen == waiting

    waits.until("all to wait", all_have_waited)
    waits.land("tue")
    waits.tell("upstream", day="sun")
    time.sleep(3)
    early = {name for name, one in waits.tasks(started).items() if one["state"] == "success"}
    assert not early, f"these did not wait: {early}"
    waits.land("mon")
    waits.execute("insert into orders values (1, 'mon'), (2, 'mon')")
    waits.tell("upstream", day="mon")
    waits.until("the end", lambda: all(one["state"] in ENDED for one in waits.tasks(started).values()))
    return started


def test_what_was_waited_for_is_found_in_every_way(waits: Waits, run_id: str) -> None:
    states = {
        name: one["state"] for name, one in waits.tasks(run_id).items() if "late" not in name and "broken" not in name
    }
    assert states == dict.fromkeys(states, "success")
    assert len(states) == 9
    file = waits.returned(run_id, "poke_file")
    assert (file["partition"], file["uri"]) == ("mon", (waits.feed / "mon.csv").as_uri())
    assert waits.returned(run_id, "reschedule_file") == waits.returned(run_id, "deferred_file") == file
    rows = waits.returned(run_id, "poke_rows")
    assert (rows["partition"], rows["size"]) == ("mon", 2)
    assert waits.returned(run_id, "reschedule_rows") == waits.returned(run_id, "deferred_rows") == rows
    assert waits.returned(run_id, "deferred_growing")["size"] == 2
    event = waits.returned(run_id, "reschedule_event")
    assert event["extra"]["day"] == "mon"
    assert waits.returned(run_id, "deferred_event") == event


@pytest.mark.parametrize(("kind", "state"), [("late", "failed"), ("late_soft", "skipped"), ("broken", "failed")])
def test_what_never_comes_ends_in_the_same_state_in_every_way_and_without_a_retry(
    waits: Waits, run_id: str, kind: str, state: str
) -> None:
    for way in ("poke", "reschedule", "deferred"):
        task = waits.tasks(run_id)[f"{way}_{kind}"]
        assert (way, task["state"]) == (way, state)
        assert task["try_number"] <= 1 + waits.lost(f"{way}_{kind}"), way


def test_new_rows_and_another_airflows_events_wake_dags_through_watchers(waits: Waits, run_id: str) -> None:
    for dag_id in ("woken_by_rows", "woken_by_event"):
        waits.until(f"{dag_id} to be woken", lambda dag_id=dag_id: waits.airflow.runs(dag_id))


def test_a_restarted_triggerer_does_not_wake_for_what_was_told(waits: Waits, run_id: str) -> None:
    waits.until("the wake-up", lambda: waits.airflow.runs("woken_by_rows"))
    time.sleep(5)  # what was told of is written down at the look after
    before = len(waits.airflow.runs("woken_by_rows"))
    waits.airflow.servers["triggerer"].kill()
    waits.airflow.start("triggerer")
    waits.airflow.wait("triggerer")
    time.sleep(10)
    assert len(waits.airflow.runs("woken_by_rows")) == before
    waits.execute("insert into orders values (3, 'tue')")
    waits.until("the next wake-up", lambda: len(waits.airflow.runs("woken_by_rows")) > before)
