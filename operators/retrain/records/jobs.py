"""The job contract: JSON in, JSON out, whatever the job runs in (worker, other environment, pod)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from retrain.records._codec import Record
from retrain.records.model import ModelSpec

CONTRACT_VERSION = 1


class JobStatus(StrEnum):
    """How a job ended. A verdict of `fail` is a job that succeeded."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class JobRequest(Record):
    """What a job is asked: run `steps` in order, each seeing `inputs` and the outputs of those before it.

    `store` is the URI under which the steps keep what is too large for a result. `origin` says on whose behalf
    (dag_id, run_id, task_id, code_version, reason); it is written to MLflow with the model. Secrets are never in it.
    """

    steps: tuple[str, ...]
    spec: ModelSpec
    store: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    tracking_uri: str | None = None
    origin: Mapping[str, str] = field(default_factory=dict)
    contract: int = CONTRACT_VERSION


@dataclass(frozen=True)
class JobError:
    """Why a job failed: the class of the error, its message, and whether the same job may succeed later."""

    type: str
    message: str
    retryable: bool = False
    traceback: str | None = None


@dataclass(frozen=True)
class DataRead:
    """That a step read an object: which partition version, which columns (None: all that it has)."""

    step: str
    uri: str
    digest: str | None = None
    partition: str | None = None
    version: int | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class StepCost:
    """What a step took; `peak_memory_bytes` is the process's high-water mark when the step ended."""

    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True)
class JobResult(Record):
    """What a job answers: one output per step (plain JSON, small), or the error of the step that failed.

    `reads` lists the data that its steps have read, also when one of them failed.
    """

    status: JobStatus
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: JobError | None = None
    cost: Mapping[str, StepCost] = field(default_factory=dict)
    reads: tuple[DataRead, ...] = ()
    contract: int = CONTRACT_VERSION
