"""Everything the demo's servers are told: folders, ports, passwords, Airflow's configuration."""

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from scripts.services.processes import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
PRELOAD = ("airflow", "airflow.executors.local_executor", "retrain.preload")


@dataclass(frozen=True)
class Settings:
    """Where the demo lives and how its servers are reached. `root` is emptied and made anew at each start."""

    root: Path
    dags: Path = REPOSITORY / "dags"
    project: Path = REPOSITORY
    airflow_port: int = field(default_factory=free_port)
    mlflow_port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def flights(self) -> Path:
        """Where the months land."""
        return self.root / "flights"

    @property
    def ledger(self) -> Path:
        """The ledger's SQLite file."""
        return self.root / "ledger.db"

    @property
    def store(self) -> Path:
        """Profiles, verdicts, predictions, snapshots."""
        return self.root / "store"

    @property
    def airflow_url(self) -> str:
        """Airflow's address."""
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def mlflow_url(self) -> str:
        """MLflow's address."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    def write_passwords(self) -> None:
        """Give Airflow's users their passwords before it makes up its own."""
        home = self.root / "airflow"
        home.mkdir(parents=True, exist_ok=True)
        users = {"admin": self.password, "viewer": self.password}
        (home / "passwords.json").write_text(json.dumps(users), encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """Return the environment of every process of the demo."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "_AIRFLOW", "MLFLOW", "RETRAIN", "PYTEST", "COV_"))
            and name != "PYTHONDONTWRITEBYTECODE"
        }
        return {**inherited, **self._airflow(), **self._connections(), **self._flights(), **self.extra}

    def _airflow(self) -> dict[str, str]:
        home = self.root / "airflow"
        url = self.airflow_url
        return {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.airflow_port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__MP_FORKSERVER_PRELOAD": ",".join(PRELOAD),
            "AIRFLOW__CORE__MP_START_METHOD": "forkserver",
            "AIRFLOW__CORE__PARALLELISM": str(max(2, min(8, os.cpu_count() or 2))),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
            # A writer waits for the lock instead of failing with "database is locked".
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            "AIRFLOW__RETRAIN__POLL_INTERVAL_SECONDS": "0.5",
            "AIRFLOW__RETRAIN__PROJECT_ROOT": str(self.project),
            "AIRFLOW__RETRAIN__STORE": self.store.as_uri(),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "AIRFLOW__TRIGGERER__CAPACITY": "100",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "DO_NOT_TRACK": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # Threads of a model fit that spin while they wait are a catastrophe where cores are few and shared: spin
            # for a moment, then sleep.
            "GOMP_SPINCOUNT": "10000",
        }

    def _connections(self) -> dict[str, str]:
        mlflow = {"conn_type": "mlflow", "host": self.mlflow_url, "login": "admin", "password": self.password}
        ledger = {"conn_type": "retrain_ledger", "schema": str(self.ledger), "extra": {"dialect": "sqlite"}}
        return {
            "AIRFLOW_CONN_MLFLOW_DEFAULT": json.dumps(mlflow),
            "AIRFLOW_CONN_RETRAIN_LEDGER": json.dumps(ledger),
        }

    def _flights(self) -> dict[str, str]:
        return {"FLIGHTS_DATA": self.flights.as_uri()}
