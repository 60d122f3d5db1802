"""SQL engines behind Airflow connections, for data that is addressed as `sql://<conn_id>/<table>`."""

import threading
import time
from typing import TYPE_CHECKING, Any

from retrain.exceptions import ConnectionConfigError
from retrain.hooks._connection import get_connection

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from sqlalchemy.engine import Engine

# A thousand watchers do not ask Airflow for a connection each time they look; a new password is noticed after this.
KEEP_SECONDS = 60.0
# What needs no provider: the driver is a dependency, or an extra, of retrain itself.
_OWN_DRIVERS = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2", "sqlite": "sqlite"}

_kept: "dict[str, tuple[float, Engine]]" = {}
_lock = threading.Lock()


def sql_engine(conn_id: str) -> "Engine":
    """Return an engine for a connection: the resolver for `retrain.data.sql.connections`.

    The engine is made by the connection's own hook (any of `common.sql`); for PostgreSQL and SQLite also without their
    providers. It keeps no database connection open. May be called in a task and in a thread of the triggerer. Raises
    ConnectionConfigError where there is no such connection or it is none to a SQL database.
    """
    with _lock:
        made, engine = _kept.get(conn_id, (float("-inf"), None))
    if engine is not None and time.monotonic() - made < KEEP_SECONDS:
        return engine
    engine = _make(get_connection(conn_id, "postgres", "the database that the data names"))
    with _lock:
        _kept[conn_id] = (time.monotonic(), engine)
    return engine


def forget_engines() -> None:
    """Ask Airflow anew for every connection from now on."""
    with _lock:
        _kept.clear()


def _make(connection: "Connection") -> "Engine":
    from sqlalchemy.pool import NullPool

    hook = _hook(connection)
    if hook is not None:
        engine: Engine = hook.get_sqlalchemy_engine({"poolclass": NullPool})
        return engine
    return _own_engine(connection)


def _hook(connection: "Connection") -> Any:
    from airflow.sdk.exceptions import AirflowException

    try:
        hook = connection.get_hook()  # type: ignore[no-untyped-call]
    except (AirflowException, ImportError) as error:
        if connection.conn_type in _OWN_DRIVERS:
            return None
        raise ConnectionConfigError(
            f"the connection {connection.conn_id!r} of type {connection.conn_type!r} has no hook here: {error}",
            expected="a connection type whose provider is installed",
            remedy="Install the Airflow provider of that database",
        ) from error
    if not hasattr(hook, "get_sqlalchemy_engine"):
        raise ConnectionConfigError(
            f"the connection {connection.conn_id!r} of type {connection.conn_type!r} leads to no SQL database",
            expected="a connection whose hook is one of common.sql",
        )
    return hook


def _own_engine(connection: "Connection") -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.engine import URL
    from sqlalchemy.pool import NullPool

    driver = _OWN_DRIVERS[str(connection.conn_type)]
    if driver == "sqlite":
        # As Airflow's own SQLite provider has it: the path of the file is the host.
        return create_engine(f"sqlite:///{connection.host or connection.schema or ''}", poolclass=NullPool)
    url = URL.create(
        driver,
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
        query={"sslmode": mode} if (mode := connection.extra_dejson.get("sslmode")) else {},
    )
    return create_engine(url, poolclass=NullPool)
