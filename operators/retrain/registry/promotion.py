"""Promotion: one event in the ledger, fenced against whoever else promotes; the aliases follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.exceptions import PromotionRefusedError, SequenceConflictError
from retrain.records import GateStatus, Verdict
from retrain.records.streams import Kind, model_stream
from retrain.registry.champions import Champion, champion, check_intact, from_event
from retrain.registry.client import RegistryClient, uri_of
from retrain.registry.reconciliation import reconcile
from retrain.registry.retirement import check_not_retired

if TYPE_CHECKING:
    from retrain.ledger import Claim, Ledger

# How often other events may slip into the stream between reading the champion and appending.
_ATTEMPTS = 20


@dataclass(frozen=True)
class Promotion:
    """The promotion that is in the ledger, and whether this call put it there."""

    champion: Champion
    created: bool


def promote(
    ledger: Ledger,
    client: RegistryClient,
    model: str,
    version: str,
    *,
    expected: str | None,
    actor: str,
    reason: str,
    verdict: Verdict | None = None,
    approved_by: str | None = None,
    request: str | None = None,
    evidence: Mapping[str, Any] | None = None,
    claim: Claim | None = None,
) -> Promotion:
    """Make `version` the champion in the ledger, then point MLflow's aliases at it.

    `expected` is the champion that the version was judged against (None: there was none). If another version was
    promoted meanwhile the verdict says nothing any more: PromotionRefusedError. So it is for a verdict that is not
    `pass`, or is missing, unless a person has approved (`approved_by`), for a version that is retired, and for one that
    MLflow does not have. ChainBrokenError when the model's stream was tampered with: who is champion is not known then.

    A repeat is a no-op that finishes what was left undone. `request` names the demand (a DAG run, say): the same
    demand never promotes twice, even if the champion was rolled back in between. With `claim` its work is completed
    in the same transaction, else ClaimLostError.
    """
    version = str(version)
    _check_verdict(model, version, verdict, approved_by)
    check_intact(ledger, model)
    found = client.version(model, version)
    if found is None:
        raise PromotionRefusedError(
            f"MLflow has no version {version} of {model}",
            expected="a registered version",
            remedy="Register the model first, or correct the version",
        )
    payload = {
        "version": version,
        "run_id": found.run_id or found.tags.get("retrain.run_id"),
        "model_uri": uri_of(found),
        "reason": reason,
        "verdict": verdict.to_dict() if verdict is not None else None,
        "approved_by": approved_by,
        "evidence": dict(evidence or {}),
    }
    made = _append(ledger, model, payload, expected, request, actor, claim)
    reconcile(ledger, client, model)
    return made


def _check_verdict(model: str, version: str, verdict: Verdict | None, approved_by: str | None) -> None:
    if approved_by or (verdict is not None and verdict.status is GateStatus.PASS):
        return
    said = "there is no verdict on it" if verdict is None else f"the gate says {verdict.status.value}"
    raise PromotionRefusedError(
        f"version {version} of {model} may not be promoted: {said}"
        + (f" ({'; '.join(verdict.reasons)})" if verdict is not None and verdict.reasons else ""),
        expected="a verdict of pass, or the approval of a person",
        remedy="Approve it by name (approved_by), or train again on more data",
    )


def _append(
    ledger: Ledger,
    model: str,
    payload: dict[str, Any],
    expected: str | None,
    request: str | None,
    actor: str,
    claim: Claim | None,
) -> Promotion:
    stream, version = model_stream(model), payload["version"]
    for _ in range(_ATTEMPTS):
        head = ledger.last(stream)
        current = champion(ledger, model)
        key = f"{version}:{request}" if request else f"{version}@{current.sequence if current else 0}"
        if (done := _done(ledger, model, version, current, key if request else None)) is not None:
            if claim is not None:
                ledger.append_all([], claims=[claim])
            return Promotion(done, created=False)
        _check_expected(model, version, current, expected)
        check_not_retired(ledger, model, version)
        previous = current.version if current else None
        # The stream may not have moved since the champion was read: that is what makes the check hold.
        try:
            made = ledger.append(
                stream,
                Kind.PROMOTED,
                key,
                {**payload, "previous": previous},
                actor=actor,
                expected_sequence=head.sequence if head else 0,
                claim=claim,
            )
        except SequenceConflictError:
            continue
        return Promotion(from_event(made.event), created=made.created)
    raise SequenceConflictError(
        f"the stream {stream} moved on {_ATTEMPTS} times while version {version} was being promoted",
        remedy="Try again; nothing was half-promoted",
    )


def _done(ledger: Ledger, model: str, version: str, current: Champion | None, demanded: str | None) -> Champion | None:
    """Return the change that already did what is asked: by its demand, or because the version is champion."""
    if demanded is not None and (event := ledger.get(model_stream(model), Kind.PROMOTED, demanded)) is not None:
        return from_event(event)
    return current if current is not None and current.version == version else None


def _check_expected(model: str, version: str, current: Champion | None, expected: str | None) -> None:
    now = current.version if current else None
    if now == (str(expected) if expected is not None else None):
        return
    raise PromotionRefusedError(
        f"version {version} of {model} was judged against {_named(expected)}, but the champion is {_named(now)}",
        expected="the champion that the verdict speaks about",
        remedy="Judge the version against the champion of today, then promote it",
    )


def _named(version: str | None) -> str:
    return "no champion" if version is None else f"version {version}"
