"""MLflow behind an Airflow connection of type `mlflow`."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow.sdk import BaseHook

from retrain.exceptions import ConnectionConfigError, RetrainError
from retrain.hooks._connection import get_connection
from retrain.training.tracking import without_credentials


class MlflowHook(BaseHook):
    """The tracking server and registry that the connection names.

    Credentials never enter this process's environment: in the worker they are added to each request's header, and a
    job in another environment gets them through its own.
    """

    conn_name_attr = "mlflow_conn_id"
    default_conn_name = "mlflow_default"
    conn_type = "mlflow"
    hook_name = "MLflow"

    def __init__(self, mlflow_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.mlflow_conn_id = mlflow_conn_id
        self._connection: Any = None

    @property
    def connection(self) -> Any:
        """The Airflow connection, looked up once."""
        if self._connection is None:
            self._connection = get_connection(self.mlflow_conn_id, self.conn_type, "the MLflow tracking server")
        return self._connection

    @property
    def tracking_uri(self) -> str:
        """MLflow's address, without credentials."""
        host = (self.connection.host or "").rstrip("/")
        if not host:
            raise ConnectionConfigError(
                f"the connection {self.mlflow_conn_id!r} has no tracking URI",
                expected="its Tracking URI field, such as https://mlflow.example.com",
                remedy="Fill it under Admin > Connections",
            )
        if "://" not in host:
            host = f"{self.connection.extra_dejson.get('scheme', 'http')}://{host}"
        authority = without_credentials(host).split("://", 1)[1].split("/", 1)[0]
        if self.connection.port and ":" not in authority:
            host = host.replace(authority, f"{authority}:{self.connection.port}", 1)
        return without_credentials(host)

    @property
    def ui_url(self) -> str:
        """Where a browser finds MLflow."""
        return without_credentials(str(self.connection.extra_dejson.get("ui_url") or self.tracking_uri).rstrip("/"))

    @property
    def secrets(self) -> Mapping[str, str]:
        """The credentials as MLflow's own environment variables, for the environment of a child process."""
        login, password = self._login
        return {"MLFLOW_TRACKING_USERNAME": login, "MLFLOW_TRACKING_PASSWORD": password} if login else {}

    @property
    def _login(self) -> tuple[str, str]:
        """The connection's user and password; those within its tracking URI where the fields are empty."""
        if self.connection.login:
            return self.connection.login, self.connection.password or ""
        parts = urlsplit(self.connection.host or "")
        return unquote(parts.username or ""), unquote(parts.password or "")

    @contextlib.contextmanager
    def authenticated(self) -> Iterator[None]:
        """Let MLflow calls of this process carry the connection's credentials for the time of the block."""
        login, password = self._login
        if not login:
            yield
            return
        from retrain.registry.auth import credentials

        with credentials(login, password):
            yield

    def get_conn(self) -> Any:
        """Return a registry client; call it within `authenticated()`."""
        from retrain.registry import RegistryClient

        return RegistryClient(self.tracking_uri)

    def test_connection(self) -> tuple[bool, str]:
        """Say whether MLflow answers (Airflow's Test button)."""
        try:
            with self.authenticated():
                self.get_conn().check()
        except RetrainError as error:
            return False, str(error)
        return True, f"MLflow answers at {self.tracking_uri}"
