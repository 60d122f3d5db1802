"""`make bench`: every measurement, one after another, each against its peer in the same run.

    python -m benchmarks [--only flights|judge|parse|validation|watchers] [--json FILE]

Compare only runs that had the machine to themselves; the load average at the start is printed with the numbers.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
console = Console()


def flights(folder: Path) -> dict[str, Any]:
    """Measure the demo against the same work as one plain script."""
    plain, loop = folder / "plain.json", folder / "loop.json"
    _run("benchmarks/flights_plain.py", "--json", str(plain))
    _run("-m", "scripts.demo", "--once", "--root", str(folder / "demo"), "--report", str(loop))
    script, demo = json.loads(plain.read_text()), json.loads(loop.read_text())
    year = demo["wall"] - demo["boot"]
    result = {
        "plain_wall_s": script["wall_seconds"],
        "demo_wall_s": round(demo["wall"], 1),
        "demo_boot_s": round(demo["boot"], 1),
        "ratio_whole": round(demo["wall"] / script["wall_seconds"], 2),
        "ratio_without_boot": round(year / script["wall_seconds"], 2),
        "demo_peak_mib": round(demo["peak_mib"]),
    }
    _show("A year of flights: make demo-once against one plain script (goal 1.5)", result)
    return result


def parse(folder: Path) -> dict[str, Any]:
    """Measure parsing a declaration against an empty Airflow DAG file."""
    return _measured("benchmarks.parse", folder)


def validation(folder: Path) -> dict[str, Any]:
    """Measure a validation against Great Expectations called directly, and against a scan."""
    return _measured("benchmarks.validation", folder)


def watchers(folder: Path) -> dict[str, Any]:
    """Measure watchers in a triggerer against Airflow's own."""
    return _measured("benchmarks.watchers", folder)


def judge(folder: Path) -> dict[str, Any]:
    """Measure how often the gate is wrong, beside the rule "the metric is higher"."""
    return _measured("benchmarks.judge", folder)


MEASUREMENTS = {"judge": judge, "parse": parse, "flights": flights, "validation": validation, "watchers": watchers}


def _measured(module: str, folder: Path) -> dict[str, Any]:
    """Run a module that writes its numbers as JSON."""
    target = folder / f"{module}.json"
    _run("-m", module, "--json", str(target))
    result: dict[str, Any] = json.loads(target.read_text())
    return result


def _run(*command: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, *command], cwd=ROOT, env=env, check=True)


def _show(title: str, result: dict[str, Any]) -> None:
    table = Table(title=title, show_header=False)
    for name, value in result.items():
        table.add_row(name, str(value))
    console.print(table)


def main() -> None:
    """Run the measurements and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=MEASUREMENTS, action="append")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    _show("Machine", machine)
    with tempfile.TemporaryDirectory(prefix="retrain-bench-") as folder:
        results = {name: MEASUREMENTS[name](Path(folder)) for name in options.only or MEASUREMENTS}
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, **results}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
