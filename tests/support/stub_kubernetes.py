"""A STUB of the Kubernetes API on loopback: as much of it as the pod operator of Airflow's provider asks for.

Create (validated by Kubernetes' own schemas), list, read, patch, log, events, delete, and the two commands that the
provider runs in the XCom sidecar, over the real websocket protocol. It is no cluster: see `stub_pod` for what a pod is.
"""

import asyncio
import itertools
import json
import re
import shutil
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kubernetes_validate
import uvicorn
from kubernetes.utils import parse_quantity
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from scripts.services.processes import free_port
from tests.support.stub_pod import StubPod, now

REPOSITORY = Path(__file__).parents[2]
VERSION = "1.36"
PODS = "/api/v1/namespaces/{namespace}/pods"
LABEL = re.compile(r"([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?")
EMPTY = "__airflow_xcom_result_empty__"


class StubKubernetes:
    """The stub: its pods find `image`, whose own variables are `variables`, and `secrets`.

    So many requests as `failing` says end in a 500. `created` are all pods that ever were.
    """

    image = "registry/jobs:1"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.variables = {"PYTHONPATH": str(REPOSITORY / "operators"), "GOMP_SPINCOUNT": "10000"}
        self.secrets: dict[str, dict[str, str]] = {}
        self.failing = 0
        self.pods: dict[tuple[str, str], StubPod] = {}
        self.created: list[StubPod] = []
        self.port = free_port()
        self._numbers = itertools.count(1)
        self._ending: set[asyncio.Task[None]] = set()
        self.routes = Starlette(
            routes=[
                Route(PODS, self.create, methods=["POST"]),
                Route(PODS, self.list),
                Route(PODS + "/{name}", self.read),
                Route(PODS + "/{name}", self.patch, methods=["PATCH"]),
                Route(PODS + "/{name}", self.delete, methods=["DELETE"]),
                Route(PODS + "/{name}/log", self.log),
                WebSocketRoute(PODS + "/{name}/exec", self.exec),
                Route("/api/v1/namespaces/{namespace}/events", self.events),
            ]
        )

    @property
    def config(self) -> dict[str, Any]:
        """A kubeconfig that leads here."""
        return {
            "apiVersion": "v1", "kind": "Config", "current-context": "stub",
            "clusters": [{"name": "stub", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "stub", "user": {}}],
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
        }  # fmt: skip

    @contextmanager
    def running(self) -> Iterator["StubKubernetes"]:
        """Serve; afterwards no process of a pod is left."""
        server = uvicorn.Server(
            uvicorn.Config(self, host="127.0.0.1", port=self.port, log_level="error", lifespan="off")
        )
        thread = threading.Thread(target=server.run, name="stub-kubernetes", daemon=True)
        thread.start()
        while thread.is_alive() and not server.started:
            threading.Event().wait(0.01)
        try:
            yield self
        finally:
            for pod in self.created:
                pod.kill(grace=0)
            server.should_exit = True
            thread.join()
            shutil.rmtree(self.root, ignore_errors=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or 500 while `failing`."""
        if scope["type"] == "http" and self.failing:
            self.failing -= 1
            await _refuse(500, "InternalError", "etcdserver: request timed out")(scope, receive, send)
            return
        await self.routes(scope, receive, send)

    async def create(self, request: Request) -> Response:
        """Start a pod; 400 for what breaks the schemas, 422 for a bad label, 409 for a name that is taken."""
        document = await request.json()
        namespace, name = request.path_params["namespace"], document["metadata"]["name"]
        if problem := _problem(document):
            return _refuse(400, "BadRequest", f"Pod in version v1 cannot be handled as a Pod: {problem}")
        if document["metadata"].get("namespace") != namespace:
            return _refuse(400, "BadRequest", "the namespace of the object does not match that of the request")
        if wrong := [value for value in document["metadata"]["labels"].values() if not LABEL.fullmatch(value)]:
            return _refuse(422, "Invalid", f'Pod "{name}" is invalid: metadata.labels: Invalid value: "{wrong[0]}"')
        if (namespace, name) in self.pods:
            return _refuse(409, "AlreadyExists", f'pods "{name}" already exists')
        number = next(self._numbers)
        document["metadata"].update(uid=f"stub-{number}", resourceVersion=str(number))
        pod = StubPod(document, self.root / f"pod-{number}")
        pod.start(self.variables if pod.containers[0]["image"] == self.image else None, self.secrets)
        self.pods[namespace, name] = pod
        self.created.append(pod)
        return JSONResponse(pod.seen(), 201)

    async def list(self, request: Request) -> Response:
        """List the pods of a namespace that a label selector fits."""
        wanted = request.query_params.get("labelSelector", "")
        found = [
            pod.seen()
            for (namespace, _), pod in list(self.pods.items())
            if namespace == request.path_params["namespace"] and _fits(pod.document["metadata"]["labels"], wanted)
        ]
        return JSONResponse({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": found})

    async def read(self, request: Request) -> Response:
        """Show a pod."""
        pod = self._find(request)
        return JSONResponse(pod.seen()) if pod else _gone(request)

    async def patch(self, request: Request) -> Response:
        """Change a pod's labels."""
        pod = self._find(request)
        if pod is None:
            return _gone(request)
        pod.document["metadata"]["labels"].update((await request.json())["metadata"]["labels"])
        return JSONResponse(pod.seen())

    async def delete(self, request: Request) -> Response:
        """End a pod within its grace period; it is shown until it has ended."""
        pod = self._find(request)
        if pod is None:
            return _gone(request)
        asked = json.loads(await request.body() or "{}").get("gracePeriodSeconds")
        grace = asked if asked is not None else pod.document["spec"].get("terminationGracePeriodSeconds", 30)
        if "deletionTimestamp" not in pod.document["metadata"]:
            pod.document["metadata"].update(deletionTimestamp=now(), deletionGracePeriodSeconds=grace)
            task = asyncio.create_task(self._end(request.path_params["namespace"], pod, grace))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        return JSONResponse(pod.seen())

    async def _end(self, namespace: str, pod: StubPod, grace: float) -> None:
        await asyncio.to_thread(pod.kill, grace)
        self.pods.pop((namespace, pod.document["metadata"]["name"]), None)

    async def log(self, request: Request) -> Response:
        """Stream a container's log; followed, until the container has ended."""
        pod = self._find(request)
        if pod is None:
            return _gone(request)
        if pod.process is None:
            return _refuse(400, "BadRequest", "container is waiting to start")
        follow, stamped = (request.query_params.get(name, "").lower() == "true" for name in ("follow", "timestamps"))

        async def lines() -> AsyncIterator[bytes]:
            with pod.log.open("rb") as stream:
                rest = b""
                while True:
                    last = pod.done or not follow
                    *whole, rest = (rest + stream.read()).split(b"\n")
                    for line in [*whole, rest] if last and rest else whole:
                        yield (now().encode() + b" " if stamped else b"") + line + b"\n"
                    if last:
                        return
                    await asyncio.sleep(0.05)

        return StreamingResponse(lines(), media_type="text/plain")

    async def events(self, request: Request) -> Response:
        """Say that there are no events; watched, for as long as was asked."""
        if request.query_params.get("watch", "").lower() != "true":
            return JSONResponse({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": []})

        async def none() -> AsyncIterator[bytes]:
            await asyncio.sleep(min(float(request.query_params.get("timeoutSeconds", 1)), 1))
            yield b""

        return StreamingResponse(none(), media_type="application/json")

    async def exec(self, socket: WebSocket) -> None:
        """Answer what the provider runs in the sidecar: show the XCom file, and end. No command is really run."""
        pod = self.pods.get((socket.path_params["namespace"], socket.path_params["name"]))
        sidecar = socket.query_params.get("container")
        if pod is None or sidecar in pod.ended or sidecar is None:
            await socket.close()
            return
        await socket.accept(subprotocol="v4.channel.k8s.io")
        command = socket.query_params.getlist("command")
        if shown := re.fullmatch(r"if \[ -s (\S+) \]; then cat \1; else echo \w+; fi", command[-1]):
            file = Path(pod.here(shown[1]))
            await socket.send_bytes(b"\x01" + (file.read_bytes() if file.exists() else EMPTY.encode() + b"\n"))
        elif command == ["/bin/sh"]:
            try:
                while not str((await socket.receive()).get("text", "")).startswith("\x00kill -2 "):
                    pass
            except (WebSocketDisconnect, RuntimeError):
                return
            pod.end(sidecar, 0, "Completed")
        else:
            await socket.send_bytes(b"\x02the stub does not know this command\n")
        await socket.send_bytes(b'\x03{"metadata":{},"status":"Success"}')
        await socket.close()

    def _find(self, request: Request) -> StubPod | None:
        return self.pods.get((request.path_params["namespace"], request.path_params["name"]))


def _problem(document: dict[str, Any]) -> str | None:
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
        for container in document["spec"]["containers"]:
            for quantities in container.get("resources", {}).values():
                for quantity in quantities.values():
                    parse_quantity(quantity)
    except (kubernetes_validate.ValidationError, ValueError) as error:
        return str(getattr(error, "message", error))
    return None


def _fits(labels: Mapping[str, str], selector: str) -> bool:
    for term in filter(None, selector.split(",")):
        name, unlike, value = term.partition("!=")
        if unlike:
            fits = labels.get(name) != value
        elif term.startswith("!"):
            fits = term[1:] not in labels
        else:
            name, _, value = term.partition("=")
            fits = labels.get(name) == value
        if not fits:
            return False
    return True


def _gone(request: Request) -> Response:
    return _refuse(404, "NotFound", f'pods "{request.path_params["name"]}" not found')


def _refuse(code: int, reason: str, message: str) -> Response:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}
    return JSONResponse({**status, "code": code}, code)
