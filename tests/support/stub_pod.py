"""A STUB of what a kubelet does with a pod: its first container is a process of this machine, the others are pretended.

The process gets the container's very command, arguments and variables. Not as in a cluster: the image is this
machine's Python with the variables that the stub knows for the image's name, a volume is a folder (what lies under a
mount path is rewritten to it in command and arguments), and nothing limits memory: `out_of_memory` pretends that.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retrain.serving.processes import family

# A grace period is honoured as far as a test has the patience for it.
PATIENCE_SECONDS = 2.0


def now() -> str:
    """Return the time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class StubPod:
    """A pod that was accepted; `document` is what was asked for, `seen` what the API shows."""

    def __init__(self, document: dict[str, Any], folder: Path) -> None:
        self.document, self.folder = document, folder
        self.log = folder / "container.log"
        self.waiting: tuple[str, str] | None = None
        self.ended: dict[str, dict[str, Any]] = {}
        self.reason: str | None = None
        self.deadline: threading.Timer | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.containers: list[dict[str, Any]] = document["spec"]["containers"]
        self.started = now()
        document["metadata"].update(creationTimestamp=self.started)

    def start(self, image: Mapping[str, str] | None, secrets: Mapping[str, Mapping[str, str]]) -> None:
        """Start the first container; without its image or a secret it waits, with the kubelet's reason."""
        self.folder.mkdir(parents=True)
        container = self.containers[0]
        named = [source["secretRef"]["name"] for source in container.get("envFrom") or ()]
        missing = [name for name in named if name not in secrets]
        if image is None:
            self.waiting = ("ErrImagePull", f'failed to pull image "{container["image"]}": not found')
        elif missing:
            self.waiting = ("CreateContainerConfigError", f'secret "{missing[0]}" not found')
        else:
            own = {entry["name"]: entry.get("value", "") for entry in container.get("env") or ()}
            secret = {name: value for one in named for name, value in secrets[one].items()}
            self._run(container, {**image, **secret, **own})

    def _run(self, container: dict[str, Any], variables: Mapping[str, str]) -> None:
        command = [self.here(part) for part in [*container["command"], *container["args"]]]
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                command,
                env={"PATH": path, "HOME": str(self.folder), "LANG": "C.UTF-8", **variables},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if seconds := self.document["spec"].get("activeDeadlineSeconds"):
            self.deadline = threading.Timer(seconds, self._deadline_exceeded)
            self.deadline.daemon = True
            self.deadline.start()

    def here(self, text: str) -> str:
        """Put a volume's folder where a path of the container lies in one."""
        for mount in self.containers[0].get("volumeMounts") or ():
            folder = self.folder / "volumes" / mount["name"]
            folder.mkdir(parents=True, exist_ok=True)
            text = text.replace(mount["mountPath"] + "/", f"{folder}/")
        return text

    def end(self, name: str, code: int, reason: str) -> None:
        """Note that a container has ended, once."""
        self.ended.setdefault(
            name, {"exitCode": code, "reason": reason, "startedAt": self.started, "finishedAt": now()}
        )

    def look(self) -> None:
        """Note the end of the first container's process."""
        if self.process is not None and (code := self.process.poll()) is not None:
            code = 128 - code if code < 0 else code
            self.end(self.containers[0]["name"], code, "Completed" if code == 0 else "Error")
            if code and self.containers[0].get("terminationMessagePolicy") == "FallbackToLogsOnError":
                self.ended[self.containers[0]["name"]]["message"] = self.log.read_text(errors="replace")[-2048:]

    def out_of_memory(self) -> None:
        """Pretend that the kernel has killed the first container."""
        self.end(self.containers[0]["name"], 137, "OOMKilled")
        self.kill(grace=0)

    def _deadline_exceeded(self) -> None:
        self.reason = "DeadlineExceeded"
        self.kill(grace=0)
        self.look()
        for container in self.containers:
            self.end(container["name"], 137, "Error")

    def kill(self, grace: float) -> None:
        """End the container's processes as a kubelet does: all of them, those in sessions of their own too."""
        if self.deadline is not None:
            self.deadline.cancel()
        if self.process is None:
            return
        members = family(self.process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.process.poll() is None and grace:
                self.process.terminate()
                self.process.wait(min(grace, PATIENCE_SECONDS))
        for one in [*members, *family(self.process.pid, members)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def done(self) -> bool:
        """Whether the first container has ended."""
        self.look()
        return self.containers[0]["name"] in self.ended

    def seen(self) -> dict[str, Any]:
        """Return the pod as the API shows it, with its status."""
        self.look()
        states = [self._state(container["name"]) for container in self.containers]
        if self.waiting:
            phase = "Pending"
        elif any("running" in state for state in states):
            phase = "Running"
        else:
            codes = [state["terminated"]["exitCode"] for state in states]
            phase = "Failed" if any(codes) or self.reason else "Succeeded"
        statuses = [
            {"name": container["name"], "image": container["image"], "imageID": "stub", "restartCount": 0,
             "ready": "running" in state, "started": "running" in state, "state": state}
            for container, state in zip(self.containers, states, strict=True)
        ]  # fmt: skip
        status = {
            "phase": phase,
            "startTime": self.started,
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": statuses,
            **({"reason": self.reason} if self.reason else {}),
        }
        return {**self.document, "status": status}

    def _state(self, name: str) -> dict[str, Any]:
        if name in self.ended:
            return {"terminated": self.ended[name]}
        if self.waiting:
            return {"waiting": {"reason": self.waiting[0], "message": self.waiting[1]}}
        return {"running": {"startedAt": self.started}}
