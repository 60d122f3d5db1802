"""Two schedulers, a triggerer, and SIGKILL for each of them while files land: nothing is lost, nothing done twice.

Airflow's metadata and the ledger lie in PostgreSQL, which two schedulers need. Files are written, corrected and written
once more; asset events are doubled by hand and merged by Airflow; every server that has a part in waking the loop is
killed and started again, several times, with files landing in between.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from retrain.data import storage
from retrain.ledger import ClaimState
from retrain.loop.facts import pending_partitions
from retrain.loop.streams import Kind, partition_key
from retrain.records import ModelSpec
from tests.support.postgresql import running_postgresql
from tests.system.forwarder import Forwarder
from tests.system.world import ENDED, HERE, World, running_world, sample

pytest.importorskip("asyncpg", reason="Airflow on PostgreSQL needs asyncpg")
pytestmark = pytest.mark.timeout(1800)

MODEL = "landing"
DATA_DAG = f"{MODEL}.data"
FILES = 500
SECONDS_BETWEEN_FILES = 0.2
# After so many files a server dies, and is started again when five more have landed.
KILLS = {
    60: "triggerer", 120: "scheduler", 180: "triggerer", 240: "scheduler-2", 300: "triggerer", 360: "scheduler",
    420: "triggerer", 480: "scheduler-2",
}  # fmt: skip
FILES_WHILE_DEAD = 5
CORRECTED = range(10, 410, 10)
REPLACED_AT_ONCE = range(5, 205, 10)
WRITTEN_AGAIN = range(7, 407, 10)
# Only what ingesting imports, so that a scheduler which is started again is soon there.
PRELOAD = "airflow,airflow.executors.local_executor,great_expectations,pyarrow.parquet,scipy.stats"


def name_of(number: int) -> str:
    """Return the name of a partition."""
    return f"p{number:03d}"


def names(numbers: Iterable[int]) -> set[str]:
    """Return the names of partitions."""
    return {name_of(number) for number in numbers}


@dataclass
class Feed:
    """What was written, in order: the independent record that the ledger is compared with."""

    world: World
    metadata: sa.Engine
    digests: dict[str, list[str]] = field(default_factory=dict)
    doubled: int = 0
    to_correct: set[int] = field(default_factory=lambda: set(CORRECTED))
    to_write_again: set[int] = field(default_factory=lambda: set(WRITTEN_AGAIN))

    def write(self, number: int, seed: int = 0) -> None:
        """Write a partition's file; the same bytes for the same seed."""
        name = name_of(number)
        first = 1000 * seed + number
        frame = pd.DataFrame({**sample("2024-01", 20), "row": range(first, first + 20)})
        path = self.world.land(MODEL, name, frame=frame)
        digest = storage.fingerprint(path).digest
        known = self.digests.setdefault(name, [])
        if digest not in known:
            known.append(digest)

    def has(self, kind: Kind, number: int) -> bool:
        """Say whether the first version of a partition has arrived in the ledger, or was consumed."""
        stream = f"{'model' if kind is Kind.WATCHED else 'dataset'}:{MODEL}"
        return self.world.ledger.get(stream, kind, partition_key(name_of(number), 1)) is not None

    def come_back(self) -> bool:
        """Correct what was consumed and write again what has arrived; say whether that is all done."""
        for number in sorted(self.to_correct):
            if self.has(Kind.WATCHED, number):
                self.write(number, seed=1)
                self.to_correct.discard(number)
        for number in sorted(self.to_write_again):
            if self.has(Kind.ARRIVED, number):
                self.write(number)
                self.to_write_again.discard(number)
        return not self.to_correct | self.to_write_again

    def double_an_event(self, asset: int) -> None:
        """Tell Airflow twice that something arrived."""
        for _ in range(2):
            self.world.airflow.call("POST", "/assets/events", {"asset_id": asset})
            self.doubled += 1

    def reported(self) -> tuple[int, int]:
        """Count the schedulers and the triggerers that have reported to Airflow's database, dead or alive."""
        with self.metadata.connect() as connection:
            query = "SELECT count(*) FROM job WHERE job_type = :kind"
            schedulers, triggerers = (
                connection.execute(sa.text(query), {"kind": kind}).scalar_one()
                for kind in ("SchedulerJob", "TriggererJob")
            )
        return schedulers, triggerers


