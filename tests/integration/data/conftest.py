from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pandas as pd
import pytest

from retrain.data import storage
from tests.support.s3 import CREDENTIALS


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"distance": [1400, 1416, 1089], "carrier": ["UA", None, "B6"]})


class _Refusing(BaseHTTPRequestHandler):
    """Answers every request with the S3 error that its server was given."""

    def _refuse(self) -> None:
        status, code = self.server.answer  # type: ignore[attr-defined]
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = _refuse

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def refusing(request: pytest.FixtureRequest) -> Iterator[None]:
    """A store that refuses everything: parametrize indirectly with (HTTP status, S3 error code)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    server.answer = request.param  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with storage.configure("s3", endpoint_url=f"http://127.0.0.1:{server.server_port}", **CREDENTIALS):
        yield
    server.shutdown()
    server.server_close()
    thread.join()
