"""The rules that say when to retrain. Each answers yes or no with its numbers, and travels as JSON.

They ask for new data first: without it a retraining would end in the model that is already there.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from retrain.exceptions import DeclarationError
from retrain.policy.history import History
from retrain.records import DriftStatus, PerformanceStatus


class Answer(NamedTuple):
    """Whether a rule wants a retraining, and why (not)."""

    yes: bool
    reason: str


class Rule(Protocol):
    """One reason to retrain. Frozen, pure and JSON-ready."""

    name: ClassVar[str]

    def ask(self, history: History, now: datetime) -> Answer:
        """Answer for this history at this time."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, with the rule's name under "rule"."""
        ...


class _Document:
    name: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, with the rule's name under "rule"."""
        return {"rule": self.name, **dataclasses.asdict(self)}  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; DeclarationError names an unknown or missing field."""
        given = {key: value for key, value in document.items() if key != "rule"}
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if unknown := sorted(set(given) - known):
            raise DeclarationError(
                f"rule {cls.name!r} has unknown fields {unknown}", expected=f"some of {sorted(known)}"
            )
        try:
            return cls(**given)
        except TypeError as error:
            raise DeclarationError(f"rule {cls.name!r} does not fit: {error}", expected=f"{sorted(known)}") from error


@dataclass(frozen=True, init=False)
class Every(_Document):
    """Retrain on a schedule, as a backstop: "@hourly", "@daily", "@weekly", "@monthly", a timedelta or seconds.

    A preset is a boundary of the calendar in UTC, as in Airflow (weeks begin on Sunday): due when one has passed since
    the last training. A duration is counted from the last training. Schedules are kept as text or as seconds.
    """

    name: ClassVar[str] = "every"
    schedule: str | float

    def __init__(self, schedule: str | float | timedelta) -> None:
        value = schedule.total_seconds() if isinstance(schedule, timedelta) else schedule
        if isinstance(value, str):
            valid = value in PRESETS
        else:
            valid = not isinstance(value, bool) and isinstance(value, int | float) and 0 < value < math.inf
        if not valid:
            raise DeclarationError(
                f"Every({schedule!r}) is no schedule",
                expected=f"{' | '.join(PRESETS)}, a positive timedelta or a number of seconds",
                remedy="Cron expressions are not taken here; give such a schedule to a DAG of your own that asks for a "
                "retraining",
            )
        object.__setattr__(self, "schedule", value if isinstance(value, str) else float(value))

    def ask(self, history: History, now: datetime) -> Answer:
        """Yes when the schedule is due and there is something new to learn from."""
        if history.trained_at is None:
            return Answer(
                bool(history.new_partitions), f"{self}: never trained, {len(history.new_partitions)} new partitions"
            )
        due = self.due(history.trained_at, now)
        last = f"last trained {_ago(history.trained_at, now)} ago, {_minute(history.trained_at)}"
        if due > now:
            return Answer(False, f"{self}: not due before {_minute(due)} ({last})")
        if not history.new_partitions:
            return Answer(False, f"{self}: due since {_minute(due)}, but no new partition since ({last})")
        return Answer(True, f"{self}: due since {_minute(due)} ({last})")

    def due(self, since: datetime, now: datetime) -> datetime:
        """Return the latest time at which it became due, or the next if that is still to come."""
        if not isinstance(self.schedule, str):
            try:
                return since + timedelta(seconds=self.schedule)
            except OverflowError:
                return datetime.max.replace(tzinfo=UTC)
        last = PRESETS[self.schedule](now.astimezone(UTC))
        if last > since:
            return last
        return PRESETS[self.schedule](_later(self.schedule, last))

    def __str__(self) -> str:
        if isinstance(self.schedule, str):
            return f"schedule {self.schedule}"
        return f"schedule every {_duration(timedelta(seconds=self.schedule))}"


@dataclass(frozen=True)
class NewData(_Document):
    """Retrain when `every` new partitions have been accepted since the last training."""

    name: ClassVar[str] = "new_data"
    every: int = 1

    def __post_init__(self) -> None:
        _whole_number("NewData(every=...)", self.every)

    def ask(self, history: History, now: datetime) -> Answer:  # noqa: ARG002
        """Yes when enough partitions are new."""
        new = history.new_partitions
        names = f" ({_names(new)})" if new else ""
        yes = len(new) >= self.every
        verb = "reaches" if yes else "of"
        return Answer(yes, f"new data: {len(new)} {verb} {self.every} new partitions since the last training{names}")


@dataclass(frozen=True)
class Drift(_Document):
    """Retrain when the latest `partitions` partitions have drifted, where labels are late.

    Drift is evidence for a person; where the labels are there, the loss of performance decides. `when="always"`
    retrains on drift all the same.
    """

    name: ClassVar[str] = "drift"
    when: str = "labels_late"
    partitions: int = 1

    def __post_init__(self) -> None:
        if self.when not in ("labels_late", "always"):
            raise DeclarationError(f"Drift(when={self.when!r})", expected="labels_late | always")
        _whole_number("Drift(partitions=...)", self.partitions)

    def ask(self, history: History, now: datetime) -> Answer:  # noqa: ARG002
        """Yes when the drift lasts and nothing better can be asked."""
        lasting = 0
        for verdict in reversed(history.drift):
            if verdict.status is not DriftStatus.DRIFT:
                break
            lasting += 1
        if not lasting:
            latest = history.drift[-1] if history.drift else None
            seen = (
                f"the latest, {latest.partition}, is {latest.status}"
                if latest
                else "no verdict since the last training"
            )
            return Answer(False, f"drift: {seen}")
        drivers = history.drift[-1].drivers
        columns = f", driven by {_names(drivers)}" if drivers else ""
        seen = f"drift: the latest {lasting} partitions have drifted ({self.partitions} needed){columns}"
        if lasting < self.partitions:
            return Answer(False, seen)
        if self.when == "labels_late" and not history.labels_late:
            return Answer(False, f"{seen}; the labels are there, so the loss of performance decides, and a person may")
        if not history.new_partitions:
            return Answer(False, f"{seen}; but no accepted partition is new since the last training")
        return Answer(True, seen + ("; the labels are late" if history.labels_late else ""))


@dataclass(frozen=True)
class Decay(_Document):
    """Retrain when the champion's performance is significantly worse and its metric lower by `drop` or more.

    With `estimated=True` an estimate counts too while the labels are late: it is blind to a change of P(y|x).
    """

    name: ClassVar[str] = "decay"
    drop: float = 0.02
    estimated: bool = False

    def __post_init__(self) -> None:
        number = isinstance(self.drop, int | float) and not isinstance(self.drop, bool)
        if not number or not 0 <= self.drop < math.inf:
            raise DeclarationError(f"Decay(drop={self.drop!r})", expected="a number >= 0, in units of the metric")
        if not isinstance(self.estimated, bool):
            raise DeclarationError(f"Decay(estimated={self.estimated!r})", expected="True or False")

    def ask(self, history: History, now: datetime) -> Answer:  # noqa: ARG002
        """Yes when the loss is both significant and material."""
        measured = self._measured(history)
        if measured.yes or not self.estimated or not history.labels_late or history.estimate is None:
            return measured
        estimated = self._estimated(history)
        return Answer(estimated.yes, f"{measured.reason}; {estimated.reason}")

    def _estimated(self, history: History) -> Answer:
        found = history.estimate
        if found is None or found.then is None or found.now is None:
            return Answer(False, "no estimate")
        lost = found.then - found.now
        seen = (
            f"estimated {found.metric} {found.now:.4g} on {found.partition} against {found.then:.4g}, worse by "
            f"{lost:+.4g} ({self.drop:.4g} allowed), {found.status}"
        )
        if found.status is not PerformanceStatus.DECAY or _below(lost, self.drop):
            return Answer(False, seen)
        if not history.new_partitions:
            return Answer(False, f"{seen}; but no accepted partition is new since the last training")
        return Answer(True, f"{seen}: an estimate, as declared")

    def _measured(self, history: History) -> Answer:
        if history.performance is None:
            return Answer(False, "decay: no performance verdict since the last training, labels have not matured")
        then, current = history.metric_at_promotion, history.metric_now
        if then is None or current is None:
            return Answer(False, f"decay: performance {history.performance}, but the metric then or now is not known")
        lost = (then - current) if history.greater_is_better else (current - then)
        seen = (
            f"decay: {history.metric or 'metric'} {current:.4g} against {then:.4g} at promotion, worse by {lost:+.4g} "
            f"({self.drop:.4g} allowed), performance {history.performance}"
        )
        if history.performance is not PerformanceStatus.DECAY or _below(lost, self.drop):
            return Answer(False, seen)
        if not history.new_partitions:
            return Answer(False, f"{seen}; but no accepted partition is new since the last training")
        return Answer(True, seen)


_RULES: Mapping[Any, type[Every | NewData | Drift | Decay]] = {
    rule.name: rule for rule in (Every, NewData, Drift, Decay)
}


def rule_from_dict(document: Mapping[str, Any]) -> Rule:
    """Rebuild a rule from its `to_dict`; DeclarationError names an unknown rule or field."""
    name = document.get("rule") if isinstance(document, Mapping) else None
    if name not in _RULES:
        raise DeclarationError(f"{document!r} is no rule", expected=f'an object with "rule": {" | ".join(_RULES)}')
    rule: Rule = _RULES[name].from_dict(document)
    return rule


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _day(moment: datetime) -> datetime:
    return _hour(moment).replace(hour=0)


def _week(moment: datetime) -> datetime:
    return _day(moment) - timedelta(days=(moment.weekday() + 1) % 7)


def _month(moment: datetime) -> datetime:
    return _day(moment).replace(day=1)


PRESETS = {"@hourly": _hour, "@daily": _day, "@weekly": _week, "@monthly": _month}
_LONGEST = {"@hourly": 1, "@daily": 24, "@weekly": 7 * 24, "@monthly": 31 * 24}


def _later(preset: str, boundary: datetime) -> datetime:
    return boundary + timedelta(hours=_LONGEST[preset])


def _below(lost: float, drop: float) -> bool:
    # 0.70 - 0.68 is 0.01999... in binary; that is a drop of 0.02.
    return lost < drop and not math.isclose(lost, drop, rel_tol=1e-9, abs_tol=1e-12)


def _whole_number(what: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DeclarationError(f"{what} is {value!r}", expected="a whole number >= 1")


def _names(items: tuple[str, ...]) -> str:
    return ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")


def _minute(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _ago(then: datetime, now: datetime) -> str:
    return _duration(max(now - then, timedelta(0)))


def _duration(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"
