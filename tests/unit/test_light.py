"""What Airflow imports at every parse stays light.

Each check runs in a process of its own: what counts is what an import brings along.
"""

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import retrain

REPOSITORY = Path(__file__).resolve().parents[2]
DAGS = sorted((REPOSITORY / "dags").glob("*.py"))
HEAVY = (
    "duckdb", "evidently", "great_expectations", "kubernetes", "matplotlib", "mlflow", "numpy", "optuna", "pandas",
    "polars", "pyarrow", "river", "scipy", "sklearn", "skops",
)  # fmt: skip
AIRFLOWS_SIDE = ("hooks", "operators", "plugin", "sensors", "templates", "triggers", "provider", "notifications")
CORES_SIDE = ("audit", "cli", "data", "drift", "evaluation", "jobs", "ledger", "loop", "policy", "records", "registry",
              "serving", "training", "validation", "exceptions")  # fmt: skip
# `_served_model` travels with a saved model and is run by MLflow. The others are subclasses of Great Expectations' own
# classes; `retrain.validation.feed.register` imports them where a suite is built. `job_pod` is a subclass of Airflow's
# Kubernetes provider, imported where a pod is started.
APART = ("._served_model", ".feed_expectations", ".kind_expectation", ".job_pod")


def run(code: str, home: Path, *options: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        env={**environment, "AIRFLOW_HOME": str(home), "DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def modules(*packages: str) -> list[str]:
    """Return all modules of these packages of retrain, those of migrations excepted, which only Alembic can import."""
    found = [
        info.name
        for info in pkgutil.walk_packages(retrain.__path__, "retrain.")
        if info.name.split(".")[1] in packages and ".migrations." not in info.name
    ]
    return [name for name in found if not name.endswith(APART)]


LOADED = f"""
import json, sys
loaded = sorted({set(HEAVY)!r} & set(sys.modules))
print("LOADED", json.dumps(loaded))
"""


def loaded(code: str, home: Path) -> list[str]:
    output = run(code + LOADED, home, "-W", "error")
    return list(json.loads(output.rpartition("LOADED ")[2]))


def test_importing_airflows_side_loads_no_heavy_library(tmp_path: Path) -> None:
    names = modules(*AIRFLOWS_SIDE)
    assert {
        "retrain.operators.model",
        "retrain.hooks.mlflow",
        "retrain.triggers.arrival",
        "retrain.sensors.arrival",
    } <= set(names)
    code = "import importlib\n" + "".join(f"importlib.import_module({name!r})\n" for name in names)
    code += "import retrain\nfor name in retrain.__all__: getattr(retrain, name)\n"
    code += "import retrain.operators as o\nfor name in o.__all__: getattr(o, name)\n"
    code += "import retrain.sensors as s\nfor name in s.__all__: getattr(s, name)\n"
    assert loaded(code, tmp_path) == []


def test_importing_the_core_loads_neither_airflow_nor_a_heavy_library(tmp_path: Path) -> None:
    code = "import importlib, sys\n" + "".join(f"importlib.import_module({name!r})\n" for name in modules(*CORES_SIDE))
    code += "assert 'airflow' not in sys.modules, 'airflow'\n"
    assert loaded(code, tmp_path) == []


def test_importing_retrain_itself_loads_nothing_but_retrain(tmp_path: Path) -> None:
    code = "import sys\nbefore = set(sys.modules)\nimport retrain\n"
    code += "tops = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
    code += "print(sorted(tops - set(sys.stdlib_module_names)))"
    assert run(code, tmp_path).strip() == "['retrain']"


def test_every_package_is_on_one_of_the_two_sides() -> None:
    # `preload` is there to load everything heavy, in the process from which Airflow forks its tasks.
    found = {info.name for info in pkgutil.iter_modules(retrain.__path__)} - {"__main__", "preload"}
    assert found <= {*AIRFLOWS_SIDE, *CORES_SIDE}, "a package that the tests of this file do not look at"


def test_the_template_dags_parse_lightly_and_without_a_connection(tmp_path: Path) -> None:
    assert len(DAGS) >= 4
    code = f"""
import runpy, sys
from airflow.sdk import BaseHook, Connection

def refuse(*arguments, **options):
    raise AssertionError(f"a connection was looked up while parsing: {{arguments}}")

BaseHook.get_connection = Connection.get = refuse
for path in {[str(path) for path in DAGS]!r}:
    runpy.run_path(path)
    assert not {set(HEAVY)!r} & set(sys.modules), path
"""
    assert loaded(code, tmp_path) == []


def test_airflow_finds_every_template_dag_and_stores_it(tmp_path: Path) -> None:
    code = f"""
import json, warnings
warnings.simplefilter("ignore")  # Airflow's own, about the absence of its database
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag({str(REPOSITORY / "dags")!r}, safe_mode=True)
assert not bag.import_errors, bag.import_errors
for dag in bag.dags.values():
    DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
print("FOUND", json.dumps({{dag_id: dag.fileloc for dag_id, dag in bag.dags.items()}}))
"""
    found = json.loads(run(code, tmp_path).rpartition("FOUND ")[2])
    assert {f"flight-delays.{kind}" for kind in ("data", "train", "rollback")} <= set(found)
    assert {Path(place) for place in found.values()} == set(DAGS)
