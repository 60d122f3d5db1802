"""What waiting costs: many watchers in one real triggerer, beside as many of Airflow's own at the same interval.

    python -m benchmarks.watchers [--counts 10,100,1000] [--interval 5] [--rest 60] [--json FILE]

Four kinds of watcher: retrain's `PartitionArrivalTrigger`, each on a folder of its own (`apart`) or all on one folder,
each with a template of its own (`together`); and their peers in Airflow's standard provider, `FileDeleteTrigger` and
`DirectoryFileDeleteTrigger` (whose siblings share a listing, too). Each case is an Airflow of its own: a fresh SQLite
database, the DAG processor until it has registered the watchers, then the triggerer alone. No scheduler and no executor
runs, so there is no worker that could hold a slot.

Reported per case: proportional memory (PSS) of the triggerer's processes and what a watcher adds; CPU seconds in a
minute at rest; from a file's appearance to the asset event in the database (median, 95%, slowest); from the triggerer's
start until every watcher has fired for what lay there.
"""

import argparse
import contextlib
import json
import os
import platform
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.services.processes import Server, start, wait_for

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("retrain apart", "airflow apart", "retrain together", "airflow together")
PARTITIONS = 12  # finished files that lie in each folder of `retrain apart`
ARRIVALS = 40
DAG = '''"""An Airflow DAG that is woken by many watchers."""
import os
from functools import reduce
from operator import or_
from airflow.providers.standard.triggers.file import DirectoryFileDeleteTrigger, FileDeleteTrigger
from airflow.sdk import DAG, Asset, AssetWatcher, BaseOperator
from retrain.triggers.arrival import PartitionArrivalTrigger

kind, count = os.environ["BENCHMARK_KIND"], int(os.environ["BENCHMARK_COUNT"])
folder, interval = os.environ["BENCHMARK_FEED"], float(os.environ["BENCHMARK_INTERVAL"])

def trigger(number):
    if kind == "retrain apart":
        return PartitionArrivalTrigger(f"{folder}/{number}/{{partition}}.parquet", interval)
    if kind == "retrain together":
        return PartitionArrivalTrigger(f"{folder}/{number}-{{partition}}.parquet", interval)
    if kind == "airflow apart":
        return FileDeleteTrigger(f"{folder}/{number}/flag", interval)
    return DirectoryFileDeleteTrigger(directory=folder, filename=f"{number}-flag", poke_interval=interval)

assets = [
    Asset(name=f"feed-{number}", watchers=[AssetWatcher(name=f"feed-{number}", trigger=trigger(number))])
    for number in range(count)
]
with DAG("woken", schedule=reduce(or_, assets, Asset(name="none")), catchup=False):
    BaseOperator(task_id="nothing")
'''


@dataclass(frozen=True)
class Case:
    """One measurement. `kind` is one of KINDS; with no watchers, the triggerer at idle."""

    kind: str
    count: int


