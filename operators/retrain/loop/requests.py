"""Wanted retrainings: decisions and people's requests, each answered exactly once."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from retrain.loop.streams import Kind, model_stream, train_work

if TYPE_CHECKING:
    from retrain.ledger import Claim, Event, Ledger


def open_requests(ledger: "Ledger", model: str) -> "list[Event]":
    """Return decisions to retrain and requests that no retraining has answered yet, oldest first.

    A retraining that failed for good is an answer too: the policy says when it is worth another try.
    """
    from retrain.ledger import ClaimState

    prefix = train_work(model, "")
    done = {claim.work.removeprefix(prefix) for claim in ledger.claims(prefix=prefix, state=ClaimState.DONE)}
    for event in ledger.events(model_stream(model), kinds=[Kind.FAILED]):
        done.update(wish["key"] for wish in event.payload["requests"])
    return [
        event
        for event in ledger.events(model_stream(model), kinds=[Kind.DECIDED, Kind.REQUESTED])
        if (event.kind == Kind.REQUESTED or event.payload["retrain"]) and event.key not in done
    ]


def claim_requests(
    ledger: "Ledger", model: str, owner: str, *, lease: timedelta
) -> "tuple[list[Claim], list[dict[str, Any]]]":
    """Claim every open request for one retraining that answers them all.

    A claim of an earlier run of the same DAG is taken over: that DAG runs once at a time, so the run is dead, and if
    it is not, its late commit is refused by the epoch.
    """
    dag = owner.split("/", 1)[0]
    claims, wishes = [], []
    for event in open_requests(ledger, model):
        work = train_work(model, event.key)
        holder = ledger.get_claim(work)
        same_dag = holder is not None and holder.owner.split("/", 1)[0] == dag
        claim = ledger.claim(work, owner, lease_seconds=lease.total_seconds(), take_over=same_dag)
        if claim is None:
            continue
        claims.append(claim)
        wishes.append(_wish(event))
    return claims, wishes


def _wish(event: "Event") -> dict[str, Any]:
    asked = event.kind == Kind.REQUESTED
    return {
        "key": event.key,
        "trigger": "on_demand" if asked else event.payload["trigger"],
        "reason": event.payload["reason"] if asked else "; ".join(event.payload["reasons"]),
        "params": dict(event.payload.get("params") or {}),
        "actor": event.actor,
    }
