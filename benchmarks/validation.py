"""Rows per second, CPU and memory of a validation, against Great Expectations called directly and against a scan.

    python -m benchmarks.validation [--rows 1e5,1e6] [--rounds 3] [--json FILE]

One Parquet file per size (20 columns: numbers with and without nulls, strings, times, yes and no; zstd, row groups of
one million rows) and one suite of 25 expectations, which all hold but one warning. Each measurement is a process of
its own; the three are interleaved within each round, and a round before them warms the disk's cache. Seconds are those
of the work, imports apart; memory is the peak of the process (`ru_maxrss`), and what it grew by after the imports.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 1_000_000
WAYS = ("retrain", "gx", "scan")
NUMBERS = ("wall_s", "cpu_s", "peak_mib", "work_mib")
_BETWEEN, _IN_SET = "expect_column_values_to_be_between", "expect_column_values_to_be_in_set"
_FILLED, _REGEX = "expect_column_values_to_not_be_null", "expect_column_values_to_match_regex"
CARRIERS = ["UA", "AA", "DL", "B6", "EV", "MQ", "US", "WN"]


def suite() -> dict[str, Any]:
    """Return 25 expectations as a team would write them for a feed: most about rows, some about whole columns."""
    entries: list[tuple[str, dict[str, Any]]] = [
        ("expect_table_row_count_to_be_between", {"min_value": 1}),
        ("expect_table_columns_to_match_set", {"column_set": [*_names()]}),
        *[(_FILLED, {"column": name}) for name in ("id", "carrier", "at", "day", "f0", "i0")],
        ("expect_column_values_to_be_unique", {"column": "id"}),
        *[(_BETWEEN, {"column": f"f{i}", "min_value": -10, "max_value": 10}) for i in range(4)],
        *[(_BETWEEN, {"column": f"i{i}", "min_value": 0, "max_value": 999}) for i in range(2)],
        (_BETWEEN, {"column": "g0", "min_value": 0, "mostly": 0.95}),
        (_BETWEEN, {"column": "at", "min_value": "2012-01-01T00:00:00", "max_value": "2030-01-01T00:00:00"}),
        (_IN_SET, {"column": "carrier", "value_set": CARRIERS}),
        (_IN_SET, {"column": "late", "value_set": [True, False]}),
        (_REGEX, {"column": "tail", "regex": "^N[0-9]+$"}),
        ("expect_column_value_lengths_to_be_between", {"column": "origin", "min_value": 3, "max_value": 3}),
        ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "i1", "column_B": "f0", "mostly": 0.9}),
        ("expect_column_mean_to_be_between", {"column": "f1", "min_value": -1, "max_value": 1}),
        ("expect_column_unique_value_count_to_be_between", {"column": "origin", "max_value": 50}),
    ]
    expectations = [{"type": kind, "kwargs": kwargs, "severity": "critical"} for kind, kwargs in entries]
    fails = {"type": _BETWEEN, "kwargs": {"column": "f2", "max_value": 2.5}, "severity": "warning"}
    return {"name": "bench", "expectations": [*expectations, fails]}


def make(path: Path, rows: int) -> None:
    """Write the file, a row group at a time."""
    writer = None
    for start in range(0, rows, ROW_GROUP):
        table = _table(start, min(ROW_GROUP, rows - start))
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _table(start: int, rows: int) -> pa.Table:
    rng = np.random.default_rng(start)
    minutes = (np.arange(start, start + rows) % 525_600).astype("timedelta64[m]")
    at = np.datetime64("2013-01-01T00:00", "us") + minutes
    return pa.table(
        {
            "id": pa.array(np.arange(start, start + rows)),
            **{f"f{i}": pa.array(rng.normal(size=rows)) for i in range(6)},
            **{f"i{i}": pa.array(rng.integers(0, 1000, rows)) for i in range(3)},
            **{f"g{i}": pa.array(rng.random(rows), mask=rng.random(rows) < 0.05) for i in range(2)},
            "narrow": pa.array(rng.integers(0, 100, rows), pa.int32()),
            "carrier": pa.array(rng.choice(CARRIERS, rows)),
            "origin": pa.array(rng.choice(["JFK", "LGA", "EWR"], rows)),
            "tail": pa.array(rng.choice([f"N{number}" for number in range(4000)], rows)),
            "at": pa.array(at),
            "day": pa.array(at.astype("datetime64[D]")),
            "late": pa.array(rng.random(rows) < 0.2),
            "cancelled": pa.array(rng.random(rows) < 0.01),
        }
    )


def _names() -> list[str]:
    return _table(0, 1).column_names


def work(way: str, path: str) -> dict[str, Any]:
    """Do the work once in this process; return its seconds, and the process's peak memory."""
    import resource
    import time

    demanded = suite()
    prepared = {"retrain": _retrain, "gx": _gx, "scan": _scan}[way](demanded)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, cpu = time.perf_counter(), time.process_time()
    answer = prepared(path)
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_mib": (peak := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "work_mib": peak - before,
        "answer": answer,
    }


