"""Waiting: one pure decision for each kind of wait, shared by watcher, deferred sensor and sensor in a worker.

A decision gets what was seen, what was known before and what is waited for, and says whether the wait is over. It reads
no clock, no store and no chance: whoever asks brings them. Data in files, tables and DVC repositories is seen as a
listing of partitions (`arrivals`), events of Airflow assets as a list of events (`asset_events`).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from retrain.exceptions import DeclarationError

# An event and an XCom stay small, however many partitions there are.
NAMES = 100


class Listed(Protocol):
    """One partition that is there and finished, as `retrain.data.scan` finds it."""

    @property
    def uri(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def token(self) -> str: ...  # noqa: D102


ListedT = TypeVar("ListedT", bound=Listed)


@dataclass(frozen=True)
class Known:
    """What has been dealt with: the token of each partition. A partition with another token is new again."""

    tokens: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over all partitions and tokens, in order: equal listings have equal digests."""
        body = json.dumps(sorted(self.tokens.items()), separators=(",", ":"))
        return "sha256:" + hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True)
class Wanted:
    """What is waited for: this partition, or partitions that sort after one, or any; at least `count` of them."""

    partition: str | None = None
    after: str | None = None
    count: int = 1

    def __post_init__(self) -> None:
        if self.partition is not None and (self.after is not None or self.count != 1):
            raise DeclarationError(
                f"waiting for the partition {self.partition!r} and for after={self.after!r}, count={self.count}",
                expected="either partition, or after and count",
            )
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1:
            raise DeclarationError(f"count={self.count!r}", expected="a whole number from 1")
        for name, value in (("partition", self.partition), ("after", self.after)):
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise DeclarationError(
                    f"{name}={value!r}", expected="a partition's key", remedy="See what its template rendered to"
                )

    def covers(self, partition: str) -> bool:
        """Say whether a partition is among those waited for."""
        if self.partition is not None:
            return partition == self.partition
        return self.after is None or partition > self.after


@dataclass(frozen=True)
class News(Generic[ListedT]):
    """The answer: `fresh` is wanted and new, `arrived` says that it is enough, `known` is for the next listing."""

    fresh: tuple[ListedT, ...]
    arrived: bool
    known: Known


def arrivals(listing: Iterable[ListedT], known: Known, wanted: Wanted = Wanted()) -> News[ListedT]:
    """Compare a listing with what was known and what is wanted: the decision behind every wait for data.

    `fresh` is sorted by partition. While there are fewer than `wanted.count`, the fresh ones stay fresh for the next
    listing. What has gone is forgotten, so that it is new when it comes back.
    """
    there = sorted(listing, key=lambda one: one.partition)
    fresh = tuple(one for one in there if wanted.covers(one.partition) and known.tokens.get(one.partition) != one.token)
    arrived = len(fresh) >= wanted.count
    waiting = frozenset[str]() if arrived else frozenset(one.partition for one in fresh)
    return News(fresh, arrived, Known({one.partition: one.token for one in there if one.partition not in waiting}))


def summary(fresh: Iterable[Listed]) -> dict[str, Any]:
    """Say as small JSON what has arrived: the newest partition, how many there are, and the first names."""
    found = sorted(fresh, key=lambda one: one.partition)
    newest = found[-1]
    return {
        "partition": newest.partition,
        "uri": newest.uri,
        "size": newest.size,
        "token": newest.token,
        "count": len(found),
        "partitions": [one.partition for one in found[:NAMES]],
    }


@dataclass(frozen=True)
class AssetEvent:
    """One event of an Airflow asset. `id` grows; `timestamp` carries its zone."""

    id: int
    timestamp: datetime
    extra: Mapping[str, Any] = field(default_factory=dict)
    source_dag_id: str | None = None
    source_run_id: str | None = None
    partition_key: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "id": self.id,
            "timestamp": self.timestamp.isoformat(),
            "extra": dict(self.extra),
            "source_dag_id": self.source_dag_id,
            "source_run_id": self.source_run_id,
            "partition_key": self.partition_key,
        }


@dataclass(frozen=True)
class WantedEvent:
    """Events newer than `after` and than the event `after_id`, whose extra holds all of `extra`."""

    after: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    after_id: int | None = None

    def covers(self, event: AssetEvent) -> bool:
        """Say whether an event is among those waited for."""
        if self.after is not None and event.timestamp <= self.after:
            return False
        if self.after_id is not None and event.id <= self.after_id:
            return False
        return all(name in event.extra and event.extra[name] == value for name, value in self.extra.items())


def asset_events(events: Iterable[AssetEvent], wanted: WantedEvent) -> tuple[AssetEvent, ...]:
    """Return the events that are waited for, oldest first: the decision behind every wait for an asset's event."""
    return tuple(sorted((event for event in events if wanted.covers(event)), key=lambda event: event.id))


def pause(seconds: float, chance: float, *, first: bool = False) -> float:
    """Return how long to sleep until the next look: `seconds`, scattered by a tenth; `chance` is from [0, 1).

    After the first look it is anything up to `seconds`, so that watchers that start together do not look together.
    """
    return seconds * chance if first else seconds * (0.9 + 0.2 * chance)
