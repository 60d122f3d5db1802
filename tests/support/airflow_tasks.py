"""Airflow without its database: a home of its own, connections in the environment, and a task's context."""

import atexit
import importlib
import json
import os
import shutil
import sys
import tempfile
import uuid
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


def use_own_home() -> None:
    """Keep Airflow's files out of the user's home; to be called before Airflow is imported."""
    with warnings.catch_warnings():
        # While it is imported, skops looks at every attribute of every imported module, and Airflow's old names
        # complain. Once is enough, and before Airflow it is quick. `retrain.preload` does it for Airflow's processes.
        warnings.simplefilter("ignore")
        importlib.import_module("skops.io")
    if "airflow" in sys.modules:
        return
    home = tempfile.mkdtemp(prefix="retrain-airflow-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW"))]:
        del os.environ[name]
    os.environ["AIRFLOW_HOME"] = home
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


def connect(monkeypatch: pytest.MonkeyPatch, conn_id: str, **fields: Any) -> None:
    """Define a connection for the time of a test."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))


def connect_ledger(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Point `retrain_ledger` at a SQLite file."""
    connect(monkeypatch, "retrain_ledger", conn_type="retrain_ledger", schema=str(path), extra={"dialect": "sqlite"})


class Task(SimpleNamespace):
    """What retrain reads of a task instance; XComs that are pushed lie in `pushed`."""

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep it, as JSON would."""
        self.pushed[key] = json.loads(json.dumps(value))


def context(
    task_id: str = "task",
    *,
    dag_id: str = "returns.data",
    run_id: str = "scheduled__1",
    run_type: str = "scheduled",
    user: str | None = None,
    map_index: int = -1,
    try_number: int = 1,
) -> dict[str, Any]:
    """Return the part of Airflow's context that retrain's operators use."""
    names = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    ti = Task(**names, id=uuid.uuid5(uuid.NAMESPACE_OID, str(names)), try_number=try_number, pushed={})
    run = SimpleNamespace(run_id=run_id, run_type=run_type, triggering_user_name=user)
    return {"ti": ti, "task_instance": ti, "dag_run": run, "outlet_events": {}}
