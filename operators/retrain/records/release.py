"""What is declared about releasing a model: who has to agree, and what takes a promotion back."""

from dataclasses import dataclass
from enum import StrEnum

from retrain.exceptions import ContractError
from retrain.records._codec import Record, member


class ApprovalRule(StrEnum):
    """When a person is asked before a version is promoted; a gate that says `fail` is never asked about."""

    NEVER = "never"
    ALWAYS = "always"
    WHEN_INCONCLUSIVE = "when_inconclusive"


class OnTimeout(StrEnum):
    """What counts as the answer when nobody has answered in time."""

    REJECT = "reject"
    APPROVE = "approve"


@dataclass(frozen=True)
class Approval(Record):
    """Who has to agree before a version is promoted.

    `timeout_hours` count from the first time of asking. `approvers` are user ids of Airflow's auth manager (empty:
    everybody who may edit the DAG's runs). With `four_eyes` those who asked for the training by hand may not approve
    what came of it.
    """

    when: ApprovalRule = ApprovalRule.NEVER
    timeout_hours: float = 72.0
    on_timeout: OnTimeout = OnTimeout.REJECT
    approvers: tuple[str, ...] = ()
    four_eyes: bool = True

    def __post_init__(self) -> None:
        # Python's own callers may say "always"; through `from_dict` it is an ApprovalRule already.
        object.__setattr__(self, "when", member(ApprovalRule, self.when, "when"))
        object.__setattr__(self, "on_timeout", member(OnTimeout, self.on_timeout, "on_timeout"))
        object.__setattr__(self, "approvers", tuple(self.approvers))
        if not self.timeout_hours > 0:
            raise ContractError(f"Approval.timeout_hours is {self.timeout_hours!r}", expected="more than 0")


class Alarm(StrEnum):
    """What may take a promotion back: `decay` as `Performance` says it, `serving`: it does not load any more."""

    DECAY = "decay"
    SERVING = "serving"


@dataclass(frozen=True)
class RollbackOn(Record):
    """Go back to the champion before when an alarm goes off on one of the first `partitions` after a promotion.

    What was gone back from is retired, and what was gone back to is not gone back from by itself: it cannot ping-pong.
    """

    alarms: tuple[Alarm, ...] = (Alarm.DECAY,)
    partitions: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "alarms", tuple(member(Alarm, one, "alarms") for one in self.alarms))
        if not self.alarms or self.partitions < 1:
            raise ContractError(
                f"RollbackOn has the alarms {[one.value for one in self.alarms]} and {self.partitions!r} partitions",
                expected="an alarm or more, on 1 partition or more",
            )
