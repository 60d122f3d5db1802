"""What it costs Airflow to parse DAG files: an empty one, one model, 200 models. Each in a process of its own.

    python -m benchmarks.parse [--rounds 7] [--json FILE]

The rounds of the three files are interleaved, so that a slow moment of the machine meets all of them; medians are
compared. Two numbers per file: the whole process (interpreter and Airflow included: what a parsing process that starts
afresh pays), and the file by itself in a process that has imported Airflow already (what the DAG processor's forks
pay).
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

MODEL = """    ContinuousTraining(
        model=f"model-{number}", data="s3://bucket/{partition}.parquet", target="y", train="shop.train:fit",
        prepare="shop.train:prepare", metric="roc_auc",
        retrain=[NewData(every=3), Drift(), Decay(drop=0.02), Every("@monthly")],
    )
"""
FILES = {
    "empty": '"""An Airflow DAG with one task that does nothing."""\n'
    "from airflow.sdk import DAG, BaseOperator\n"
    'with DAG("empty", schedule=None):\n'
    '    BaseOperator(task_id="nothing")\n',
    "one model": '"""Airflow DAGs of one model."""\n'
    "from retrain import ContinuousTraining, Decay, Drift, Every, NewData\n"
    f"for number in range(1):\n{MODEL}",
    "200 models": '"""Airflow DAGs of 200 models."""\n'
    "from retrain import ContinuousTraining, Decay, Drift, Every, NewData\n"
    f"for number in range(200):\n{MODEL}",
}
# Times are from the start of the process; `file` is what the file adds once Airflow is there.
PARSE = """
import json, resource, runpy, sys, time
import airflow.sdk
from airflow.sdk import DAG, BaseOperator
wall, cpu = time.perf_counter(), time.process_time()
runpy.run_path(sys.argv[1])
file = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"file": file, "process": {"cpu": time.process_time()}, "peak_mib": peak}))
"""


def parse(path: Path, home: Path) -> dict[str, float]:
    """Parse one file in a fresh process; seconds of wall and CPU, and MiB."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") and name != "PYTHONDONTWRITEBYTECODE"
    }
    command = [
        sys.executable,
        "-c",
        f"import time; started = time.perf_counter()\n{PARSE}\nprint(time.perf_counter() - started)",
        str(path),
    ]
    done = subprocess.run(
        command, env={**environment, "AIRFLOW_HOME": str(home)}, capture_output=True, text=True, check=True
    )
    document, seconds = done.stdout.strip().splitlines()[-2:]
    found = json.loads(document)
    return {
        "process_wall": float(seconds),
        "process_cpu": found["process"]["cpu"],
        "file_wall": found["file"]["wall"],
        "file_cpu": found["file"]["cpu"],
        "peak_mib": found["peak_mib"],
    }


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return the median of each number by file; one round before them warms the disk's cache."""
    with tempfile.TemporaryDirectory(prefix="retrain-parse-") as folder:
        paths = {name: Path(folder, f"{name.replace(' ', '_')}.py") for name in FILES}
        for name, path in paths.items():
            path.write_text(FILES[name], encoding="utf-8")
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in FILES}
        for number in range(rounds + 1):
            for name, path in paths.items():
                run = parse(path, Path(folder))
                if number:
                    runs[name].append(run)
    return {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]} for name, found in runs.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parse", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    medians = measure(options.rounds)
    one, empty, many = medians["one model"], medians["empty"], medians["200 models"]
    ratios = {key: one[key] / empty[key] for key in ("process_cpu", "process_wall")}
    print(f"{'file':12} {'process':>18} {'the file alone':>18} {'memory':>9}")
    for name, median in medians.items():
        whole = f"{median['process_cpu']:.2f} CPU-s {median['process_wall']:.2f} s"
        alone = f"{median['file_cpu']:.3f} CPU-s"
        print(f"{name:12} {whole:>18} {alone:>18} {median['peak_mib']:>5.0f} MiB")
    print(f"one model / empty: {ratios['process_cpu']:.2f} in CPU time, {ratios['process_wall']:.2f} in wall time")
    print(f"200 models: {many['file_wall']:.2f} s, {1000 * many['file_cpu'] / 200:.1f} ms of CPU time each")
    if options.json:
        document = {"rounds": options.rounds, "medians": medians, "one_model_by_empty": ratios}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
