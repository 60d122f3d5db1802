"""The web app that shows stored pages to people who are logged in to Airflow and may read the DAG."""

import html
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from retrain.exceptions import DataError, RetrainError, UnavailableError
from retrain.plugin.addresses import XCOM_KEY, page_path
from retrain.plugin.pages import ForbiddenPageError, read_page

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

_ALWAYS = {
    # Whoever logs in after this person at the same computer shall not find the page in the browser's cache.
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_NOTHING = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
# A stored page is not trusted: it was drawn from data. Its scripts, without which Evidently draws nothing, run in an
# origin of their own (`sandbox` without `allow-same-origin`), where Airflow's cookies and API are out of reach, and
# can load nothing from anywhere.
_STORED = f"sandbox allow-scripts; {_NOTHING}; script-src 'unsafe-inline'; img-src data:; font-src data:"


def pages_app() -> "FastAPI":
    """Make the app; everything of Airflow's API server is imported here, because nobody else needs it."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, Response
    from starlette.exceptions import HTTPException

    app = FastAPI(title="Retrain", openapi_url=None)
    # The permission that the page's address, an XCom, needs too.
    may_read = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))

    @app.exception_handler(HTTPException)
    async def refused(request: "Request", error: HTTPException) -> Response:
        return _message(request, error.status_code, str(error.detail))

    # Not a coroutine: FastAPI runs it in a thread, as the database and the store are waited for.
    @app.get("/pages/{dag_id}/{run_id}/{task_id}/{map_index}/{name}", dependencies=[may_read])
    def page(
        dag_id: str, run_id: str, task_id: str, map_index: int, name: str, partition: str | None = None
    ) -> Response:
        uri = _pages(dag_id, run_id, task_id, map_index).get(name)
        if isinstance(uri, dict):
            if partition is None:
                return _contents(f"{name.capitalize()}: {task_id} of {dag_id}", sorted(uri))
            uri = uri.get(partition)
        if not isinstance(uri, str):
            of = "" if partition is None else f" of {partition!r}"
            raise HTTPException(404, f"The task {task_id} of {dag_id}, {run_id}, has no page {name!r}{of}")
        try:
            content = read_page(uri, _stores())
        except RetrainError as error:
            raise HTTPException(_status(error), str(error)) from error
        headers = {**_ALWAYS, "Content-Security-Policy": _STORED}
        return Response(content, media_type="text/html; charset=utf-8", headers=headers)

    return app


def _pages(dag_id: str, run_id: str, task_id: str, map_index: int) -> dict[str, Any]:
    """Return what the task pushed as its pages; nothing where there is no such DAG, run, task or page."""
    from airflow.models.dag import DagModel
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(XComModel.value).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.task_id == task_id,
        XComModel.map_index == map_index,
        XComModel.key == XCOM_KEY,
        # Airflow's check of the permission says yes to whatever does not exist.
        select(DagModel.dag_id).where(DagModel.dag_id == dag_id).exists(),
    )
    with create_session(scoped=False) as session:
        value = session.scalar(query)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _stores() -> list[str]:
    from airflow.configuration import conf

    further = conf.getlist("retrain", "page_stores", fallback="") or []
    return [store for store in (conf.get("retrain", "store", fallback=None), *further) if store]


def _status(error: RetrainError) -> int:
    if isinstance(error, ForbiddenPageError):
        return HTTPStatus.FORBIDDEN
    if isinstance(error, DataError):
        return HTTPStatus.NOT_FOUND
    return HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, UnavailableError) else HTTPStatus.INTERNAL_SERVER_ERROR


def _message(request: "Request", status: int, detail: str) -> "Response":
    """Answer a person with a page of a few words instead of JSON."""
    from airflow.api_fastapi.app import get_cookie_path

    text = f"<p>{html.escape(detail)}</p>"
    if status == HTTPStatus.UNAUTHORIZED and request.path_params:
        root = get_cookie_path()
        back = quote(root + page_path(**request.path_params), safe="")
        text += f'<p><a href="{html.escape(root)}api/v2/auth/login?next={back}">Log in to Airflow</a></p>'
    return _own_page(f"{status} {HTTPStatus(status).phrase}", text, status)


def _contents(title: str, partitions: list[str]) -> "Response":
    """List the pages of a task that took several partitions in."""
    entries = (f'<li><a href="?partition={quote(name, safe="")}">{html.escape(name)}</a></li>' for name in partitions)
    return _own_page(html.escape(title), f"<ul>{''.join(entries)}</ul>", HTTPStatus.OK)


def _own_page(title: str, text: str, status: int) -> "Response":
    from fastapi import Response

    style = "body{font-family:sans-serif;max-width:50em;margin:3em auto;padding:0 1em;overflow-wrap:anywhere}"
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    body = f'<!doctype html><html lang="en">{head}<h1>{title}</h1>{text}</html>'
    headers = {**_ALWAYS, "Content-Security-Policy": _NOTHING}
    return Response(body, status, headers, media_type="text/html; charset=utf-8")
