"""A real MLflow server on loopback: SQLite store, artifacts through the server, a login; stopped with its children."""

import contextlib
import os
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.services.processes import free_port, start, wait_for


@dataclass(frozen=True)
class MlflowServer:
    """Where the server answers, and who may ask; plain values, so that it can be handed to a child process."""

    uri: str
    username: str
    password: str


@contextlib.contextmanager
def running_mlflow(
    root: Path, *, username: str = "admin", password: str | None = None, port: int | None = None
) -> Iterator[MlflowServer]:
    """Run a server that keeps everything under `root`; starting it there again finds what was kept."""
    root.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    password = password or secrets.token_urlsafe(18)
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}", "--workers", "1"),
        *("--artifacts-destination", str(root / "artifacts"), "--serve-artifacts", "--app-name", "basic-auth"),
    ]
    env = _environment(root, username, password)
    server = start("mlflow server", command, env=env, cwd=root, log=root / "mlflow.log")
    uri = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"MLflow at {uri}", lambda: _answers(uri), [server])
        yield MlflowServer(uri, username, password)
    finally:
        server.stop()


def _answers(uri: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{uri}/health", timeout=5):
        return True
    return False


def _environment(root: Path, username: str, password: str) -> dict[str, str]:
    config = root / "auth.ini"
    # The cache of checked passwords saves a slow hash on every request.
    config.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{root / 'auth.db'}\n"
        f"admin_username = {username}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "auth_cache_ttl_seconds = 60\n",
        encoding="utf-8",
    )
    foreign = ("MLFLOW_", "_MLFLOW_", "PYTEST_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
