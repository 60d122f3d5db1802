"""Start servers in process groups of their own, wait until they answer, and stop them, children and all."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A running server: its process leads a group of its own; its output goes to `log`."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.poll() is None

    def tail(self, lines: int = 30) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """End the whole group at once, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ask_to_stop(self) -> None:
        """Ask the whole group to end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def wait_or_kill(self, seconds: float = 15) -> None:
        """Wait for the group's leader to end, then end what is left of the group."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self.kill()

    def stop(self, seconds: float = 15) -> None:
        """Ask the whole group to end, then end it."""
        self.ask_to_stop()
        self.wait_or_kill(seconds)


def start(name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Server:
    """Start a server."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(name, process, log)


def wait_for(
    what: str, ready: Callable[[], bool], servers: Sequence[Server] = (), *, seconds: float = 180, pause: float = 0.2
) -> None:
    """Poll until `ready`; RuntimeError with the end of the log when a server died or the time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        dead = [server for server in servers if not server.alive]
        if dead or time.monotonic() > deadline:
            cause = (
                f"{dead[0].name} ended with exit code {dead[0].process.poll()}" if dead else f"{seconds:.0f} s passed"
            )
            logs = "\n".join(f"--- the end of {server.log}\n{server.tail()}" for server in dead or servers)
            raise RuntimeError(f"Waited for {what}, but {cause}.\n{logs}")
        time.sleep(pause)
