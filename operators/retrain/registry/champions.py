"""Which version is champion: what the ledger's last promotion or rollback says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.exceptions import ChainBrokenError
from retrain.records import encode
from retrain.records.streams import RELEASES, model_stream

if TYPE_CHECKING:
    from retrain.ledger import Event, Ledger


@dataclass(frozen=True)
class Champion:
    """The version in production since event `sequence` of the model's stream, and why.

    `previous` is the version that it replaced. `kind` is `promoted` or `rolled_back`. `evidence` is what else was
    recorded with the change (URIs of profile, losses and snapshot, the metric, ...).
    """

    version: str
    sequence: int
    kind: str
    recorded_at: str
    previous: str | None = None
    run_id: str | None = None
    model_uri: str | None = None
    actor: str | None = None
    approved_by: str | None = None
    reason: str = ""
    verdict: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = encode(self)
        return document


def champion(ledger: Ledger, model: str) -> Champion | None:
    """Return the champion by the ledger, or None when no version was ever promoted."""
    for event in ledger.events(model_stream(model), kinds=RELEASES, newest_first=True, limit=1):
        return from_event(event)
    return None


def promotions(ledger: Ledger, model: str) -> Iterator[Champion]:
    """Iterate over all changes of the champion, oldest first."""
    return map(from_event, ledger.events(model_stream(model), kinds=RELEASES))


def check_intact(ledger: Ledger, model: str) -> None:
    """Refuse to change the champion of a model whose stream in the ledger does not verify."""
    report = ledger.verify(model_stream(model))
    if not report.ok:
        first = report.problems[0]
        raise ChainBrokenError(
            f"the ledger of {model} was tampered with: event {first.sequence} {first.what}",
            expected="an unbroken chain of hashes, without which nobody knows what is in production and why",
            remedy="See all of it with: retrain ledger verify. Then restore the ledger from a backup",
        )


def from_event(event: Event) -> Champion:
    """Read a `promoted` or `rolled_back` event."""
    payload = event.payload
    return Champion(
        version=str(payload["version"]),
        sequence=event.sequence,
        kind=event.kind,
        recorded_at=event.recorded_at.isoformat(),
        previous=payload.get("previous"),
        run_id=payload.get("run_id"),
        model_uri=payload.get("model_uri"),
        actor=event.actor,
        approved_by=payload.get("approved_by"),
        reason=payload.get("reason", ""),
        verdict=payload.get("verdict"),
        evidence=payload.get("evidence") or {},
    )
