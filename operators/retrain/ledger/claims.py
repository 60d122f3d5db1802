"""Leased claims: at most one owner works on a thing, and one that was away too long cannot commit.

A lease only says when others may take over; what keeps a late owner out is the epoch, which a takeover raises and
which is compared in the transaction that appends the result. So clocks that disagree between machines cost at most
double work, never a double result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

import sqlalchemy as sa

from retrain.exceptions import ClaimLostError, ContractError
from retrain.ledger.chain import read_time, write_time
from retrain.ledger.events import check_name
from retrain.ledger.tables import claims


class ClaimState(StrEnum):
    """`held` until the work is `done` or was given back (`free`). A lease that ran out is still `held`."""

    HELD = "held"
    FREE = "free"
    DONE = "done"


@dataclass(frozen=True)
class Claim:
    """Who may work on what, until when. Small and JSON (`to_dict`), so one task can claim and the next one commit."""

    work: str
    owner: str
    epoch: int
    expires_at: datetime
    lease_seconds: float
    state: ClaimState = ClaimState.HELD

    def is_expired(self, now: datetime) -> bool:
        """Whether another owner may take over at `now`."""
        return now >= self.expires_at

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**vars(self), "state": self.state.value, "expires_at": write_time(self.expires_at)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        try:
            times = {"expires_at": read_time(document["expires_at"]), "state": ClaimState(document["state"])}
            return cls(**{**document, **times})
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(
                f"This is no claim: {document!r} ({error})", expected="what Claim.to_dict made"
            ) from None


def task_owner(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Return the owner that stands for an Airflow task, the same in each of its tries."""
    return f"{dag_id}/{run_id}/{task_id}" + (f"[{map_index}]" if map_index >= 0 else "")


def lock_name(work: str) -> str:
    """Return the name under which writers of this claim exclude each other."""
    return f"claim:{work}"


def check_request(work: str, owner: str, lease_seconds: float) -> None:
    """Refuse a claim that could not be stored or would never hold."""
    check_name("work", work)
    check_name("owner", owner)
    if not lease_seconds > 0:
        raise ContractError(f"lease_seconds is {lease_seconds!r}", expected="more than 0")


def find(connection: sa.Connection, work: str) -> Claim | None:
    """Return the claim on `work` in any state, None if there never was one."""
    row = connection.execute(sa.select(claims).where(claims.c.work == work)).one_or_none()
    return _claim(row) if row is not None else None


def select(connection: sa.Connection, prefix: str | None, state: ClaimState | None) -> tuple[Claim, ...]:
    """Return the claims whose work begins with `prefix`, in order of their names."""
    query = sa.select(claims).order_by(claims.c.work)
    if prefix:
        # LIKE would ignore case on SQLite.
        query = query.where(sa.func.substr(claims.c.work, 1, len(prefix)) == prefix)
    if state is not None:
        query = query.where(claims.c.state == ClaimState(state).value)
    return tuple(_claim(row) for row in connection.execute(query))


def acquire(
    connection: sa.Connection, work: str, owner: str, *, lease_seconds: float, now: datetime, take_over: bool
) -> Claim | None:
    """Give the claim to `owner`, or None when it is not to be had. The caller holds the claim's lock."""
    current = find(connection, work)
    wanted = Claim(work, owner, 1, now + timedelta(seconds=lease_seconds), lease_seconds)
    if current is None:
        connection.execute(sa.insert(claims).values(**_values(wanted, now)))
        return wanted
    epoch = _next_epoch(current, owner, now, take_over=take_over)
    if epoch is None:
        return None
    return _store(connection, replace(wanted, epoch=epoch), now)


def renew(connection: sa.Connection, claim: Claim, now: datetime) -> Claim:
    """Let the lease begin anew; ClaimLostError if the claim is not the caller's any more."""
    require(connection, claim, ClaimState.HELD)
    return _store(connection, replace(claim, expires_at=now + timedelta(seconds=claim.lease_seconds)), now)


def release(connection: sa.Connection, claim: Claim, now: datetime) -> bool:
    """Give the work back; False (and no change) if it is not the caller's to give."""
    current = find(connection, claim.work)
    if current is None or not _is_same(current, claim) or current.state is not ClaimState.HELD:
        return False
    _store(connection, replace(current, state=ClaimState.FREE, expires_at=now), now)
    return True


def complete(connection: sa.Connection, claim: Claim, now: datetime) -> None:
    """Mark the work as done. The caller has checked the claim in this transaction."""
    _store(connection, replace(claim, state=ClaimState.DONE), now)


def require(connection: sa.Connection, claim: Claim, *allowed: ClaimState) -> ClaimState:
    """Return the state of the caller's claim; ClaimLostError if it is another's now, or in a state not allowed."""
    current = find(connection, claim.work)
    if current is None:
        raise ClaimLostError(f"{claim.work!r} was never claimed in this ledger")
    if not _is_same(current, claim):
        raise ClaimLostError(
            f"{claim.work!r} is claimed by {current.owner!r} (epoch {current.epoch})",
            expected=f"{claim.owner!r} (epoch {claim.epoch})",
            remedy="Drop this result: the other one counts. Longer leases, or renewing them, make this rarer",
        )
    if current.state not in allowed:
        raise ClaimLostError(
            f"The claim of {claim.owner!r} on {claim.work!r} is {current.state.value}",
            expected=" or ".join(state.value for state in allowed),
        )
    return current.state


def _next_epoch(current: Claim, owner: str, now: datetime, *, take_over: bool) -> int | None:
    if current.state is ClaimState.DONE:
        return None
    if current.state is ClaimState.HELD and current.owner == owner:
        return current.epoch
    # A given-back claim raises the epoch too, also for the same owner: whoever gave it back may not commit any more.
    if current.state is ClaimState.FREE or take_over or current.is_expired(now):
        return current.epoch + 1
    return None


def _is_same(current: Claim, claim: Claim) -> bool:
    return (current.owner, current.epoch) == (claim.owner, claim.epoch)


def _store(connection: sa.Connection, claim: Claim, now: datetime) -> Claim:
    values = _values(claim, now)
    connection.execute(sa.update(claims).where(claims.c.work == claim.work).values(**values))
    return claim


def _values(claim: Claim, now: datetime) -> dict[str, Any]:
    return {**claim.to_dict(), "updated_at": write_time(now)}


def _claim(row: sa.Row[Any]) -> Claim:
    return Claim(row.work, row.owner, row.epoch, read_time(row.expires_at), row.lease_seconds, ClaimState(row.state))
