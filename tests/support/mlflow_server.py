"""A real MLflow server on loopback: SQLite store, artifacts through the server, a login; stopped with its children."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

BOOT_SECONDS = 120


@dataclass(frozen=True)
class MlflowServer:
    """Where the server answers, and who may ask."""

    uri: str
    username: str
    password: str
    log: Path
    pid: int


@contextlib.contextmanager
def running_mlflow(
    root: Path, *, username: str = "admin", password: str | None = None, port: int | None = None
) -> Iterator[MlflowServer]:
    """Run a server that keeps everything under `root`; starting it there again finds what was kept."""
    root.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    password = password or secrets.token_urlsafe(18)
    log = root / "mlflow.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
                *("--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}", "--workers", "1"),
                *("--artifacts-destination", str(root / "artifacts"), "--serve-artifacts", "--app-name", "basic-auth"),
            ],
            env=_environment(root, username, password),
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        uri = f"http://127.0.0.1:{port}"
        _wait(uri, process, log)
        yield MlflowServer(uri, username, password, log, process.pid)
    finally:
        stop_group(process)


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def stop_group(process: "subprocess.Popen[bytes]", seconds: float = 10) -> None:
    """End a process that leads its own group, and the whole group: first asked, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


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


def _wait(uri: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{uri}/health", timeout=5):
            return
        time.sleep(0.2)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
    raise RuntimeError(f"MLflow did not start at {uri} (exit code {process.poll()}); the end of {log}:\n{tail}")


_SHARED = pytest.StashKey[MlflowServer]()


def shared_mlflow(config: pytest.Config, factory: pytest.TempPathFactory) -> MlflowServer:
    """Return the server of this test session, started by the first test that asks, stopped at the session's end."""
    if _SHARED not in config.stash:
        stack = contextlib.ExitStack()
        config.stash[_SHARED] = stack.enter_context(running_mlflow(factory.mktemp("mlflow")))
        config.add_cleanup(stack.close)
    return config.stash[_SHARED]
