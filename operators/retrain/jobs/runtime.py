"""Where a job runs: in the worker, in another Python environment on it, or in a Kubernetes pod.

All three run the same steps on the same document. The classes are configuration only, plain JSON through `to_dict`;
the pod is built by `retrain.operators.pod`, because it needs Airflow's Kubernetes provider.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrain.exceptions import ContractError, DeclarationError, JobFailedError
from retrain.records import JobRequest, JobResult
from retrain.records._codec import Record

# What `retrain run` exits with when it was given something that it does not understand.
EXIT_REFUSED = 2


@dataclass(frozen=True)
class Worker(Record):
    """In the task's own process. With Airflow's forkserver preload the libraries are there already."""

    kind: str = "worker"


@dataclass(frozen=True)
class ExternalPython(Record):
    """In another Python environment on the worker: no dependency fights with Airflow.

    `python` is that environment's interpreter, with `retrain[jobs]` installed. `env` is added to the job's environment.
    """

    python: str
    env: Mapping[str, str] = field(default_factory=dict)
    kind: str = "external_python"

    def run(
        self,
        request: JobRequest,
        secrets: Mapping[str, str] | None = None,
        on_start: "Callable[[subprocess.Popen[str]], None] | None" = None,
    ) -> JobResult:
        """Run the job in a child process; JobFailedError if it ends without a result.

        `secrets` reach the child through its environment, which only its own user can read: never through a file,
        its arguments or the document. Its log goes to this process's standard output, line by line. `on_start` gets
        the child, to end it from a signal handler. On Linux the child also ends when the thread that calls this ends.
        """
        if not os.access(self.python, os.X_OK) or Path(self.python).is_dir():
            raise DeclarationError(
                f"there is no interpreter {self.python!r}",
                expected="the path of a Python in which retrain[jobs] is installed",
                remedy="Correct ExternalPython(python=...) in the declaration",
            )
        with tempfile.TemporaryDirectory(prefix="retrain-job-") as folder:
            asked, answered = Path(folder, "request.json"), Path(folder, "result.json")
            asked.write_text(json.dumps(request.to_dict()), encoding="utf-8")
            command = [self.python, "-m", "retrain", "run", "--input", str(asked), "--output", str(answered)]
            # The child asks the kernel for this itself: a preexec_fn may deadlock in a process with threads.
            command += ["--die-with-parent", str(os.getpid())]
            process = subprocess.Popen(  # noqa: S603
                [*command, ",".join(request.steps)],
                env={**_child_environment(), **self.env, **(secrets or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",  # a log line in another encoding is no reason to lose the job
            )
            code, tail = _follow(process, on_start)
            return _read_result(answered, code, tail)


@dataclass(frozen=True)
class KubernetesPod(Record):
    """In a pod of the cncf-kubernetes provider, with the same command line.

    `image` holds `retrain[jobs]` and the project. `requests` and `limits` are Kubernetes quantities by resource name.
    `secrets` names Kubernetes secrets whose entries become environment variables (MLFLOW_TRACKING_USERNAME, AWS_...).
    `project_root` is where the project lies in the image. Until its container runs the pod may take
    `startup_timeout_seconds`, to be scheduled and then to pull its image, each.
    """

    image: str
    namespace: str = "default"
    project_root: str | None = None
    service_account: str | None = None
    requests: Mapping[str, str] = field(default_factory=lambda: {"cpu": "1", "memory": "2Gi"})
    limits: Mapping[str, str] = field(default_factory=lambda: {"memory": "2Gi"})
    secrets: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    image_pull_policy: str = "IfNotPresent"
    kubernetes_conn_id: str | None = "kubernetes_default"
    deferrable: bool = True
    startup_timeout_seconds: int = 600
    kind: str = "kubernetes"


Runtime = Worker | ExternalPython | KubernetesPod
_KINDS: dict[str, type[Worker] | type[ExternalPython] | type[KubernetesPod]] = {
    "worker": Worker,
    "external_python": ExternalPython,
    "kubernetes": KubernetesPod,
}


def runtime_from_dict(document: Mapping[str, Any] | None) -> Runtime:
    """Rebuild a runtime from `to_dict`; None is the worker."""
    if document is None:
        return Worker()
    kind = document.get("kind")
    if kind not in _KINDS:
        raise DeclarationError(f"the runtime is {kind!r}", expected=" | ".join(_KINDS))
    return _KINDS[kind].from_dict(document)


def _child_environment() -> dict[str, str]:
    """Return the environment of this process without what is Airflow's or would mix two Python environments."""
    mixed = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {
        name: value
        for name, value in os.environ.items()
        if name not in mixed and not name.startswith(("AIRFLOW_", "_AIRFLOW_"))
    }


def _follow(
    process: "subprocess.Popen[str]", on_start: "Callable[[subprocess.Popen[str]], None] | None"
) -> tuple[int, list[str]]:
    """Copy the child's log to ours; end the child if we are ended. Returns its exit code and its last lines."""
    tail: list[str] = []
    try:
        if on_start is not None:
            on_start(process)
        assert process.stdout is not None  # noqa: S101  (PIPE was asked for)
        with process.stdout as lines:
            for line in lines:
                print(line, end="", flush=True)
                tail = [*tail[-19:], line.rstrip()]
        return process.wait(), tail
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _read_result(path: Path, code: int, tail: list[str]) -> JobResult:
    last = " | ".join(tail[-5:])
    if code == EXIT_REFUSED:
        raise ContractError(
            f"the job's environment refused the job document: {last}",
            remedy="Install the same version of retrain there as here",
        )
    if not path.exists():
        raise JobFailedError(
            f"the job ended with exit code {code} and without a result; its last lines: {last}",
            remedy="Read the task's log; exit code -9 or 137 usually means that it ran out of memory",
        )
    return JobResult.from_dict(json.loads(path.read_text(encoding="utf-8")))
