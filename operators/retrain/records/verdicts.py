"""What the judging stages say. Three outcomes each: a check that could not run is an exception, never a status."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from retrain.records._codec import Record


class ValidationStatus(StrEnum):
    """`warn`: something is off but nothing critical; the data goes on."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


class DriftStatus(StrEnum):
    """`inconclusive`: too few rows to judge."""

    OK = "ok"
    DRIFT = "drift"
    INCONCLUSIVE = "inconclusive"


class DriftSeverity(StrEnum):
    """`low`: just above the floor of what matters; `medium`: twice it; `high`: four times, or a fault of the data."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class DriftShape(StrEnum):
    """How the leading column came to where it is, over the last partitions."""

    SUDDEN = "sudden"
    GRADUAL = "gradual"
    INCREMENTAL = "incremental"
    RECURRING = "recurring"


class CheckLevel(StrEnum):
    """`fault`: the verdict is drift; `warning`: recorded, and by itself no alarm."""

    FAULT = "fault"
    WARNING = "warning"


class PerformanceStatus(StrEnum):
    """`decay`: the loss is both significantly and materially higher than at promotion."""

    OK = "ok"
    DECAY = "decay"
    INCONCLUSIVE = "inconclusive"


class GateStatus(StrEnum):
    """`inconclusive` never promotes silently."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Severity(StrEnum):
    """Of an expectation: critical stops, warning records and goes on, info records."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class ExpectationFailure:
    """One expectation that does not hold. `count`: how many rows break it, None where it is not about rows."""

    expectation: str
    column: str | None
    severity: Severity
    count: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class ValidationVerdict(Record):
    """Whether a partition may go on.

    `rows` is what came in. `quarantined_rows` are those set aside; without a store, those that break a critical
    expectation (of a table as its database counts, 0 where it cannot); 0 when a person has waived. `accepted` is the
    reference to the rest, `quarantine_uri` where the others lie, `docs_uri` the page for people. All are None where
    nothing was stored.
    """

    status: ValidationStatus
    rows: int
    quarantined_rows: int = 0
    failures: tuple[ExpectationFailure, ...] = ()
    expectations: int = 0
    accepted: Mapping[str, Any] | None = None
    quarantine_uri: str | None = None
    result_uri: str | None = None
    docs_uri: str | None = None


@dataclass(frozen=True)
class Check:
    """A named data-quality or schema check that failed."""

    name: str
    column: str | None
    reason: str
    level: CheckLevel = CheckLevel.FAULT


@dataclass(frozen=True)
class ColumnDrift:
    """One column's comparison: is it real (`p_value` of `test`) and does it matter (`effect` by `effect_name`).

    `effects` are all measures of how far the two sides are apart, by name (`retrain.drift.effects.MEASURES`).
    """

    status: DriftStatus
    effect: float | None
    p_value: float | None
    test: str | None
    reason: str
    effect_name: str | None = None
    effects: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DriftVerdict(Record):
    """Whether the current data differs from the reference, really and materially.

    `checks` are the named quality and schema checks that failed; `drivers` the columns that drive the verdict, most
    important first; `summary` one paragraph in plain words. `rows_needed` is set when the status is inconclusive.
    `kinds` says of which roles the drivers are (feature, prediction, label); `shape` needs past partitions.
    """

    status: DriftStatus
    columns: Mapping[str, ColumnDrift] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    drivers: tuple[str, ...] = ()
    summary: str = ""
    reference_rows: int = 0
    current_rows: int = 0
    rows_needed: int | None = None
    severity: DriftSeverity | None = None
    kinds: tuple[str, ...] = ()
    shape: DriftShape | None = None


@dataclass(frozen=True)
class PerformanceVerdict(Record):
    """Whether the loss on labelled rows is higher than it was. `difference`: current minus reference mean loss."""

    status: PerformanceStatus
    difference: float | None
    p_value: float | None
    reason: str
    reference_rows: int = 0
    current_rows: int = 0
    rows_needed: int | None = None


@dataclass(frozen=True)
class Verdict(Record):
    """What the gate says: whether the challenger may replace the champion.

    `difference` is challenger minus champion in the direction "higher is better" (so a positive number is an
    improvement, also for a loss), `interval` its confidence interval. `slices` holds the same numbers per slice,
    `baseline` is the metric of the trivial baseline on the same rows: the best constant prediction; for recall, which
    "always positive" makes perfect, the challenger's labels in another order. `conditions` holds what else was asked
    (see `retrain.evaluation.conditions`): name, status, reason and numbers each.
    """

    status: GateStatus
    metric: str
    rule: str
    reasons: tuple[str, ...]
    rows: int
    champion: float | None = None
    challenger: float | None = None
    difference: float | None = None
    interval: tuple[float, ...] | None = None
    margin: float | None = None
    confidence: float | None = None
    rows_needed: int | None = None
    cold_start: bool = False
    slices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    baseline: float | None = None
    conditions: tuple[Mapping[str, Any], ...] = ()
