"""The ledger: an append-only, hash-chained record of what happened to a dataset or a model, and leased claims on work.

    with Ledger.open("sqlite:////var/lib/retrain/ledger.db", migrate=True) as ledger:
        claim = ledger.claim("dataset:flights/2013-01/1", owner, lease_seconds=3600)
        if claim is not None:
            ...
            ledger.append("dataset:flights", "validated", "2013-01/1", {"status": "pass"}, claim=claim)

What holds, whatever happens to the caller: events of a stream are numbered 1, 2, 3... without a gap; a repeat of an
append is a no-op; an event and the completion of the claim on its work are committed together or not at all; a caller
whose claim was taken over cannot commit. The chain makes tampering evident, not impossible: see `retrain.ledger.chain`.
"""

from retrain.ledger.chain import GENESIS, canonical_json, event_hash
from retrain.ledger.claims import Claim, ClaimState, task_owner
from retrain.ledger.events import Appended, Entry, Event, Head, Problem, VerifyReport
from retrain.ledger.store import Ledger

__all__ = [
    "GENESIS",
    "Appended",
    "Claim",
    "ClaimState",
    "Entry",
    "Event",
    "Head",
    "Ledger",
    "Problem",
    "VerifyReport",
    "canonical_json",
    "event_hash",
    "task_owner",
]
