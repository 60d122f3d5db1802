"""A real Airflow: scheduler, API server, DAG processor and triggerer, each in a process group of its own."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.services.processes import Server, start, wait_for

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


class RefusedError(RuntimeError):
    """The REST API answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Airflow:
    """The running components, and a client of their REST API in the name of `user`."""

    def __init__(
        self,
        url: str,
        password: str,
        env: Mapping[str, str],
        root: Path,
        *,
        user: str = "admin",
        execution_port: int | None = None,
        schedulers: int = 1,
    ) -> None:
        self.url = url
        self.commands = {name: [name] for name in COMPONENTS}
        # More than one needs a database with row locks. The second is called `scheduler-2`.
        self.commands |= {f"scheduler-{number}": ["scheduler"] for number in range(2, schedulers + 1)}
        if execution_port is not None:
            # On SQLite one server for everything can block itself until the lock's time-out: its event loop waits to
            # write the audit log of a REST call while the lock's holder, a task's request, waits for the event loop.
            self.commands["api-server"] += ["--apps", "core"]
            self.commands["execution-api"] = ["api-server", "--apps", "execution", "--port", str(execution_port)]
        self.env = env
        self.root = root
        self.servers: dict[str, Server] = {}
        self._user = user
        self._password = password
        self._token = ""

    def migrate(self) -> None:
        """Make the metadata database."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=dict(self.env),
            cwd=self.root,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"airflow db migrate failed:\n{done.stderr.decode(errors='replace')[-3000:]}")

    def start(self, *names: str) -> None:
        """Start the named components, by default all."""
        for name in names or self.commands:
            log = self.root / "logs" / f"{name}.log"
            # Logs are read from the shared folder; their own servers would listen on every interface of the machine.
            arguments = self.commands[name]
            quiet = ["--skip-serve-logs"] if arguments[0] in ("scheduler", "triggerer") else []
            command = [sys.executable, "-m", "airflow", *arguments, *quiet]
            self.servers[name] = start(f"airflow {name}", command, env=self.env, cwd=self.root, log=log)

    def wait(self, *names: str, seconds: float = 180) -> None:
        """Wait until the components report that they are healthy."""
        parts = ["metadatabase", "scheduler", "dag_processor", "triggerer"]

        def healthy() -> bool:
            with contextlib.suppress(urllib.error.URLError, OSError, json.JSONDecodeError):
                with urllib.request.urlopen(f"{self.url}/api/v2/monitor/health", timeout=10) as answer:
                    health = json.load(answer)
                return all((health.get(part) or {}).get("status") == "healthy" for part in names or parts)
            return False

        wait_for("Airflow to be healthy", healthy, list(self.servers.values()), seconds=seconds)

    def stop(self, seconds: float = 15) -> None:
        """Stop everything; what has not ended after so many seconds is killed."""
        for server in self.servers.values():
            server.ask_to_stop()  # all at once: they end side by side
        end = time.monotonic() + seconds
        for server in self.servers.values():
            server.wait_or_kill(max(0.0, end - time.monotonic()))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the REST API and return its JSON; RefusedError with what it said when it refuses."""
        for fresh in (False, True):
            request = urllib.request.Request(
                f"{self.url}/api/v2{path}",
                method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Authorization": f"Bearer {self.token(fresh=fresh)}", "Content-Type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    text = answer.read()
                    return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code != 401 or fresh:
                    message = f"{method} {path}: {error.code} {error.read().decode()[:1000]}"
                    raise RefusedError(error.code, message) from error
        return None

    def token(self, *, fresh: bool = False) -> str:
        """Return the user's token for the REST API; a browser sends it as the cookie `_token`."""
        if fresh or not self._token:
            self._token = self._login()
        return self._token

    def _login(self) -> str:
        request = urllib.request.Request(
            f"{self.url}/auth/token",
            method="POST",
            data=json.dumps({"username": self._user, "password": self._password}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(json.load(answer)["access_token"])

    def unpause(self, *dag_ids: str, watchers: bool = True, seconds: float = 120) -> None:
        """Let DAGs run, as soon as they have been parsed.

        Airflow starts an asset's watcher when it parses the file again after that, so this is asked for at once;
        without `watchers` it is not, which spares seconds of work where a file has many DAGs.
        """
        files = set()
        for dag_id in dag_ids:

            def parsed(dag_id: str = dag_id) -> bool:
                with contextlib.suppress(RuntimeError):
                    files.add(self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})["file_token"])
                    return True
                return False

            wait_for(f"the DAG {dag_id} to be parsed", parsed, list(self.servers.values()), seconds=seconds, pause=0.5)
        for token in files if watchers else ():
            try:
                self.call("PUT", f"/parseDagFile/{token}")
            except RefusedError as error:
                if error.status != 409:  # asked for already
                    raise

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Run a DAG by hand; returns the run's id."""
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf or {})})
        return str(run["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, newest first."""
        return list(self.call("GET", f"/dags/{dag_id}/dagRuns?limit=100&order_by=-id")["dag_runs"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        return list(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"])


@contextlib.contextmanager
def running_airflow(url: str, password: str, env: Mapping[str, str], root: Path) -> Iterator[Airflow]:
    """Run all of Airflow for the time of the block."""
    airflow = Airflow(url, password, env, root)
    airflow.migrate()
    try:
        airflow.start()
        airflow.wait()
        yield airflow
    finally:
        airflow.stop()
