"""The serving check: whether this very artifact may serve in that environment."""

import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.exceptions import ConfigurationError
from retrain.records import GateStatus
from retrain.serving import artifact, containers
from retrain.serving.answers import judge_finite, judge_replay, judge_same, judge_schema
from retrain.serving.loading import Report, Trial, run
from retrain.serving.parity import judge_parity
from retrain.serving.processes import CANARY, clean_environment
from retrain.serving.redaction import Redaction
from retrain.serving.verdict import Limits, ServingCheck, ServingMode, ServingVerdict, failed, passed, unknown

if TYPE_CHECKING:
    import pandas as pd

    Answers = pd.DataFrame | Callable[[], pd.DataFrame | None] | None

# The worst decides.
_ORDER = (GateStatus.FAIL, GateStatus.INCONCLUSIVE, GateStatus.PASS)


def check(
    model: str,
    *,
    python: str | None = None,
    image: str | None = None,
    mode: str = "process",
    tracking_uri: str | None = None,
    requests: "pd.DataFrame | None" = None,
    expected: "Answers" = None,
    champion: "Answers" = None,
    limits: Limits | None = None,
    lock: Sequence[str] = (),
    digest: str | None = None,
    env: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> ServingVerdict:
    """Load the artifact in a clean process of the target environment, feed it, and say whether it may serve.

    `model` is an MLflow URI or a model's folder, `python` the target environment's interpreter (default: this one),
    which needs MLflow and nothing of retrain; of the mode docker, `python` in a container of `image`. The model is fed
    its input example and `requests` (raw rows). `expected` are this model's own answers to them from the evaluation,
    which must come again; `champion` the champion's, from which it may differ within the limits. Both may be functions,
    which are asked once the model has answered by itself and may answer None. `lock` are requirement lines beside the
    model's own, `digest` what `ServingVerdict.digest` has to be. `env` is added to an otherwise empty environment, and
    so are `secrets`, whose values the model may not print and the verdict does not show.

    Whatever the model does (hang, exit, eat memory, print without end, answer NaN) is a verdict. Raises
    ConfigurationError for an interpreter or a mode that is not there, DataError for an artifact that cannot be read and
    for recorded answers that do not fit the requests, RegistryUnavailableError when MLflow does not answer.
    """
    limits = limits or Limits()
    chosen = _mode(mode)
    interpreter = _interpreter(python) if chosen is not ServingMode.DOCKER else _contained(image, python)
    with tempfile.TemporaryDirectory(prefix="retrain-serving-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        held = artifact.fetch(model, folder, tracking_uri)
        found = artifact.digest(held)
        payloads = _payloads(held, requests)
        environment = clean_environment(interpreter, folder, {**(env or {}), **(secrets or {})})
        redaction = Redaction(secrets or {}, environment)
        asked, made_with = artifact.requirements(held)
        trial = Trial(held, payloads, artifact.single(payloads), interpreter, environment, folder, limits, image)
        if digest is not None and digest != found:
            report = Report(stage="not tried")
            checks = [
                failed("artifact", f"the artifact's bytes are not those that were recorded: {found}, not {digest}")
            ]
            packages: dict[str, str] = {}
        else:
            report = run(trial, chosen)
            packages = {}
            checks = [passed("artifact", f"digest {found}")]
            if report.python is not None:
                one, packages = judge_parity([*asked, *lock], made_with, report.packages, report.python, limits.parity)
                checks.append(one)
            secret = _secrets(report, redaction)
            # Whoever answers for the model loads it into this process: not one that breaks off or prints secrets.
            safe = report.problem is None and secret.status is GateStatus.PASS
            checks += _judged(trial, report, requests, *(_asked(one, safe) for one in (expected, champion)))
            checks.append(secret)
        return _verdict(model, chosen, found, held, report, checks, packages, redaction)


def _asked(answers: "Answers", safe: bool) -> "pd.DataFrame | None":
    return answers if not callable(answers) else answers() if safe else None


def _judged(trial: Trial, report: Report, requests: Any, expected: Any, champion: Any) -> list[ServingCheck]:
    """Judge how far the model came and what it answered."""
    limits = trial.limits
    checks = [_loaded(report)]
    if report.load_seconds is None:
        return checks
    if not trial.payloads:
        return [*checks, unknown("requests", "there is neither an input example nor a recorded request to feed it")]
    checks.append(_answered(report, trial))
    declared = artifact.output_columns(trial.model)
    for name, table in report.outputs.items():
        said = "input example" if name == "example" else "recorded requests"
        rows = len(requests) if name == "requests" else None
        checks += [judge_schema(said, table, rows, declared), judge_finite(said, table)]
    table = report.outputs.get("requests")
    for recorded, judge in ((expected, judge_same), (champion, judge_replay)):
        if recorded is not None and requests is None:
            raise ConfigurationError("recorded answers need the requests that they answer", expected="requests=")
        if recorded is not None and table is not None and len(table["rows"]) == len(requests):
            checks.append(judge(table, recorded, limits))
    return [*checks, *_measured(report, limits)]


def _loaded(report: Report) -> ServingCheck:
    if report.load_seconds is not None:
        return passed("load", f"loaded in {report.load_seconds:.2f} s", value=report.load_seconds)
    if report.missing:
        return failed("load", f"it needs the package {report.missing!r}, which the environment lacks: {report.problem}")
    return failed("load", f"it cannot be loaded: {report.problem}")


def _answered(report: Report, trial: Trial) -> ServingCheck:
    if report.problem is not None:
        return failed("requests", f"it broke off ({report.stage}): {report.problem}")
    return passed(
        "requests", f"it answered {len(trial.payloads)} batches and {len(report.latencies_ms)} timed requests"
    )


def _measured(report: Report, limits: Limits) -> list[ServingCheck]:
    checks = []
    for name, share, limit in (("p50", 0.5, limits.p50_ms), ("p99", 0.99, limits.p99_ms)):
        value = _quantile(report.latencies_ms, share)
        if value is None:
            checks += [unknown(f"{name} latency", "no request was timed", limit=limit)] if limit else []
            continue
        said = f"{name} of {len(report.latencies_ms)} requests of one row: {value:.3g} ms"
        if limit is not None and value > limit:
            checks.append(
                failed(f"{name} latency", f"{said}; at most {limit:g} ms is allowed", value=value, limit=limit)
            )
        else:
            checks.append(passed(f"{name} latency", said, value=value, limit=limit))
    peak, most = report.peak_bytes, limits.memory_bytes
    if not peak:
        return [*checks, unknown("memory", "the system does not tell it", limit=most)] if most else checks
    if most is not None and peak > most:
        return [*checks, failed("memory", f"{peak:,} bytes; at most {most:,} are allowed", value=peak, limit=most)]
    return [*checks, passed("memory", f"{peak:,} bytes at most", value=peak, limit=most)]


def _secrets(report: Report, redaction: Redaction) -> ServingCheck:
    shown = redaction.shown(f"{report.log} {report.problem} {report.outputs}")
    if not shown:
        return passed("secrets", "none was printed or answered")
    what = "its environment" if shown == [CANARY] else ", ".join(name for name in shown if name != CANARY)
    return failed("secrets", f"the model prints or answers {what}: secrets end in logs that way")


def _verdict(
    model: str,
    mode: ServingMode,
    digest: str,
    held: Path,
    report: Report,
    checks: list[ServingCheck],
    packages: dict[str, str],
    redaction: Redaction,
) -> ServingVerdict:
    checks = [replace(one, reason=redaction.clean(one.reason)) for one in checks]
    status = min((one.status for one in checks), key=_ORDER.index)
    told = [one for one in checks if one.status is not GateStatus.PASS] or checks
    return ServingVerdict(
        status=status,
        mode=mode.value,
        model=model,
        digest=digest,
        reasons=tuple(f"{one.name}: {one.reason}" for one in told),
        checks=tuple(checks),
        python=report.python,
        packages=packages,
        load_seconds=report.load_seconds,
        p50_ms=_quantile(report.latencies_ms, 0.5),
        p99_ms=_quantile(report.latencies_ms, 0.99),
        memory_bytes=report.peak_bytes or None,
        model_bytes=artifact.size(held),
        requests=len(report.latencies_ms),
        output=redaction.clean(report.log)[-2000:],
    )


def _payloads(held: Path, requests: "pd.DataFrame | None") -> dict[str, Any]:
    payloads = {}
    if (example := artifact.example(held)) is not None:
        payloads["example"] = example
    if requests is not None and len(requests):
        payloads["requests"] = artifact.payload(requests)
    return payloads


def _quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that the share of all do not exceed; of few values the p99 is the largest."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def _mode(mode: str) -> ServingMode:
    if mode not in list(ServingMode):
        raise ConfigurationError(f"mode is {mode!r}", expected=" | ".join(ServingMode))
    return ServingMode(mode)


def _contained(image: str | None, python: str | None) -> str:
    if image is None:
        raise ConfigurationError("the mode is docker and no image is named", expected="image=")
    containers.require(image)
    return python or "python"


def _interpreter(python: str | None) -> str:
    chosen = python or sys.executable
    if not os.access(chosen, os.X_OK) or Path(chosen).is_dir():
        raise ConfigurationError(
            f"there is no interpreter {chosen!r}", expected="the path of the target environment's Python"
        )
    return str(Path(chosen).absolute())
