"""Retrain now? The answer with one reason per rule, also when it is no."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from retrain.exceptions import ConfigurationError
from retrain.policy.history import History
from retrain.policy.rules import Rule
from retrain.records._codec import Record

# A training that failed is not repeated at every look: the cause is rarely gone after seconds.
RETRY_AFTER = timedelta(hours=1)


class Trigger(StrEnum):
    """What started a retraining, the strongest first: where several did, the first is named."""

    ON_DEMAND = "on_demand"
    COLD_START = "cold_start"
    DECAY = "decay"
    DRIFT = "drift"
    NEW_DATA = "new_data"
    SCHEDULE = "schedule"


_TRIGGER_OF_RULE = {
    "every": Trigger.SCHEDULE,
    "new_data": Trigger.NEW_DATA,
    "drift": Trigger.DRIFT,
    "decay": Trigger.DECAY,
}


@dataclass(frozen=True)
class Decision(Record):
    """Whether to retrain: the trigger that is named, all triggers that fired, and the reasons, one line per rule."""

    retrain: bool
    trigger: Trigger | None
    reasons: tuple[str, ...]
    triggers: tuple[Trigger, ...] = ()
    model: str = ""
    at: str = ""


def decide(
    history: History,
    policy: Sequence[Rule],
    now: datetime,
    *,
    min_partitions: int = 2,
    retry_after: timedelta = RETRY_AFTER,
) -> Decision:
    """Decide whether to retrain now. Pure: the same history, policy and time give the same decision.

    A pending request of a person always retrains; a model without a champion is trained as soon as `min_partitions`
    accepted partitions are there (one to train on and one to judge by) and again with each new one, until one passes.
    Otherwise any rule that says yes is enough. Nothing retrains below `min_partitions`, nor, except on demand, within
    `retry_after` of a failed training. `now` carries a time zone.
    """
    if now.tzinfo is None:
        raise ConfigurationError(f"now is {now.isoformat()}", expected="a time with its time zone")
    fired: list[Trigger] = []
    reasons: list[str] = []
    if history.request is not None:
        fired.append(Trigger.ON_DEMAND)
        reasons.append(f"on demand: asked for by {history.request.by}: {history.request.reason}")
    if history.champion is None:
        yes, reason = _cold_start(history)
        fired += [Trigger.COLD_START] if yes else []
        reasons.append(reason)
    for rule in policy:
        answer = rule.ask(history, now)
        fired += [_TRIGGER_OF_RULE[rule.name]] if answer.yes else []
        reasons.append(answer.reason)
    if not reasons:
        reasons.append("no rule is declared: retrained on demand only")
    if fired and (obstacle := _obstacle(history, now, fired, min_partitions, retry_after)):
        fired = []
        reasons.append(obstacle)
    order = list(Trigger)
    triggers = tuple(sorted(set(fired), key=order.index))
    return Decision(
        bool(triggers), triggers[0] if triggers else None, tuple(reasons), triggers, history.model, now.isoformat()
    )


def _cold_start(history: History) -> tuple[bool, str]:
    if history.trained_at is None:
        return True, f"cold start: no champion and never trained, {history.available} partitions accepted"
    new = len(history.new_partitions)
    return new > 0, f"cold start: trained, but no champion yet; {new} new partitions since the last training"


def _obstacle(
    history: History, now: datetime, fired: Sequence[Trigger], min_partitions: int, retry_after: timedelta
) -> str | None:
    if history.available < min_partitions:
        return (
            f"but {history.available} accepted partitions are too few: at least {min_partitions} are needed, to "
            "train on some and to judge by others"
        )
    if history.failed_at is None or Trigger.ON_DEMAND in fired:
        return None
    again = history.failed_at + retry_after
    if now < again:
        return f"but the last training failed at {history.failed_at.isoformat()}; tried again from {again.isoformat()}"
    return None
