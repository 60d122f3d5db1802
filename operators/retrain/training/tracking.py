"""MLflow's client, with a bound on how long it may wait, and its errors told apart."""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from retrain.exceptions import ConnectionConfigError, MissingDependencyError, RegistryUnavailableError

# MLflow's own defaults wait about four minutes for a dead server, look for a uv project in the working directory, print
# links and draw progress bars into task logs. It reads these only from the environment; a deployment's setting wins.
_SETTINGS = {
    "DO_NOT_TRACK": "true",
    # Its own handler writes to standard error, which Airflow shows as errors; so its loggers stay with the root.
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
}
_PROBES, _PROBE_SECONDS = 3, 5
_UNREACHABLE = re.compile(
    r"failed with (timeout )?exception|Max retries exceeded|error code 5\d\d|Temporarily|timed out"
)
_REFUSED = {401, 403}


def import_mlflow() -> Any:
    """Import MLflow, bounded and without telemetry; MissingDependencyError when it is not installed."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
    except ImportError as error:
        raise MissingDependencyError(
            f"MLflow cannot be imported: {error}", remedy="Install airflow-provider-retrain[jobs] where the step runs"
        ) from error
    return mlflow


def connect(tracking_uri: str) -> Any:
    """Return an `MlflowClient`; RegistryUnavailableError within seconds when nothing answers at the address."""
    import_mlflow()
    from mlflow import MlflowClient

    with translated(tracking_uri):
        if tracking_uri.startswith(("http://", "https://")):
            _probe(tracking_uri)
        return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


@contextlib.contextmanager
def using(tracking_uri: str) -> Iterator[Any]:
    """Let MLflow's module-level functions talk to `tracking_uri` for the time of the block; yields the module."""
    mlflow = import_mlflow()
    before = (mlflow.get_tracking_uri(), mlflow.get_registry_uri())
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    try:
        with translated(tracking_uri):
            yield mlflow
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])


@contextlib.contextmanager
def translated(tracking_uri: str) -> Iterator[None]:
    """Turn MLflow's and the network's errors into "not reachable" and "not allowed"; others pass as they are."""
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if isinstance(error.__cause__, requests.RequestException):
            raise _explained(error.__cause__, tracking_uri, _status(error.__cause__)) from None
        status = error.get_http_status_code()
        if status in _REFUSED or (error.error_code == "INTERNAL_ERROR" and _UNREACHABLE.search(str(error))):
            raise _explained(error, tracking_uri, status) from None
        raise
    except requests.RequestException as error:
        raise _explained(error, tracking_uri, _status(error)) from None


def without_credentials(uri: str) -> str:
    """Return `uri` without a user name and password in it."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


def _probe(tracking_uri: str) -> None:
    """Ask for MLflow's health page: any answer will do, only silence is an error.

    MLflow's own calls wait long enough for large uploads; a server that is not there should be told within seconds.
    """
    import requests

    for attempt in range(_PROBES):
        try:
            requests.get(f"{tracking_uri.rstrip('/')}/health", timeout=_PROBE_SECONDS)
        except (requests.ConnectionError, requests.Timeout):
            if attempt == _PROBES - 1:
                raise
            time.sleep(attempt + 0.5)
        else:
            return


def _status(error: Any) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _explained(error: Exception, tracking_uri: str, status: int | None) -> Exception:
    # The cause is told in words and not chained: its text may hold the address with a password in it.
    where = without_credentials(tracking_uri)
    if status in _REFUSED:
        return ConnectionConfigError(
            f"MLflow at {where} refused the credentials (HTTP {status})",
            expected="a user that may read and write experiments and registered models",
            remedy="Correct login and password of the MLflow connection",
        )
    reason = re.sub(r"//[^/@\s]+@", "//", " ".join(str(error).split()))[:300]
    return RegistryUnavailableError(
        f"MLflow at {where} did not answer ({reason})",
        expected="a running MLflow tracking server",
        remedy="Start it or correct the tracking URI, then try again: nothing that was finished is lost",
    )
