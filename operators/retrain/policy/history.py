"""What the ledger says about a model, as facts that do not depend on now."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from retrain.exceptions import ContractError
from retrain.records import DriftStatus, PerformanceStatus, decode, encode


@dataclass(frozen=True)
class PartitionDrift:
    """The latest drift verdict of one partition; `drivers` the columns that drive it, most important first."""

    partition: str
    status: DriftStatus
    drivers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """A retraining that a person asked for and that has not been answered yet."""

    by: str
    reason: str


@dataclass(frozen=True)
class Estimate:
    """An estimated performance, never a measured one: `metric` then, on the hold-out, and now, on `partition`."""

    partition: str
    status: PerformanceStatus
    metric: str
    then: float | None = None
    now: float | None = None


@dataclass(frozen=True)
class History:
    """The facts that a decision rests on.

    A "training" is one that ended with a model, whatever the gate said of it; `failed_at` is the end of a training
    without a model, if none has succeeded since. `champion` is the version in production. `available` counts all
    accepted partitions, `new_partitions` are those accepted since the last training, oldest first, and `drift` holds
    the verdicts on partitions since then, oldest first. `labels_late` says that the newest partitions have no labels
    yet. `metric_at_promotion` and `metric_now` are the champion's, on the rows that it was judged by and on the latest
    labelled ones. `estimate` is what the performance on the newest partition probably is, if that has no labels yet.
    All times carry a time zone.
    """

    model: str
    available: int = 0
    champion: str | None = None
    trained_at: datetime | None = None
    trained_partitions: tuple[str, ...] = ()
    new_partitions: tuple[str, ...] = ()
    drift: tuple[PartitionDrift, ...] = ()
    labels_late: bool = False
    performance: PerformanceStatus | None = None
    metric: str = ""
    greater_is_better: bool = True
    metric_at_promotion: float | None = None
    metric_now: float | None = None
    request: Request | None = None
    failed_at: datetime | None = None
    estimate: Estimate | None = None

    def __post_init__(self) -> None:
        for name in ("trained_at", "failed_at"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise ContractError(f"History.{name} is {moment.isoformat()}", expected="a time with its time zone")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; times in ISO format."""
        document = encode(dataclasses.replace(self, trained_at=None, failed_at=None))
        return {
            **document,
            "trained_at": self.trained_at and self.trained_at.isoformat(),
            "failed_at": self.failed_at and self.failed_at.isoformat(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; ContractError names a field that does not fit."""
        rest = {name: value for name, value in document.items() if name not in ("trained_at", "failed_at")}
        return dataclasses.replace(
            decode(cls, rest),
            trained_at=parse_time(document.get("trained_at"), "History.trained_at"),
            failed_at=parse_time(document.get("failed_at"), "History.failed_at"),
        )


def parse_time(value: Any, where: str) -> datetime | None:
    """Read an ISO time with its time zone; ContractError says what it was instead."""
    if value is None:
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ContractError(f"{where} is {value!r}", expected="an ISO time with its zone, as 2026-03-01T00:00:00+00:00")
    return moment
