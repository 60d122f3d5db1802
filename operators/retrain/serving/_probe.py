"""What runs in the target environment: load a model and call it, or serve it. Needs MLflow and nothing of retrain.

    python -I _probe.py describe|call|serve REQUEST ANSWER PARENT

REQUEST and ANSWER are JSON files. The answer is written anew after each stage, so that whoever waits also knows how far
a process came that hangs or dies. PARENT is the process that asks; 0 in a container, where the standard input stands
for it: that ends with whoever asks.
"""

import ctypes
import json
import os
import platform
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
WARM_UP = 3


class Answer:
    """The answer so far, on disk after each stage."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self.document: dict[str, Any] = {"stage": "started"}

    def reached(self, stage: str, **facts: Any) -> None:
        """Note a stage that was reached, and what is known by it."""
        self.document.update(facts, stage=stage)
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self.document, default=str), encoding="utf-8")
        os.replace(part, self._path)


def describe() -> dict[str, Any]:
    """Return this interpreter's version and the versions of all installed packages."""
    from importlib.metadata import distributions

    names = ((found.metadata["Name"], found.version) for found in distributions())
    return {"python": platform.python_version(), "packages": {name: version for name, version in names if name}}


def call(asked: dict[str, Any], answer: Answer) -> None:
    """Load the model, call it on every payload, then row by row against the clock."""
    answer.reached("importing MLflow")
    import mlflow.pyfunc
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    answer.reached("loading", peak_bytes_before=peak_bytes())
    started = time.perf_counter()
    model = mlflow.pyfunc.load_model(asked["model"])
    answer.reached("loaded", load_seconds=time.perf_counter() - started)
    schema = model.metadata.get_input_schema()
    outputs: dict[str, Any] = {}
    for name, payload in asked["payloads"].items():
        answer.reached(f"predicting {name}")
        frame = infer_and_parse_data(payload, schema)
        outputs[name] = table(model.predict(frame))
        answer.reached(f"predicted {name}", outputs=outputs)
    answer.reached("measuring latency")
    timed = [infer_and_parse_data(payload, schema) for payload in asked["single"]]
    answer.reached("done", latencies_ms=_timed(model, timed, asked["calls"], asked["seconds"]), peak_bytes=peak_bytes())


def table(output: Any) -> dict[str, Any]:
    """Return what a model gives (frame, series, array, list) as columns and rows of plain values."""
    if hasattr(output, "columns"):
        return {"columns": [str(name) for name in output.columns], "rows": output.to_numpy(dtype=object).tolist()}
    values = output.tolist() if hasattr(output, "tolist") else list(output)
    rows = [value if isinstance(value, list) else [value] for value in values]
    width = len(rows[0]) if rows else 0
    return {"columns": ["prediction"] if width == 1 else [str(index) for index in range(width)], "rows": rows}


def serve(asked: dict[str, Any]) -> None:
    """Become MLflow's scoring server: the command that `mlflow models serve` starts, in this very process."""
    import shlex

    from mlflow.pyfunc.scoring_server import get_cmd

    command, environment = get_cmd(asked["model"], asked["port"], "127.0.0.1", nworkers=1)
    # `-P`: the working directory is not a place to import from.
    os.execve(sys.executable, [sys.executable, "-P", "-m", *shlex.split(command)], environment)  # noqa: S606


def _timed(model: Any, frames: list[Any], calls: int, seconds: float) -> list[float]:
    times: list[float] = []
    deadline = time.monotonic() + seconds
    for number in range(calls + WARM_UP if frames else 0):
        started = time.perf_counter()
        model.predict(frames[number % len(frames)])
        if number >= WARM_UP:
            times.append(1000 * (time.perf_counter() - started))
        if time.monotonic() > deadline:
            break
    return times


def peak_bytes() -> int:
    """Return the most memory that this process has held.

    On Linux `ru_maxrss` of a child begins with the size of its parent, also across exec: an Airflow worker's size would
    be held against the model. `VmHWM` is the process's own (proc_pid_status(5)).
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _die_with(parent: int) -> None:
    """Ask the kernel to end this process with the one that asked for it; it holds across exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the check that started this has ended")


def _end_with_input() -> None:
    """Go on in a child; the container's first process stays to watch, and ends it all when its input ends.

    In a process of its own, because a model may hang and hold Python's lock.
    """
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        return

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def main() -> None:
    """Run as the module's docstring says."""
    what, asked_path, answer_path, parent = sys.argv[1:]
    if int(parent):
        _die_with(int(parent))
    else:
        _end_with_input()
    answer = Answer(answer_path)
    asked = json.loads(Path(asked_path).read_text(encoding="utf-8"))
    answer.reached("started", **describe())
    try:
        if what == "call":
            call(asked, answer)
        elif what == "serve":
            serve(asked)
    except BaseException as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        said = {"type": type(error).__name__, "text": str(error)}
        answer.reached(answer.document["stage"], error=said, missing=missing)
        raise


if __name__ == "__main__":
    main()
