"""Load the model in the target environment and feed it: in a process of its own, or behind MLflow's scoring server."""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrain.serving import containers
from retrain.serving.processes import Watched, watched
from retrain.serving.verdict import Limits, ServingMode

SCRIPT = Path(__file__).with_name("_probe.py")
WARM_UP = 3
# How long latency may be measured, whatever the number of calls.
MEASURE_SECONDS = 20.0
# As many calls are enough where latency is told and not judged.
TOLD_CALLS = 50
# What a container's client answers for a process that was ended by SIGKILL.
_KILLED = 137


@dataclass
class Report:
    """How far the model came. `problem` says in words why no further; `log` is what was printed."""

    stage: str = "started"
    problem: str | None = None
    missing: str | None = None
    python: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    load_seconds: float | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    log: str = ""


@dataclass(frozen=True)
class Trial:
    """What is to be tried: the model's folder, payloads by name, payloads of one row, and where."""

    model: Path
    payloads: Mapping[str, Any]
    single: list[Any]
    python: str
    env: Mapping[str, str]
    folder: Path
    limits: Limits
    image: str | None = None


def run(trial: Trial, mode: ServingMode) -> Report:
    """Try the model; never raises for what the model does. Nothing that it started outlives the call."""
    report = Report()
    deadline = time.monotonic() + trial.limits.total_seconds
    if mode is not ServingMode.SCORING_SERVER:
        _in_process(trial, report, deadline)
    else:
        _describe(trial, report, deadline)
        if report.problem is None:
            _behind_server(trial, report, deadline)
    return report


def _in_process(trial: Trial, report: Report, deadline: float) -> None:
    with _started(trial, "call") as (process, answer):
        loaded_by = min(deadline, time.monotonic() + trial.limits.load_seconds)

        def past_loading() -> bool:
            return _read(answer).get("stage", "started") not in ("started", "importing MLflow", "loading")

        in_time = process.wait_until(past_loading, loaded_by)
        if in_time:
            in_time = process.wait_until(lambda: False, deadline)
        document = _read(answer)
        report.latencies_ms = document.get("latencies_ms", [])
        _finish(report, process, document, contained=trial.image is not None)
        if not in_time and process.stopped == "time is up":
            report.problem = _hung(report.stage, trial.limits)


def _calls(limits: Limits) -> int:
    told = limits.p50_ms is None and limits.p99_ms is None
    return min(limits.calls, TOLD_CALLS) if told else limits.calls


def _describe(trial: Trial, report: Report, deadline: float) -> None:
    with _started(trial, "describe") as (process, answer):
        process.wait_until(lambda: False, deadline)
        _finish(report, process, _read(answer))
        report.stage = "started" if report.problem else "loading"


def _behind_server(trial: Trial, report: Report, deadline: float) -> None:
    port = _free_port()
    with _started(trial, "serve", port=port) as (process, answer):
        started = time.monotonic()
        answers = (
            process.wait_until(lambda: _ping(port), min(deadline, started + trial.limits.load_seconds))
            and process.look()
        )
        if answers:
            report.stage, report.load_seconds = "loaded", time.monotonic() - started
            with process.watching():
                _feed(trial, report, port, deadline)
        document = _read(answer)
        code = process.process.poll()
        if process.stopped == "time is up":
            report.problem = _hung(report.stage, trial.limits)
        elif process.stopped:
            report.problem = process.stopped
        elif code is not None:
            _name_error(report, document, process.tail(), code)
        report.peak_bytes, report.log = process.peak_bytes, report.log + process.tail()


def _feed(trial: Trial, report: Report, port: int, deadline: float) -> None:
    for name, payload in trial.payloads.items():
        report.stage = f"predicting {name}"
        status, body = _post(port, payload, deadline)
        if status != 200:
            report.problem = _refused(status, body, name)
            return
        report.outputs[name] = _table(json.loads(body))
    report.stage = "measuring latency"
    measured_until = min(deadline, time.monotonic() + MEASURE_SECONDS)
    for number in range(_calls(trial.limits) + WARM_UP if trial.single else 0):
        started = time.perf_counter()
        status, body = _post(port, trial.single[number % len(trial.single)], deadline)
        if status != 200:
            report.problem = _refused(status, body, "a request of one row")
            return
        if number >= WARM_UP:
            report.latencies_ms.append(1000 * (time.perf_counter() - started))
        if time.monotonic() > measured_until:
            break
    report.stage = "done"


