"""Credentials for MLflow's client that are in no environment variable and in no file.

MLflow asks every installed `mlflow.request_header_provider` for headers before each request. Ours adds what the block
around the calls says:

    with credentials("alice", password):
        client.search_runs(...)

A deployment's own MLFLOW_TRACKING_USERNAME, where it is set, comes later in MLflow and wins.
"""

import base64
import contextlib
from collections.abc import Iterator

from retrain.exceptions import ConnectionConfigError

# Of the process and not of the thread or context: MLflow uploads and downloads in threads of its own.
_headers: list[dict[str, str]] = []


@contextlib.contextmanager
def credentials(username: str, password: str) -> Iterator[None]:
    """Let every MLflow request of this process carry these credentials for the time of the block (basic auth)."""
    if ":" in username:
        raise ConnectionConfigError(
            f"the MLflow user name {username!r} has a colon in it",
            expected="a name that basic authentication can carry",
            remedy="Use another user",
        )
    token = base64.b64encode(f"{username}:{password}".encode()).decode()
    entry = {"Authorization": f"Basic {token}"}
    _headers.append(entry)
    try:
        yield
    finally:
        # By identity: blocks of several threads need not end in the order in which they began.
        _headers[:] = [other for other in _headers if other is not entry]


class BasicAuthHeaderProvider:
    """What MLflow finds by the entry point: a `RequestHeaderProvider` by shape, so that MLflow is not imported here."""

    def in_context(self) -> bool:
        """Return whether there is anything to add."""
        return bool(_headers)

    def request_headers(self) -> dict[str, str]:
        """Return the headers of the innermost block."""
        return dict(_headers[-1]) if _headers else {}
