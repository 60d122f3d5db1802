"""An S3 server of the tests."""

from collections.abc import Iterator
from contextlib import contextmanager

CREDENTIALS = {"key": "testing", "secret": "testing"}


@contextmanager
def running_s3() -> Iterator[str]:
    """Run a real S3 server over HTTP on a free loopback port; returns its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