@dataclass(frozen=True)
class Aftermath:
    """The world after everything has landed and been consumed."""

    world: World
    feed: Feed
    spec: ModelSpec


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, sa.Engine]]:
    """Airflow with two schedulers on PostgreSQL, and the engine of its metadata."""
    with running_postgresql("airflow", "ledger") as server:
        port = Forwarder(Path(str(server.query["host"])) / ".s.PGSQL.5432")
        metadata = server.set(database="airflow")
        ledger = {"host": "127.0.0.1", "port": port.port, "login": server.username, "schema": "ledger"}
        extra = {
            "AIRFLOW__CORE__MP_FORKSERVER_PRELOAD": PRELOAD,
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata.render_as_string(hide_password=False),
            "AIRFLOW_CONN_RETRAIN_LEDGER": json.dumps({"conn_type": "retrain_ledger", **ledger}),
        }
        ledger_url = server.set(database="ledger").render_as_string(hide_password=False)
        engine = sa.create_engine(metadata, poolclass=sa.NullPool)
        root = tmp_path_factory.mktemp("city")
        dags = [HERE / "dags" / "landing.py"]
        with (
            closing(port),
            running_world(root, dags=dags, extra=extra, ledger_url=ledger_url, schedulers=2, mlflow=False) as world,
        ):
            port.open()
            yield world, engine


@pytest.fixture(scope="module")
def aftermath(city: tuple[World, sa.Engine]) -> Aftermath:
    """Let 500 files land, kill what can be killed meanwhile, and wait until the loop has nothing left to do."""
    world, metadata = city
    feed = Feed(world, metadata)
    world.airflow.unpause(DATA_DAG)
    (asset,) = world.airflow.call("GET", f"/assets?uri_pattern=arrivals/{MODEL}")["assets"]
    for number in range(FILES):
        land(feed, number, asset["id"])
        time.sleep(SECONDS_BETWEEN_FILES)
    world.wait("the files to be corrected and written again", feed.come_back, seconds=900, pause=2)
    spec = declaration(world)
    world.wait("all to be consumed", lambda: not unregistered(feed) and at_rest(world, spec), seconds=900, pause=2)
    return Aftermath(world, feed, spec)


def land(feed: Feed, number: int, asset: int) -> None:
    """Land the next file, and do what else is due."""
    airflow = feed.world.airflow
    feed.write(number)
    if number in REPLACED_AT_ONCE:
        feed.write(number, seed=2)
    if number % 20 == 0:
        feed.double_an_event(asset)
        feed.come_back()
    if number in KILLS:
        before = Counter(name.partition("-")[0] for at, name in KILLS.items() if at < number)
        expected = (2 + before["scheduler"], 1 + before["triggerer"])
        feed.world.wait("all who were killed to be back", lambda: feed.reported() == expected, pause=1)
        airflow.servers[KILLS[number]].kill()
    elif name := KILLS.get(number - FILES_WHILE_DEAD):
        airflow.start(name)


def declaration(world: World) -> ModelSpec:
    """Return the declaration, as far as what is pending depends on it."""
    data = f"file://{world.folder}/data/{MODEL}/{{partition}}.parquet"
    return ModelSpec(
        model=MODEL, dataset=MODEL, data=data, target="bought", train="shop.train:fit", metric="roc_auc",
        project_root=str(world.folder / "project"),
    )  # fmt: skip


def consumed(world: World) -> Counter[str]:
    """Count how often each partition version was consumed."""
    return Counter(event.key for event in world.events(MODEL, Kind.WATCHED))


def arrived(world: World) -> dict[str, list[str]]:
    """Return the digests of each partition in the order of its versions."""
    versions: dict[str, dict[int, str]] = {}
    for event in world.dataset_events(MODEL, Kind.ARRIVED):
        versions.setdefault(event.payload["partition"], {})[event.payload["version"]] = event.payload["digest"]
    return {name: [of[version] for version in sorted(of)] for name, of in versions.items()}


def unregistered(feed: Feed) -> set[str]:
    """Return the partitions whose newest bytes the ledger does not know yet."""
    known = arrived(feed.world)
    return {name for name, digests in feed.digests.items() if known.get(name, [None])[-1] != digests[-1]}


def at_rest(world: World, spec: ModelSpec) -> bool:
    """Say whether nothing is pending and no run goes on."""
    return not pending_partitions(world.ledger, spec) and all(
        run["state"] in ENDED for run in world.airflow.runs(DATA_DAG)
    )