@dataclass
class Bench:
    """An Airflow in a folder of its own: database, DAG, and the folder that is watched."""

    case: Case
    root: Path
    interval: float

    @property
    def feed(self) -> Path:
        """The folder in which files arrive."""
        return self.root / "feed"

    @property
    def database(self) -> Path:
        """Airflow's metadata."""
        return self.root / "airflow.db"

    @property
    def env(self) -> dict[str, str]:
        """The environment of its processes."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        return {
            **inherited,
            "AIRFLOW_HOME": str(self.root),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.root / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}?timeout=60",
            "AIRFLOW__TRIGGERER__CAPACITY": "5000",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "600",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
            "BENCHMARK_KIND": self.case.kind,
            "BENCHMARK_COUNT": str(self.case.count),
            "BENCHMARK_FEED": str(self.feed),
            "BENCHMARK_INTERVAL": str(self.interval),
            "DO_NOT_TRACK": "true",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "operators"), str(ROOT)]),
        }

    def prepare(self, template: Path) -> None:
        """Lay out folders and files; the database is a copy of a migrated one."""
        (self.root / "dags").mkdir(parents=True)
        (self.root / "dags" / "woken.py").write_text(DAG, encoding="utf-8")
        shutil.copy(template, self.database)
        self.feed.mkdir()
        for number in range(self.case.count):
            if self.case.kind.endswith("apart"):
                (self.feed / str(number)).mkdir()
            if self.case.kind == "retrain apart":
                for month in range(PARTITIONS):
                    (self.feed / str(number) / f"2023-{month + 1:02}.parquet").write_text("rows")
            else:
                self.target(number, "2023-01").write_text("rows")  # each fires once before it is measured

    def command(self, *arguments: str) -> Server:
        """Start a component."""
        log = self.root / f"{arguments[0]}.log"
        return start(arguments[0], [sys.executable, "-m", "airflow", *arguments], env=self.env, cwd=self.root, log=log)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60)) as connection:
            return connection.execute(statement, values).fetchall()

    def number(self, statement: str, *values: Any) -> int:
        """Read one number."""
        return int(self.query(statement, *values)[0][0])

    def target(self, number: int, partition: str) -> Path:
        """Return the file for which watcher `number` waits."""
        own = self.feed / str(number)
        return {
            "retrain apart": own / f"{partition}.parquet",
            "airflow apart": own / "flag",
            "retrain together": self.feed / f"{number}-{partition}.parquet",
            "airflow together": self.feed / f"{number}-flag",
        }[self.case.kind]

    def land(self, number: int) -> float:
        """Let the file appear for which watcher `number` waits; returns when it did."""
        target = self.target(number, str(time.time_ns()))
        hidden = target.with_name(f".{target.name}.tmp")
        hidden.write_text("rows")
        hidden.replace(target)
        return time.time()


@contextlib.contextmanager
def running(bench: Bench, *arguments: str) -> Iterator[Server]:
    """Run a component for the time of the block."""
    server = bench.command(*arguments)
    try:
        yield server
    finally:
        server.stop(30)


def measure(case: Case, template: Path, root: Path, interval: float, rest: float) -> dict[str, Any]:
    """Measure one case."""
    bench = Bench(case, root, interval)
    bench.prepare(template)
    with running(bench, "dag-processor") as processor:
        wait_for(
            "the watchers to be registered",
            lambda: (
                bench.number("select count(*) from asset_watcher") == case.count
                and bench.number("select count(*) from serialized_dag") == 1
            ),
            [processor],
            seconds=900,
            pause=0.5,
        )
    began = time.monotonic()
    with running(bench, "triggerer", "--skip-serve-logs") as triggerer:
        _settled(bench, triggerer)
        looked = time.monotonic() - began
        time.sleep(2 * interval + 5)
        result = {**asdict(case), "look_everywhere_s": round(looked, 1), **_at_rest(triggerer, rest)}
        result["seconds_to_event"] = _latency(bench, triggerer) if case.count else None
        result["task_instances"] = bench.number("select count(*) from task_instance")
        result["triggers_running"] = bench.number('select count(*) from "trigger" where triggerer_id is not null')
    return result


def _settled(bench: Bench, triggerer: Server) -> None:
    """Wait until every watcher has looked once and fired for what lay there."""
    count = bench.case.count

    def ready() -> bool:
        if not count:
            return "Starting the triggerer" in triggerer.log.read_text(errors="replace")
        return bench.number("select count(*) from asset_event") >= count

    wait_for("the watchers to look", ready, [triggerer], seconds=900, pause=0.5)


def _at_rest(triggerer: Server, seconds: float) -> dict[str, float]:
    """Return memory (MiB) and CPU seconds per minute of the triggerer's processes while nothing arrives."""
    cpu, began = _cpu(triggerer.process.pid), time.monotonic()
    memory = []
    while time.monotonic() - began < seconds:
        time.sleep(min(5.0, seconds))
        memory.append(sum(_pss_mib(pid) for pid in _tree(triggerer.process.pid)))
    spent = _cpu(triggerer.process.pid) - cpu
    return {
        "pss_mib": round(statistics.median(memory), 1),
        "cpu_s_per_minute": round(60 * spent / (time.monotonic() - began), 2),
    }


