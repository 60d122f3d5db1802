"""A receiver of webhooks on loopback, which answers as it is told to and keeps what it was sent."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """`answers` are the next statuses, then 200; `calls` are path, headers and document of each request."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.calls: list[tuple[str, dict[str, str], Any]] = []
        self.port = 0

    @property
    def keys(self) -> list[str]:
        """The idempotency keys, in order."""
        return [headers["Idempotency-Key"] for _, headers, _ in self.calls]


@contextlib.contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Run it for the time of the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.calls.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
