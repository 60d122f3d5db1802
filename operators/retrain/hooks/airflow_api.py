"""Events of Airflow assets through Airflow's public REST API: of another deployment, or of this one from a trigger."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from retrain.exceptions import ConnectionConfigError, StoreUnavailableError
from retrain.hooks._connection import get_connection, host_with_scheme
from retrain.loop.waiting import AssetEvent

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 30.0
PAGE = 100  # what Airflow's API gives at most, unless it is told otherwise
NEWEST = 1000  # so many of an asset's newest events are looked at


class AirflowApiHook(BaseHook):
    """A small reader of another Airflow's asset events, behind a connection of type `http`.

    The connection's host (and schema, port) is where that Airflow's pages are; login and password are a user's who may
    read assets, or the password alone is a token.
    """

    conn_name_attr = "airflow_conn_id"
    default_conn_name = "airflow_default"
    conn_type = "http"
    hook_name = "Airflow REST API"

    def __init__(self, airflow_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.airflow_conn_id = airflow_conn_id

    def asset_events(
        self, *, name: str | None = None, uri: str | None = None, after: datetime | None = None
    ) -> list[AssetEvent]:
        """Return the newest events of an asset from `after` on, at most 1,000; an asset that is not there has none.

        Raises StoreUnavailableError where the API does not answer, ConnectionConfigError where it refuses.
        """
        base, login, password = self._address()
        with self._client(base) as client:
            client.headers["Authorization"] = f"Bearer {self._token(client, login, password)}"
            asset_id = self._asset_id(client, name, uri)
            return [] if asset_id is None else self._events(client, asset_id, after)

    def get_conn(self) -> Any:
        """Return an HTTP client of the API, without credentials."""
        return self._client(self._address()[0])

    def _address(self) -> tuple[str, str, str]:
        connection = get_connection(self.airflow_conn_id, self.conn_type, "the Airflow whose assets are waited for")
        host = host_with_scheme(
            connection, self.airflow_conn_id, expected="the address of an Airflow, such as https://airflow.example.com"
        )
        if connection.port and ":" not in host.split("://", 1)[1]:
            host = f"{host}:{connection.port}"
        return host, connection.login or "", connection.password or ""

    def _client(self, base: str) -> "httpx.Client":
        import httpx

        return httpx.Client(base_url=base, timeout=TIMEOUT_SECONDS)

    def _token(self, client: "httpx.Client", login: str, password: str) -> str:
        if not login:
            return password
        answer = self._ask(client, "POST", "/auth/token", json={"username": login, "password": password})
        return str(answer["access_token"])

    def _asset_id(self, client: "httpx.Client", name: str | None, uri: str | None) -> int | None:
        # The API looks for a part of the name, and takes % and _ for wildcards: which one it is, is decided here.
        wanted: dict[str, str] = {"name_pattern": name} if name is not None else {"uri_pattern": uri or ""}
        field = "name" if name is not None else "uri"
        offset = 0
        while True:
            page = self._ask(client, "GET", "/api/v2/assets", params={**wanted, "limit": PAGE, "offset": offset})
            for asset in page["assets"]:
                if asset[field] == (name if name is not None else uri):
                    return int(asset["id"])
            offset += PAGE
            if offset >= page["total_entries"] or not page["assets"]:
                return None

    def _events(self, client: "httpx.Client", asset_id: int, after: datetime | None) -> list[AssetEvent]:
        query: dict[str, Any] = {"asset_id": asset_id, "order_by": "-timestamp", "limit": PAGE}
        if after is not None:
            query["timestamp_gte"] = after.isoformat()
        events: list[AssetEvent] = []
        while len(events) < NEWEST:
            page = self._ask(client, "GET", "/api/v2/assets/events", params={**query, "offset": len(events)})
            events += [_event(one) for one in page["asset_events"]]
            if len(page["asset_events"]) < PAGE:
                break
        return events

    def _ask(self, client: "httpx.Client", method: str, path: str, **options: Any) -> dict[str, Any]:
        import httpx

        try:
            answer = client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._down(f"{type(error).__name__}: {error}") from error
        if answer.status_code in (401, 403):
            raise ConnectionConfigError(
                f"the Airflow of {self.airflow_conn_id!r} refuses {method} {path} ({answer.status_code})",
                expected="a user, or a token, with the right to read assets",
                remedy="Correct the connection's login and password",
            )
        if answer.status_code >= 300:
            raise self._down(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        found: dict[str, Any] = answer.json()
        return found

    def _down(self, reason: str) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"the Airflow of {self.airflow_conn_id!r} did not answer: {reason}",
            expected="an Airflow that is reachable at the connection's host",
        )


def _event(document: Mapping[str, Any]) -> AssetEvent:
    return AssetEvent(
        id=int(document["id"]),
        timestamp=datetime.fromisoformat(str(document["timestamp"]).replace("Z", "+00:00")),
        extra=document.get("extra") or {},
        source_dag_id=document.get("source_dag_id"),
        source_run_id=document.get("source_run_id"),
        partition_key=document.get("partition_key"),
    )
