"""Run a job in this process: its steps in order, each with its cost."""

import contextlib
import importlib
import logging
import os
import time
import traceback
from collections.abc import Iterator
from typing import Any

from retrain.exceptions import ContractError, RetrainError, UnavailableError, UserCodeError
from retrain.jobs.steps import STEPS, StepContext
from retrain.records import CONTRACT_VERSION, JobError, JobRequest, JobResult, JobStatus, StepCost
from retrain.serving._probe import peak_bytes

log = logging.getLogger(__name__)

_WITHHELD = "it may quote values of the columns that are declared as pii"


def check_request(request: JobRequest) -> None:
    """Refuse a request of another contract version, without steps, or with an unknown step."""
    if request.contract != CONTRACT_VERSION:
        raise ContractError(
            f"the job document follows contract {request.contract}",
            expected=f"contract {CONTRACT_VERSION}",
            remedy="Install the same version of retrain where the job is asked for and where it runs",
        )
    unknown = [step for step in request.steps if step not in STEPS]
    if unknown or not request.steps:
        raise ContractError(
            f"the job names unknown steps {unknown}" if unknown else "the job names no step",
            expected=f"some of {', '.join(STEPS)}",
        )


def run_job(request: JobRequest) -> JobResult:
    """Run the steps of `request` in order and return their outputs; errors of a step become `JobResult.error`.

    What the steps have read of the user's data is in `JobResult.reads`, also when one of them failed. An error that
    says "cannot be done" and one that says "try again" are told apart by `JobError.retryable`.
    """
    check_request(request)
    _no_telemetry()
    context = StepContext(request=request)
    with context.closing:
        return _run_steps(request, context)


def _run_steps(request: JobRequest, context: StepContext) -> JobResult:
    cost: dict[str, StepCost] = {}
    for name in request.steps:
        log.info("step %s of %s starts", name, request.spec.model)
        try:
            with _measured(name, cost):
                context.outputs[name] = _load(name)(context)
        except Exception as error:
            told = _describe(name, error, private=bool(request.spec.pii))
            if request.spec.pii:
                log.error("step %s of %s failed: %s\n%s", name, request.spec.model, told.message, _places(error))
            else:
                log.exception("step %s of %s failed", name, request.spec.model)
            return JobResult(JobStatus.FAILED, dict(context.outputs), told, cost, tuple(context.reads))
        log.info("step %s of %s took %.2f s", name, request.spec.model, cost[name].wall_seconds)
    return JobResult(JobStatus.SUCCEEDED, dict(context.outputs), None, cost, tuple(context.reads))


def _load(name: str) -> Any:
    module, function = STEPS[name].split(":")
    return getattr(importlib.import_module(module), function)


def _describe(step: str, error: Exception, *, private: bool) -> JobError:
    """Say what went wrong; with `private` columns without what foreign code says, which quotes the data it fails on."""
    kind = type(error).__name__
    trace = _places(error) if private else traceback.format_exc()
    if isinstance(error, RetrainError):
        return JobError(
            kind,
            f"{step}: {error}",
            isinstance(error, UnavailableError),
            trace if isinstance(error, UserCodeError) else None,
        )
    # An error that nobody foresaw may be a passing one: it is shown whole, and Airflow's retries decide.
    told = f"(its text is withheld, because {_WITHHELD})" if private else str(error)
    return JobError(kind, f"{step}: {told}", True, trace)


def _places(error: BaseException | None) -> str:
    """A traceback without the messages: the lines of code, and the kinds of the errors."""
    told = []
    while error is not None:
        told.append(f"{''.join(traceback.format_tb(error.__traceback__))}{type(error).__name__}\n")
        error = error.__cause__ or error.__context__
    return "\n".join(reversed(told))


@contextlib.contextmanager
def _measured(name: str, cost: dict[str, StepCost]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        cost[name] = StepCost(time.perf_counter() - wall, time.process_time() - cpu, peak_bytes())


def _no_telemetry() -> None:
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