def test_every_file_is_registered_once_with_its_own_bytes(aftermath: Aftermath) -> None:
    known = arrived(aftermath.world)
    replaced = names(REPLACED_AT_ONCE)
    assert len(known) == FILES
    # What was replaced within a moment may have been seen with its first bytes, or not.
    assert {name: digests for name, digests in known.items() if name not in replaced} == {
        name: digests for name, digests in aftermath.feed.digests.items() if name not in replaced
    }
    for name in replaced:
        assert known[name] in (aftermath.feed.digests[name], aftermath.feed.digests[name][1:])
    keys = Counter(event.key for event in aftermath.world.dataset_events(MODEL, Kind.ARRIVED))
    assert set(keys.values()) == {1}
    assert set(keys) == {partition_key(name, v) for name, of in known.items() for v in range(1, len(of) + 1)}


def test_every_partition_version_is_consumed_exactly_once(aftermath: Aftermath) -> None:
    world = aftermath.world
    known = arrived(world)
    validated = Counter(event.key for event in world.dataset_events(MODEL, Kind.VALIDATED))
    assert validated == consumed(world)
    assert set(validated.values()) == {1}
    newest = {partition_key(name, len(digests)) for name, digests in known.items()}
    # A version that was replaced before anybody looked at it is not looked at any more.
    superseded = {partition_key(name, 1) for name in names(REPLACED_AT_ONCE)} - newest
    first = {partition_key(name, 1) for name in names(CORRECTED)}
    assert newest | first <= set(validated)
    assert set(validated) <= newest | first | superseded


def test_corrected_files_are_a_second_version_and_the_same_bytes_are_none(aftermath: Aftermath) -> None:
    known = arrived(aftermath.world)
    assert {name for name, digests in known.items() if len(digests) == 2} >= names(CORRECTED)
    again = names(WRITTEN_AGAIN)
    assert all(len(known[name]) == 1 for name in again)
    seen = {event.payload["partition"] for event in aftermath.world.dataset_events(MODEL, Kind.SEEN)}
    assert seen
    assert seen <= again


def test_each_verdict_is_on_the_bytes_that_arrived(aftermath: Aftermath) -> None:
    known = arrived(aftermath.world)
    replaced = names(REPLACED_AT_ONCE)
    for event in aftermath.world.dataset_events(MODEL, Kind.VALIDATED):
        payload = event.payload
        if payload["status"] == "pass":
            assert payload["accepted"]["digest"] == known[payload["partition"]][payload["version"] - 1]
            assert payload["rows"] == 20
        else:  # replaced between the two looks at it: not judged under another's digest
            assert (payload["partition"] in replaced, payload["version"]) == (True, 1)


def test_nothing_is_left_over(aftermath: Aftermath) -> None:
    world = aftermath.world
    assert pending_partitions(world.ledger, aftermath.spec) == []
    assert not world.ledger.claims(state=ClaimState.HELD)
    done = [claim.work for claim in world.ledger.claims(state=ClaimState.DONE)]
    keys = consumed(world)
    assert Counter(work.rpartition("/")[2] for work in done) == dict.fromkeys(keys, 2)
    assert world.ledger.verify().ok


def test_the_disturbances_took_place(aftermath: Aftermath) -> None:
    """Otherwise the other tests would prove little."""
    queries = {
        "events": "SELECT count(*) FROM asset_event",
        "watched": "SELECT count(*) FROM asset_event WHERE extra ->> 'from_trigger' = 'true'",
        "runs": f"SELECT count(*) FROM dag_run WHERE dag_id = '{DATA_DAG}'",
        # A task instance tells of its last try only.
        "schedulers": "SELECT count(DISTINCT queued_by_job_id) FROM (SELECT queued_by_job_id FROM task_instance "
        "UNION SELECT queued_by_job_id FROM task_instance_history) tries",
        "died": "SELECT count(*) FROM job WHERE job_type = 'SchedulerJob' AND state <> 'running'",
        "retried": "SELECT count(*) FROM task_instance WHERE try_number > 1",
    }
    with aftermath.feed.metadata.connect() as connection:
        found = {name: connection.execute(sa.text(query)).scalar_one() for name, query in queries.items()}
    kills = Counter(name.partition("-")[0] for name in KILLS.values())
    assert aftermath.feed.reported() == (2 + kills["scheduler"], 1 + kills["triggerer"])
    assert aftermath.feed.doubled == 2 * len(range(0, FILES, 20))
    assert found["watched"] >= 1 + kills["triggerer"], "every triggerer noticed something"
    assert found["runs"] < found["events"], "events were merged"
    assert found["schedulers"] > 2, "also schedulers that were started in the place of dead ones had tasks"
    assert found["died"] >= kills["scheduler"]
    assert found["retried"] > 0, "tasks died with their scheduler and were tried again"
