"""A webhook behind an Airflow connection of type `http`: who is told of promotions and rollbacks."""

import json
from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseHook

from retrain.exceptions import ConnectionConfigError, UnavailableError
from retrain.hooks._connection import get_connection, host_with_scheme

TIMEOUT_SECONDS = 20.0
# The receiver is there and says that the same request may succeed later.
_LATER = (408, 425, 429)


class WebhookHook(BaseHook):
    """Posts JSON to the connection's address, with an `Idempotency-Key`.

    The connection's host is a whole URL, or host, schema and port. Login and password are sent as basic auth, a
    password alone as a bearer token, and `headers` of the extra as they are.
    """

    conn_name_attr = "webhook_conn_id"
    default_conn_name = "retrain_webhook"
    conn_type = "http"
    hook_name = "Webhook"

    def __init__(self, webhook_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.webhook_conn_id = webhook_conn_id

    @property
    def url(self) -> str:
        """Where notices go, without credentials."""
        connection = get_connection(self.webhook_conn_id, self.conn_type, "the receiver of notices")
        host = host_with_scheme(
            connection,
            self.webhook_conn_id,
            expected="the address of the receiver, such as https://deploy.example.com/hooks/models",
        )
        scheme, rest = host.split("://", 1)
        authority, slash, path = rest.partition("/")
        authority = authority.rpartition("@")[2]
        if connection.port and ":" not in authority:
            authority = f"{authority}:{connection.port}"
        return f"{scheme}://{authority}{slash}{path}"

    def post(self, document: Mapping[str, Any], *, key: str) -> int:
        """Send a document and return the status; `key` tells the receiver that a repeat is one.

        UnavailableError where the receiver does not answer or is not able to, ConnectionConfigError where it refuses.
        """
        import httpx

        url = self.url
        try:
            answer = httpx.post(
                url,
                content=json.dumps(document),
                headers={"Content-Type": "application/json", "Idempotency-Key": key, **self._headers()},
                auth=self._login(),
                timeout=TIMEOUT_SECONDS,
            )
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"the webhook {url} did not answer: {type(error).__name__}: {error}",
                expected="a receiver that is reachable",
                remedy="It is told again; the promotion stands",
            ) from error
        if answer.status_code in _LATER or answer.status_code >= 500:
            raise UnavailableError(
                f"the webhook {url} answered {answer.status_code}",
                expected="a status of 2xx",
                remedy="It is told again; the promotion stands",
            )
        if not answer.is_success:
            raise ConnectionConfigError(
                f"the webhook {url} refuses the notice: {answer.status_code}",
                expected="a status of 2xx",
                remedy=f"Correct the connection {self.webhook_conn_id!r}, or the receiver; the promotion stands",
            )
        return answer.status_code

    def _headers(self) -> dict[str, str]:
        connection = get_connection(self.webhook_conn_id, self.conn_type, "the receiver of notices")
        found = connection.extra_dejson.get("headers")
        headers = {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
        if connection.password and not connection.login:
            headers.setdefault("Authorization", f"Bearer {connection.password}")
        return headers

    def _login(self) -> tuple[str, str] | None:
        connection = get_connection(self.webhook_conn_id, self.conn_type, "the receiver of notices")
        return (connection.login, connection.password or "") if connection.login else None