@contextlib.contextmanager
def _started(trial: Trial, what: str, **more: Any) -> Iterator[tuple[Watched, Path]]:
    """Start the probe; gives the process and the path of its answer."""
    asked, answer = trial.folder / f"{what}.json", trial.folder / f"{what}-answer.json"
    document = {
        "model": str(trial.model),
        "payloads": dict(trial.payloads),
        "single": trial.single,
        "calls": _calls(trial.limits),
        "seconds": MEASURE_SECONDS,
        **more,
    }
    asked.write_text(json.dumps(document), encoding="utf-8")
    script = trial.folder / SCRIPT.name
    shutil.copyfile(SCRIPT, script)
    bound = trial.limits.memory_bytes
    # Unbuffered, because -I passes PYTHONUNBUFFERED over: what a killed model has printed is not lost.
    if trial.image is None:
        command = [trial.python, "-I", "-u", str(script), what, str(asked), str(answer), str(os.getpid())]
        with watched(command, env=trial.env, folder=trial.folder, memory_bytes=bound) as process:
            yield process, answer
        return
    name = f"retrain-serving-{secrets.token_hex(6)}"
    # The first process of a container has no parent: its number is 0.
    inside = [trial.python, "-I", "-u", str(script), what, str(asked), str(answer), "0"]
    command = containers.command(trial.image, name, inside, env=trial.env, folder=trial.folder, memory_bytes=bound)
    try:
        # Who dies cannot remove the container: it ends with this input.
        with watched(command, env=containers.client_environment(), folder=trial.folder, input_open=True) as process:
            yield process, answer
    finally:
        containers.remove(name)


def _finish(report: Report, process: Watched, document: Mapping[str, Any], *, contained: bool = False) -> None:
    report.stage = document.get("stage", "started")
    report.python, report.packages = document.get("python"), document.get("packages", {})
    report.load_seconds, report.outputs = document.get("load_seconds"), document.get("outputs", {})
    # In a container the model is no process of ours: only it knows what it held.
    report.peak_bytes = (
        document.get("peak_bytes", 0) if contained else max(process.peak_bytes, document.get("peak_bytes", 0))
    )
    report.log += process.tail()
    code = process.process.poll()
    if process.stopped:
        report.problem = process.stopped
    elif code != 0:
        _name_error(report, document, process.tail(), code)


def _name_error(report: Report, document: Mapping[str, Any], tail: str, code: int | None) -> None:
    error = document.get("error")
    report.missing = document.get("missing") or _missing(tail)
    if error:
        report.problem = f"{error['type']}: {error['text']}"
    elif code is not None and (code < 0 or code == _KILLED):
        report.problem = f"it was ended by signal {-code if code < 0 else 9}"
        report.problem += ", which usually means that memory ran out" if code in (-9, _KILLED) else ""
    else:
        lines = [line.strip() for line in tail.splitlines() if line.strip()] or ["nothing was printed"]
        said = next((line for line in reversed(lines) if "Error" in line), lines[-1])
        report.problem = f"it ended with exit code {code}: {said[:500]}"


def _missing(tail: str) -> str | None:
    marker = "ModuleNotFoundError: No module named '"
    return tail.rpartition(marker)[2].partition("'")[0] if marker in tail else None


def _hung(stage: str, limits: Limits) -> str:
    if stage in ("started", "importing MLflow", "loading"):
        return f"it did not load within {limits.load_seconds:g} s ({stage}) and was killed"
    return f"it was not done within {limits.total_seconds:g} s ({stage}) and was killed"


def _read(answer: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ping(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _post(port: int, payload: Any, deadline: float) -> tuple[int, str]:
    """Return status and body; status 0 for a server that does not answer in time or hangs up."""
    timeout = max(0.1, deadline - time.monotonic())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", "/invocations", json.dumps(payload), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", errors="replace")
    except TimeoutError:
        return 0, f"no answer within {timeout:.3g} s"
    except (OSError, http.client.HTTPException) as error:
        return 0, f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def _refused(status: int, body: str, name: str) -> str:
    with contextlib.suppress(ValueError, AttributeError):
        body = str(json.loads(body).get("message", body))
    return f"/invocations answered {status or 'nothing'} to {name}: {' '.join(body.split())[:500]}"


def _table(document: Any) -> dict[str, Any]:
    """Return the server's answer as columns and rows."""
    found = document["predictions"] if isinstance(document, dict) and "predictions" in document else document
    found = found if isinstance(found, list) else [found]
    if found and isinstance(found[0], dict):
        columns = list(found[0])
        return {"columns": columns, "rows": [[row.get(name) for name in columns] for row in found]}
    rows = [value if isinstance(value, list) else [value] for value in found]
    width = len(rows[0]) if rows else 0
    return {"columns": ["prediction"] if width == 1 else [str(index) for index in range(width)], "rows": rows}
