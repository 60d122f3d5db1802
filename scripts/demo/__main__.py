"""`make demo`: watch a model stay fresh, in a real Airflow.

python -m scripts.demo            the year, then the addresses, until Ctrl-C
python -m scripts.demo --once     the year, the table, the checks; exit code 1 if anything is off
"""

import argparse
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from include.flights import landing
from retrain.ledger import Ledger
from scripts.demo import checks, screen
from scripts.demo.settings import REPOSITORY, Settings
from scripts.demo.year import MODEL, Month, Year
from scripts.services.airflow import Airflow
from scripts.services.memory import PeakMemory
from scripts.services.mlflow import running_mlflow

# Says that a folder is ours to empty.
MARKER = ".retrain-demo"
DAGS = (f"{MODEL}.data", f"{MODEL}.train", f"{MODEL}.rollback")


def make_root(root: Path) -> None:
    """Empty the folder of an earlier demo; a folder with anything else in it is left alone."""
    if root.exists() and any(root.iterdir()) and not (root / MARKER).exists():
        raise RuntimeError(f"{root} is not empty and not the folder of a demo: name another one with --root")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / MARKER).touch()


@contextlib.contextmanager
def services(settings: Settings) -> Iterator[Airflow]:
    """Run MLflow, Airflow and the ledger's database for the time of the block."""
    make_root(settings.root)
    for folder in (settings.flights, settings.store):
        folder.mkdir(parents=True)
    settings.write_passwords()
    env = settings.environment()
    airflow = Airflow(settings.airflow_url, settings.password, env, settings.root)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        stack.callback(airflow.stop)
        started = pool.submit(lambda: (airflow.migrate(), airflow.start()))
        read = pool.submit(landing.month, landing.MONTHS[0])  # the year is read from its archive once
        Ledger.open(str(settings.ledger), migrate=True).close()
        stack.enter_context(
            running_mlflow(settings.root / "mlflow", password=settings.password, port=settings.mlflow_port)
        )
        started.result()
        airflow.wait()
        airflow.unpause(*DAGS)
        read.result()
        yield airflow


def run_year(settings: Settings, months: int) -> tuple[list[Month], Ledger]:
    """Let the months arrive, with live progress; returns what became of them."""
    ledger = Ledger.open(str(settings.ledger))
    year = Year(ledger, settings.flights, landing.MONTHS[:months])
    done: list[Month] = []
    with screen.progress() as display:
        bar = display.add_task("the year 2013", total=months, stage="")
        stop = threading.Event()

        def show() -> None:
            while not stop.wait(0.3):
                display.update(bar, stage=year.stage)

        watcher = threading.Thread(target=show, daemon=True)
        watcher.start()
        try:
            for month in year.land():
                done.append(month)
                display.console.print(screen.line(month))
                display.advance(bar)
        finally:
            stop.set()
            watcher.join()
    return done, ledger


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--once", action="store_true", help="stop after the year and its checks")
    parser.add_argument("--months", type=int, default=12, choices=range(2, 13), metavar="2..12")
    parser.add_argument("--root", type=Path, default=REPOSITORY / ".demo", help="where everything is kept")
    parser.add_argument("--report", type=Path, help="write what was measured as JSON")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped too
    begun = time.monotonic()
    settings = Settings(options.root.resolve())
    with PeakMemory() as memory, contextlib.ExitStack() as stack:
        with screen.console.status("Starting Airflow and MLflow ..."):
            airflow = stack.enter_context(services(settings))
        booted = time.monotonic() - begun
        screen.console.print(screen.addresses(settings))
        months, ledger = run_year(settings, options.months)
        took = time.monotonic() - begun
        screen.console.print(screen.table(months))
        found = checks.findings(settings, airflow, ledger, months, options.months)
        for finding in found:
            screen.console.print(f"[bold red]off:[/] {finding}")
        screen.console.print(
            f"{took:.0f} s in all, {booted:.0f} s of them to start the servers; peak memory {memory.mib:,.0f} MiB"
        )
        if options.report:
            measured = {
                "wall": took,
                "boot": booted,
                "peak_mib": memory.mib,
                "months": [vars(month) for month in months],
            }
            options.report.write_text(json.dumps(measured, indent=1), encoding="utf-8")
        ledger.close()
        if not options.once:
            _stay(settings)
    return 1 if found else 0


def _stay(settings: Settings) -> None:
    screen.console.print(screen.addresses(settings))
    screen.console.print("Land a file, ask for a retraining, roll back: everything goes on until Ctrl-C.")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as error:
        screen.console.print(f"[bold red]The demo failed:[/] {error}", markup=True)
        sys.exit(1)