def _latency(bench: Bench, triggerer: Server) -> dict[str, float]:
    """Let files arrive at random moments, and see when their asset events are in the database."""
    rng = random.Random(1)
    before = bench.number("select coalesce(max(id), 0) from asset_event")
    landed: dict[str, float] = {}
    for number in rng.sample(range(bench.case.count), min(ARRIVALS, bench.case.count)):
        landed[f"feed-{number}"] = bench.land(number)
        time.sleep(rng.uniform(0, bench.interval / 4))
    told = (
        "select asset.name, min(asset_event.timestamp) from asset_event join asset on asset.id = asset_event.asset_id "
        "where asset_event.id > ? group by asset.name"
    )
    wait_for("the arrivals' events", lambda: len(bench.query(told, before)) >= len(landed), [triggerer], seconds=300)
    waited = sorted(_moment(at) - landed[name] for name, at in bench.query(told, before) if name in landed)
    return {
        "median": round(statistics.median(waited), 2),
        "p95": round(waited[min(len(waited) - 1, int(0.95 * len(waited)))], 2),
        "slowest": round(waited[-1], 2),
        "arrivals": len(waited),
    }


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _tree(leader: int) -> set[int]:
    """Return a process and its descendants."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    tree = {leader}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return tree


def _pss_mib(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _cpu(leader: int) -> float:
    """Return the CPU seconds of a process and its descendants so far."""
    ticks = 0
    for pid in _tree(leader):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def migrated(root: Path) -> Path:
    """Make one migrated database, for every case to copy."""
    bench = Bench(Case("idle", 0), root, 1.0)
    (root / "dags").mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], env=bench.env, cwd=root, check=True, capture_output=True
    )
    return bench.database


def compared(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Set each of retrain's cases against Airflow's at the same count and interval."""
    found = {(one["kind"], one["count"]): one for one in results}
    ratios = []
    for (kind, count), ours in found.items():
        peer = found.get((kind.replace("retrain", "airflow"), count))
        if not kind.startswith("retrain") or peer is None:
            continue
        ratios.append(
            {
                "how": kind.split()[1],
                "count": count,
                "memory": round(ours["pss_mib"] / peer["pss_mib"], 2),
                "cpu": round(ours["cpu_s_per_minute"] / peer["cpu_s_per_minute"], 2),
                "median_latency": round(ours["seconds_to_event"]["median"] / peer["seconds_to_event"]["median"], 2),
            }
        )
    return ratios


def added(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return KiB that a watcher adds, by kind: between the fewest and the most, so without what the first one loads."""
    kib = {}
    for kind in KINDS:
        cases = sorted((one for one in results if one["kind"] == kind), key=lambda one: one["count"])
        if len(cases) > 1:
            few, many = cases[0], cases[-1]
            kib[kind] = round(1024 * (many["pss_mib"] - few["pss_mib"]) / (many["count"] - few["count"]), 1)
    return kib


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watchers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--counts", default="10,100,1000", help="how many watchers, comma-separated")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {KINDS}, comma-separated")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two looks (Airflow's default)")
    parser.add_argument("--rest", type=float, default=60.0, help="seconds at rest that are measured")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()}
    cases = [Case("idle", 0)]
    cases += [Case(kind, int(count)) for count in options.counts.split(",") for kind in options.kinds.split(",")]
    results = []
    with tempfile.TemporaryDirectory(prefix="retrain-watchers-") as folder:
        template = migrated(Path(folder, "template"))
        print(f"{'':18} {'watchers':>8} {'memory':>10} {'CPU-s/min':>10} {'file to event, s':>22} {'first round':>12}")
        for number, case in enumerate(cases):
            one = measure(case, template, Path(folder, str(number)), options.interval, options.rest)
            one["load"] = os.getloadavg()[0]
            results.append(one)
            late = one["seconds_to_event"]
            times = f"{late['median']} / {late['p95']} / {late['slowest']}" if late else ""
            print(
                f"{case.kind:18} {case.count:>8} {one['pss_mib']:>6.0f} MiB {one['cpu_s_per_minute']:>10} {times:>22} "
                f"{one['look_everywhere_s']:>10} s",
                flush=True,
            )
    ratios, kib = compared(results), added(results)
    for one in ratios:
        print(
            f"{one['count']} {one['how']}, retrain by Airflow: memory {one['memory']}, CPU {one['cpu']}, "
            f"latency {one['median_latency']}"
        )
    print(f"KiB that a watcher adds: {kib}")
    if options.json:
        document = {
            "machine": machine,
            "interval": options.interval,
            "cases": results,
            "retrain_by_airflow": ratios,
            "kib_a_watcher": kib,
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