def _retrain(demanded: dict[str, Any]) -> Any:
    from retrain.validation import gx, load_suite, validate

    gx.build(load_suite(demanded))  # the imports, which both pay alike

    def run(path: str) -> Any:
        verdict = validate(path, demanded)
        return [verdict.status.value, verdict.rows, [failure.count for failure in verdict.failures]]

    return run


def _gx(demanded: dict[str, Any]) -> Any:
    import great_expectations as gx
    import pandas as pd

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    whole = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("w")
    loaded = gx.ExpectationSuite(name="bench", expectations=demanded["expectations"])

    def run(path: str) -> Any:
        frame = pd.read_parquet(path)
        answered = whole.get_batch({"dataframe": frame}).validate(loaded, result_format="SUMMARY")
        failed = [one for one in answered.results if not one.success]
        status = "warn" if [one.expectation_config.severity for one in failed] == ["warning"] else "fail"
        return [status, len(frame), [one.result.get("unexpected_count") for one in failed]]

    return run


def _scan(_demanded: dict[str, Any]) -> Any:
    def run(path: str) -> Any:
        file = pq.ParquetFile(path)
        return sum(file.read_row_group(i).num_rows for i in range(file.num_row_groups))

    return run


def measure(rows: int, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Return the median of each number by way; the verdicts of both validations have to agree."""
    path = folder / f"{rows}.parquet"
    # In a process of its own: on Linux a child's `ru_maxrss` begins with the size of its parent.
    _child("--make", str(rows), str(path))
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way in WAYS:
            found = _apart(way, path)
            if number:
                runs[way].append(found)
    path.unlink()
    answers = {way: runs[way][0]["answer"] for way in ("retrain", "gx")}
    if answers["retrain"] != answers["gx"]:
        raise SystemExit(f"the verdicts differ: {answers}")
    medians = {
        way: {key: statistics.median(one[key] for one in found) for key in NUMBERS} for way, found in runs.items()
    }
    for one in medians.values():
        one["rows_per_s"] = rows / one["wall_s"]
    return medians


def _apart(way: str, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_child("--work", way, str(path)).strip().splitlines()[-1])
    return found


def _child(*options: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "benchmarks.validation", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", default="1e5,1e6")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--work", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, metavar=("ROWS", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.make:
        make(Path(options.make[1]), int(options.make[0]))
        return 0
    if options.work:
        print(json.dumps(work(*options.work)))
        return 0
    document: dict[str, Any] = {"rounds": options.rounds, "load": os.getloadavg()[0], "rows": {}}
    print(f"{'rows':>10} {'way':8} {'rows/s':>12} {'CPU-s':>8} {'wall-s':>8} {'peak MiB':>9} {'of work':>9}")
    with tempfile.TemporaryDirectory(prefix="retrain-validation-") as folder:
        for rows in (int(float(text)) for text in options.rows.split(",")):
            medians = measure(rows, options.rounds, Path(folder))
            document["rows"][str(rows)] = medians
            for way, one in medians.items():
                speed = f"{one['rows_per_s']:>12,.0f} {one['cpu_s']:>8.2f} {one['wall_s']:>8.2f}"
                print(f"{rows:>10,} {way:8} {speed} {one['peak_mib']:>9,.0f} {one['work_mib']:>9,.0f}")
            ours, gx, scan = (medians[way] for way in WAYS)
            print(
                f"{'':>10} retrain / gx: {ours['cpu_s'] / gx['cpu_s']:.2f} in CPU time, "
                f"{ours['work_mib'] / gx['work_mib']:.2f} in memory; / scan: {ours['cpu_s'] / scan['cpu_s']:.1f}"
            )
    document["load_after"] = os.getloadavg()[0]
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
