"""Which version was in production at a moment, since when and until when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from retrain.exceptions import ContractError
from retrain.registry.champions import Champion, promotions

if TYPE_CHECKING:
    from retrain.ledger import Ledger


@dataclass(frozen=True)
class Tenure:
    """The time of one champion: from the change that made it so to the next one, both by the ledger's clock.

    `until` and `successor` are None for the champion of today. The same version may have several.
    """

    champion: Champion
    since: datetime
    until: datetime | None = None
    successor: Champion | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **self.champion.to_dict(),
            "since": self.since.isoformat(),
            "until": self.until.isoformat() if self.until else None,
            "successor": self.successor.version if self.successor else None,
        }


def tenures(changes: Iterable[Champion]) -> list[Tenure]:
    """Return the times of all champions, from the changes in the ledger's order; pure.

    The order is that of the ledger. A clock that went back between two writers does not turn it round: a change counts
    from the latest time that was recorded up to it.
    """
    found: list[Tenure] = []
    for change in changes:
        since = datetime.fromisoformat(change.recorded_at)
        if found:
            since = max(since, found[-1].since)
            found[-1] = Tenure(found[-1].champion, found[-1].since, since, change)
        found.append(Tenure(change, since))
    return found


def in_production(ledger: "Ledger", model: str, at: datetime) -> Tenure | None:
    """Return who was champion at a moment, None before the first promotion."""
    return serving_at(tenures(promotions(ledger, model)), at)


def serving_at(times: Iterable[Tenure], at: datetime) -> Tenure | None:
    """Return the time that a moment falls into; its first instant belongs to the new champion."""
    return next((one for one in reversed(list(times)) if one.since <= at), None)


def moment(text: str, *, now: datetime) -> datetime:
    """Read a moment: `now`, `2026-11-21`, `2026-11-21T14:05`, with or without a zone (then UTC).

    A date is its first instant. ContractError for anything else, and for what has not come yet: the ledger says nothing
    about it.
    """
    if text.strip().lower() == "now":
        return now
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ContractError(
            f"{text!r} is no moment", expected="such as 2026-11-21, 2026-11-21T14:05, 2026-11-21T14:05+02:00 or now"
        ) from None
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    if found > now:
        raise ContractError(
            f"{found.isoformat()} has not come yet: it is {now.isoformat(timespec='seconds')}",
            expected="a moment that the ledger can know about",
            remedy="Without a zone a time is taken for UTC: add yours, such as +02:00",
        )
    return found
