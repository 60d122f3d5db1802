"""A process that may hang, eat memory, print without end or leave children behind: watched, and ended with them."""

import contextlib
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# A model that prints more than this is stopped: it would fill the disk.
MOST_OUTPUT = 50_000_000
TAIL = 20_000
POLL_SECONDS = 0.05
# Of our own environment, what an interpreter needs to run at all. No credential is among it.
_PASSED = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TZ", "OMP_NUM_THREADS", "GOMP_SPINCOUNT")
CANARY = "RETRAIN_CANARY_SECRET"


@dataclass
class Watched:
    """A running process that leads a group of its own; `peak_bytes` is the most memory its group was seen to hold."""

    process: "subprocess.Popen[bytes]"
    output: Path
    memory_bytes: int | None
    peak_bytes: int = 0
    stopped: str | None = None
    members: "list[Seen]" = field(default_factory=list)

    def look(self) -> bool:
        """Return whether it still runs; stops it, with a reason in `stopped`, when it breaks a bound."""
        if self.process.poll() is not None:
            return False
        self._count()
        if self.memory_bytes is not None and self.peak_bytes > self.memory_bytes:
            self.stopped = f"it held {self.peak_bytes:,} bytes of memory; {self.memory_bytes:,} are allowed"
        elif self.output.stat().st_size > MOST_OUTPUT:
            self.stopped = f"it printed more than {MOST_OUTPUT:,} bytes"
        if self.stopped:
            self.kill()
            return False
        return True

    def wait_until(self, ready: Callable[[], bool], deadline: float) -> bool:
        """Wait until `ready` or the process ends; False, with the process killed, when the deadline passes."""
        while self.look() and not ready():
            if time.monotonic() > deadline:
                self.stopped = "time is up"
                self.kill()
                return False
            time.sleep(POLL_SECONDS)
        return self.stopped is None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look at it all the time while this thread waits for something else."""
        done = threading.Event()

        def look() -> None:
            while not done.wait(POLL_SECONDS) and self.look():
                pass

        thread = threading.Thread(target=look, name="serving-check", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def kill(self) -> None:
        """End the whole group at once, and what has left it."""
        self._count()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for one in self.members:
            now = _seen(one.pid)
            if now is not None and now.started == one.started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)

    def _count(self) -> None:
        living = family(self.process.pid, self.members)
        self.members = living
        self.peak_bytes = max(self.peak_bytes, sum(one.memory_bytes for one in living))

    def tail(self) -> str:
        """Return the end of what it printed."""
        with self.output.open("rb") as stream:
            stream.seek(max(0, self.output.stat().st_size - TAIL))
            return stream.read().decode("utf-8", errors="replace")


@contextlib.contextmanager
def watched(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    folder: Path,
    memory_bytes: int | None = None,
    input_open: bool = False,
) -> Iterator[Watched]:
    """Run a command in `folder`; after the block it and all that it started are gone, whatever happened.

    With `input_open` its standard input is empty and ends with this process, however that ends.
    """
    output = folder / f"output-{secrets.token_hex(4)}.log"
    with output.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603
            list(command),
            env=dict(env),
            cwd=folder,
            stdin=subprocess.PIPE if input_open else subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Watched(process, output, memory_bytes)
    try:
        yield running
    finally:
        running.kill()
        if process.stdin is not None:
            process.stdin.close()


def clean_environment(python: str, folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with nothing of ours but what an interpreter needs, and `extra`.

    Home and temporary files lie in `folder`. A random canary is among it: who prints the environment prints that.
    """
    kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(python).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Whoever unpickles runs what the file says; `env` may say otherwise.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        CANARY: secrets.token_hex(16),
        **extra,
    }


@dataclass(frozen=True)
class Seen:
    """A process as the kernel tells of it; number and start together name it once and for all."""

    pid: int
    started: int
    parent: int
    group: int
    memory_bytes: int


def family(leader: int, known: Collection[Seen] = ()) -> list[Seen]:
    """Return the living processes of the leader's group, those that descend from it, and those of `known`.

    Empty where the kernel does not tell (no /proc).
    """
    living = {found.pid: found for found in map(_seen, _pids()) if found is not None}
    names = {(one.pid, one.started) for one in known}
    members = {
        pid for pid, one in living.items() if one.group == leader or pid == leader or (pid, one.started) in names
    }
    while more := {pid for pid, one in living.items() if one.parent in members and pid not in members}:
        members |= more
    return [living[pid] for pid in members]


def _seen(pid: int) -> Seen | None:
    try:
        # The name stands in brackets and may hold anything: fields are counted after the last one.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        if fields[0] == "Z":  # it has ended, and nobody asked how
            return None
        return Seen(pid, int(fields[19]), int(fields[1]), int(fields[2]), int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, IndexError):
        return None


def _pids() -> list[int]:
    if not Path("/proc").is_dir():
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
