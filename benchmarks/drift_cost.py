"""What profiling and comparing costs, against a bare scan of the same Parquet files and Evidently's DataDriftPreset.

    python -m benchmarks.drift_cost [--quick] [--json FILE]

Every measurement runs in a process of its own: CPU seconds without the imports, and peak memory. `scan` is without a
limit of memory; `profiles` are those of both files, `ours` the verdict too, `monitoring` one profile and the verdict.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Screen

# rows, columns, whether Evidently is asked too
SHAPES = [(100_000, 20, True), (1_000_000, 20, True), (10_000_000, 20, False), (100_000, 500, False)]
QUICK = [(100_000, 20, True)]
ROW_GROUP = 250_000


def write(path: Path, rows: int, columns: int, seed: int) -> None:
    """Write a table of numbers, integers, flags and levels in equal parts of five, two, one and two tenths."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = np.random.default_rng(seed)
    writer = None
    for start in range(0, rows, ROW_GROUP):
        size = min(ROW_GROUP, rows - start)
        table = {f"c{index}": _column(index % 10, size, generator) for index in range(columns)}
        part = pa.table(table)
        writer = writer or pq.ParquetWriter(path, part.schema)
        writer.write_table(part)
    if writer:
        writer.close()


def _column(kind: int, rows: int, generator: Any) -> Any:
    import numpy as np

    if kind < 4:
        return generator.normal(kind, 1, rows)
    if kind == 4:
        return generator.lognormal(0, 1, rows)
    if kind < 7:
        return generator.poisson(5 if kind == 5 else 500, rows)
    if kind == 7:
        return generator.random(rows) < 0.3
    levels = 12 if kind == 8 else 300
    return np.array([f"level {level}" for level in range(levels)])[generator.integers(0, levels, rows)]


def scan(reference: str, current: str) -> Any:
    """Count, least and greatest value of every column of both files, by DuckDB."""
    import duckdb

    connection = duckdb.connect()
    started = time.process_time()
    for path in (reference, current):
        names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()]
        asked = ", ".join(f"count({name}), min({name}), max({name})" for name in names)
        connection.execute(f"SELECT {asked} FROM '{path}'").fetchall()
    return time.process_time() - started, None


def _libraries() -> None:
    """Import what `drift` imports at its first call, so that the time is without the imports as in the other rows."""
    import duckdb  # noqa: F401
    import fsspec.implementations.local  # noqa: F401
    import pandas as pd  # noqa: F401
    import pyarrow.parquet  # noqa: F401


def profiling(reference: str, current: str) -> Any:
    """Profile both files."""
    _libraries()
    from retrain import drift

    started = time.process_time()
    for path in (reference, current):
        drift.profile(path)
    return time.process_time() - started, None


def ours(reference: str, current: str) -> Any:
    """Profile both files and compare."""
    _libraries()
    import scipy.stats  # noqa: F401
    import sklearn.ensemble  # noqa: F401

    from retrain import drift

    started = time.process_time()
    verdict = drift.compare(drift.profile(reference), drift.profile(current))
    return time.process_time() - started, verdict.status


def monitoring(reference: str, current: str) -> Any:
    """Profile the current file only and compare it with the stored profile."""
    _libraries()
    import scipy.stats  # noqa: F401
    import sklearn.ensemble  # noqa: F401

    from retrain import drift

    stored = json.dumps(drift.profile(reference).to_dict())
    started = time.process_time()
    verdict = drift.compare(drift.Profile.from_dict(json.loads(stored)), drift.profile(current))
    return time.process_time() - started, f"{verdict.status}, stored profile {len(stored) / 1e6:.1f} MB"


def evidently(reference: str, current: str) -> Any:
    """Run the preset on both files, to JSON."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently import Report
        from evidently.presets import DataDriftPreset

        started = time.process_time()
        snapshot = Report([DataDriftPreset()]).run(pd.read_parquet(current), pd.read_parquet(reference))
        snapshot.dict()
    return time.process_time() - started, None


MEASURES = {"scan": scan, "profiles": profiling, "ours": ours, "monitoring": monitoring, "evidently": evidently}


def _measure(name: str, paths: list[Path]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.drift_cost", "--measure", name, *map(str, paths)]
    # OpenMP's threads burn CPU while they wait, the more the busier the machine is: that would measure the neighbours.
    env = {**os.environ, "DO_NOT_TRACK": "true", "GOMP_SPINCOUNT": "10000"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Write the files, measure, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift_cost", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only 1e5 x 20")
    parser.add_argument("--rows", type=int, action="append", help="only these sizes")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.measure:
        seconds, note = MEASURES[options.measure](*options.paths)
        from retrain.serving._probe import peak_bytes

        print(json.dumps({"cpu_s": round(seconds, 3), "peak_mib": round(peak_bytes() / 2**20), "note": note}))
        return
    results = []
    for rows, columns, with_evidently in QUICK if options.quick else SHAPES:
        if options.rows and rows not in options.rows:
            continue
        with tempfile.TemporaryDirectory(prefix="retrain-cost-") as folder:
            paths = [Path(folder) / f"{side}.parquet" for side in ("reference", "current")]
            for seed, path in enumerate(paths):
                write(path, rows, columns, seed)
            names = [name for name in MEASURES if name != "evidently" or with_evidently]
            results += [{"rows": rows, "columns": columns, "what": name, **_measure(name, paths)} for name in names]
    _show(results)
    if options.json:
        document = {"load": os.getloadavg()[0], "results": results}
        options.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _show(results: list[dict[str, Any]]) -> None:
    screen = Screen("rows", "columns", "what", "CPU s", "x scan", "peak MiB", "note", title="Cost of drift detection")
    scans = {(one["rows"], one["columns"]): one["cpu_s"] for one in results if one["what"] == "scan"}
    for one in results:
        times = one["cpu_s"] / max(1e-3, scans[one["rows"], one["columns"]])
        cells = f"{one['rows']:,}", str(one["columns"]), one["what"], f"{one['cpu_s']:.2f}", f"{times:.1f}"
        screen.add_row(*cells, str(one["peak_mib"]), one["note"] or "")
    Console().print(screen)


if __name__ == "__main__":
    main()
