"""Look a connection up, with one clear error when it is not there."""

from typing import TYPE_CHECKING

from retrain.exceptions import ConnectionConfigError

if TYPE_CHECKING:
    from airflow.sdk import Connection


def get_connection(conn_id: str, conn_type: str, what: str) -> "Connection":
    """Return the connection; ConnectionConfigError names it, its type and how to add it."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection: Connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConnectionConfigError(
            f"there is no connection {conn_id!r}",
            expected=f"a connection of type {conn_type!r} to {what}",
            remedy=f"Add it under Admin > Connections, or set AIRFLOW_CONN_{conn_id.upper()}",
        ) from None
    return connection


def host_with_scheme(connection: "Connection", conn_id: str, *, expected: str) -> str:
    """Return the connection's host with a scheme (that of its Schema field, else http), without a slash at its end.

    ConnectionConfigError, with what is `expected`, where it has none.
    """
    host = (connection.host or "").rstrip("/")
    if not host:
        raise ConnectionConfigError(f"the connection {conn_id!r} has no host", expected=expected)
    return host if "://" in host else f"{connection.schema or 'http'}://{host}"
