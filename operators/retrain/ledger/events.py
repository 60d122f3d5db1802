"""What goes into the ledger and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from retrain.exceptions import ContractError
from retrain.ledger.chain import write_time

# In bytes of UTF-8. Together they stay below what a PostgreSQL index row may hold (2,704 bytes).
LIMITS = {"stream": 250, "kind": 100, "key": 1000, "actor": 500, "work": 1000, "owner": 1000}


@dataclass(frozen=True)
class Entry:
    """An event to be appended.

    (`stream`, `kind`, `key`) identifies it: a second append of the same three is a no-op. `version` is the version of
    the payload's schema. With `expected_sequence=n` the append is refused unless the stream's last event is number n.
    """

    stream: str
    kind: str
    key: str
    payload: Mapping[str, Any]
    actor: str | None = None
    expected_sequence: int | None = None
    version: int = 1

    def __post_init__(self) -> None:
        for name in ("stream", "kind", "key"):
            check_name(name, getattr(self, name))
        if self.actor is not None:
            check_name("actor", self.actor)


@dataclass(frozen=True)
class Event:
    """An event as it is recorded. `recorded_at` tells when by the writer's clock; `sequence` tells the order."""

    stream: str
    sequence: int
    kind: str
    key: str
    version: int
    payload: Mapping[str, Any]
    actor: str | None
    recorded_at: datetime
    previous_hash: str
    hash: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**vars(self), "payload": dict(self.payload), "recorded_at": write_time(self.recorded_at)}


@dataclass(frozen=True)
class Appended:
    """The event that is in the ledger, and whether this call put it there."""

    event: Event
    created: bool


class Head(NamedTuple):
    """The last event of a stream: its number and its hash, which stands for everything before it."""

    sequence: int
    hash: str


@dataclass(frozen=True)
class Problem:
    """Something that a verification found, and where."""

    stream: str
    sequence: int
    what: str


@dataclass(frozen=True)
class VerifyReport:
    """What a verification read (numbers of streams and events) and what is wrong.

    `heads` belong in another place than the ledger: given to a later verification they prove that no tail was cut off
    and no chain computed anew. `complete` is False when it stopped early because there were too many problems.
    """

    streams: int
    events: int
    problems: tuple[Problem, ...]
    heads: Mapping[str, Head] = field(default_factory=dict)
    complete: bool = True

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check_name(field_name: str, value: str) -> None:
    """Refuse a name that one of the databases could not hold or find again."""
    if not isinstance(value, str) or not value:
        raise ContractError(f"{field_name} is {value!r}", expected="a non-empty string")
    limit = LIMITS[field_name]
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ContractError(f"{field_name} is {value!r}", expected="text that UTF-8 can carry") from None
    if "\0" in value:
        raise ContractError(f"{field_name} is {value!r}", expected="text without NUL characters")
    if size > limit:
        raise ContractError(
            f"{field_name} has {size} bytes: {value[:60]!r}...",
            expected=f"at most {limit}",
            remedy="Use a shorter name, or a digest of it",
        )
