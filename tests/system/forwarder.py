"""A TCP port in front of a server's Unix socket, that can be closed and opened again: a server that goes away."""

import contextlib
import socket
import socketserver
import threading
from pathlib import Path

from scripts.services.processes import free_port


class Forwarder:
    """Forwards connections to `target` while it is open; closing it also cuts those that are there."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.port = free_port()
        self._server: socketserver.ThreadingTCPServer | None = None
        self._sockets: list[socket.socket] = []

    def open(self) -> None:
        """Listen."""
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.forwarder = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Refuse connections and cut what there is."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        while self._sockets:
            with contextlib.suppress(OSError):
                self._sockets.pop().shutdown(socket.SHUT_RDWR)

    def pump(self, client: socket.socket) -> None:
        """Carry bytes both ways until one side ends."""
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self.target))
            self._sockets += [client, server]
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    forwarder: Forwarder


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.server.forwarder.pump(self.request)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
