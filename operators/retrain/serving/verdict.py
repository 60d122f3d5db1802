"""The serving check's terms and its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from retrain.exceptions import ConfigurationError
from retrain.records import GateStatus
from retrain.records._codec import Record, member

# Checks that a model fails which nobody should load into a process of their own.
_HARMFUL = frozenset({"artifact", "load", "requests", "schema", "secrets"})


class ServingMode(StrEnum):
    """Where the model is loaded: in a process of its own, behind MLflow's scoring server, or in a container."""

    PROCESS = "process"
    SCORING_SERVER = "scoring_server"
    DOCKER = "docker"


class Parity(StrEnum):
    """How alike the environment's packages must be to those that the model asks for."""

    EXACT = "exact"
    MINOR = "minor"
    IGNORE = "ignore"


@dataclass(frozen=True)
class Limits(Record):
    """What a served model may take; None: measured, not judged.

    `p50_ms` and `p99_ms` are per request of one row, `memory_bytes` is the most that the process (and its children)
    may hold, everything included. `load_seconds` is until the model is loaded, or the server answers; `total_seconds`
    for all of the check. `changed_share` and `score_difference` bound the difference from the champion's replayed
    answers: the share of requests with another prediction, and the mean absolute difference of the scores.
    `tolerance` is for the model's own answers, which should be the same everywhere. Latency is measured over `calls`
    requests, 50 where no limit judges it, and for 20 s at most.
    """

    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_bytes: int | None = None
    load_seconds: float = 120.0
    total_seconds: float = 300.0
    changed_share: float | None = None
    score_difference: float | None = None
    tolerance: float = 1e-6
    parity: Parity = Parity.MINOR
    calls: int = 200

    def __post_init__(self) -> None:
        object.__setattr__(self, "parity", member(Parity, self.parity, "limits.parity"))
        positive = ("p50_ms", "p99_ms", "memory_bytes", "load_seconds", "total_seconds", "calls")
        wrong = [name for name in positive if (value := getattr(self, name)) is not None and not value > 0]
        if wrong:
            raise ConfigurationError(f"the limits {wrong} are not above 0", expected="positive numbers")


@dataclass(frozen=True)
class ServingCheck:
    """One check: what was looked at, what was found, and the limit it was held to."""

    name: str
    status: GateStatus
    reason: str
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class ServingVerdict(Record):
    """Whether this very artifact may serve in that environment.

    `digest` is the SHA-256 of the artifact's files, `packages` the differences of the environment by package, `output`
    the end of what the model printed, without the values of secrets.
    """

    status: GateStatus
    mode: str
    model: str
    digest: str
    reasons: tuple[str, ...]
    checks: tuple[ServingCheck, ...] = ()
    python: str | None = None
    packages: Mapping[str, str] | None = None
    load_seconds: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_bytes: int | None = None
    model_bytes: int | None = None
    requests: int = 0
    output: str = ""

    @property
    def harmless(self) -> bool:
        """Whether the artifact loads and answers, and its bytes and its output are in order: it may be loaded here."""
        return all(one.status is not GateStatus.FAIL for one in self.checks if one.name in _HARMFUL)

    def check(self, name: str) -> ServingCheck | None:
        """Return the check of that name, None where it was not made."""
        return next((check for check in self.checks if check.name == name), None)


def passed(name: str, reason: str, **numbers: Any) -> ServingCheck:
    """Return a check that holds."""
    return ServingCheck(name, GateStatus.PASS, reason, **numbers)


def failed(name: str, reason: str, **numbers: Any) -> ServingCheck:
    """Return a check that does not hold."""
    return ServingCheck(name, GateStatus.FAIL, reason, **numbers)


def unknown(name: str, reason: str, **numbers: Any) -> ServingCheck:
    """Return a check that could not be made."""
    return ServingCheck(name, GateStatus.INCONCLUSIVE, reason, **numbers)
