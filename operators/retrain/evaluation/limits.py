"""Conditions on what was measured beside the predictions (latency, size, age), and those of the user's own."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from retrain.evaluation.evidence import Evidence, Finding
from retrain.exceptions import DeclarationError
from retrain.records import GateStatus
from retrain.records._codec import Record

# From the worst to the best.
STATUSES = (GateStatus.FAIL, GateStatus.INCONCLUSIVE, GateStatus.PASS)


@dataclass(frozen=True)
class Latency(Record):
    """The serving check measured at most `p50_ms` and `p99_ms` milliseconds a request."""

    p50_ms: float | None = None
    p99_ms: float | None = None
    kind: str = "latency"

    def check(self, evidence: Evidence) -> Finding:
        """Compare what the serving check measured."""
        asked = {"p50": (evidence.p50_ms, self.p50_ms), "p99": (evidence.p99_ms, self.p99_ms)}
        findings = [
            _at_most(f"{name} latency", measured, limit, "ms") for name, (measured, limit) in asked.items() if limit
        ]
        if not findings:
            raise DeclarationError("a latency condition names no limit", expected="p50_ms= or p99_ms=")
        worst = min(findings, key=lambda finding: STATUSES.index(finding.status))
        return replace(worst, reason="; ".join(finding.reason for finding in findings))


@dataclass(frozen=True)
class ModelSize(Record):
    """The artifact takes at most so many bytes."""

    maximum_bytes: int
    kind: str = "model_size"

    def check(self, evidence: Evidence) -> Finding:
        """Compare the size of the artifact."""
        return _at_most("the model's size", evidence.model_bytes, self.maximum_bytes, "bytes")


@dataclass(frozen=True)
class DataAge(Record):
    """The newest training data is at most so many days old."""

    maximum_days: float
    kind: str = "data_age"

    def check(self, evidence: Evidence) -> Finding:
        """Compare the age of the newest training data."""
        age = None
        if evidence.trained_until is not None:
            now = evidence.now or dt.datetime.now(dt.UTC)
            age = (_aware(now) - _aware(evidence.trained_until)).total_seconds() / 86_400
        return _at_most("the age of the newest training data", age, self.maximum_days, "days")


@dataclass(frozen=True)
class Custom:
    """A condition of one's own: `function(evidence)` returns True, False or None (cannot tell), or these with a reason.

    `function` is a callable or `module:function`, which the caller of `assess` resolves.
    """

    name: str
    function: Callable[[Evidence], Any] | str
    kind: str = "custom"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; only a named function travels."""
        if not isinstance(self.function, str):
            raise DeclarationError(
                f"the condition {self.name!r} holds a function itself", expected="its name, module:function"
            )
        return {"name": self.name, "function": self.function, "kind": self.kind}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Custom":
        """Rebuild from `to_dict`."""
        return cls(str(document["name"]), document["function"])


def _at_most(what: str, measured: float | None, limit: float, unit: str) -> Finding:
    if measured is None or not math.isfinite(measured):
        return Finding(
            GateStatus.INCONCLUSIVE, f"{what} was not measured; at most {limit:,.6g} {unit} is asked", limit=limit
        )
    said = f"{what} is {measured:,.6g} {unit}; at most {limit:,.6g} {unit} is asked"
    return Finding(GateStatus.PASS if measured <= limit else GateStatus.FAIL, said, float(measured), float(limit))


def _aware(time: dt.datetime) -> dt.datetime:
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)
