"""Retired versions: those that may not become champion any more, by promotion or by rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrain.exceptions import PromotionRefusedError, SequenceConflictError
from retrain.records.streams import RELEASES, Kind, model_stream
from retrain.registry.champions import champion

if TYPE_CHECKING:
    from retrain.ledger import Event, Ledger

_ATTEMPTS = 20


def retired(ledger: Ledger, model: str) -> dict[str, Event]:
    """Return the event of each retired version."""
    return {str(event.payload["version"]): event for event in ledger.events(model_stream(model), kinds=[Kind.RETIRED])}


def check_not_retired(ledger: Ledger, model: str, version: str) -> None:
    """Refuse a version that is retired."""
    if (event := retired(ledger, model).get(version)) is not None:
        raise PromotionRefusedError(
            f"version {version} of {model} was retired by {event.actor}: {event.payload['reason']}",
            expected="a version that is not retired",
            remedy="Train again: the same model with other data or code is another version",
        )


def _check_known(ledger: Ledger, model: str, version: str) -> None:
    known = {
        str(event.payload["version"]) for event in ledger.events(model_stream(model), kinds=[Kind.JUDGED, *RELEASES])
    }
    if version not in known:
        raise PromotionRefusedError(
            f"the ledger knows no version {version} of {model}",
            expected=f"one of {', '.join(sorted(known, key=_in_order))}" if known else "a model that was trained here",
            remedy="Correct the name: `retrain ledger log --kind judged` lists those that there are",
        )


def _in_order(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdigit() else (0, version)


def retire(ledger: Ledger, model: str, version: str, *, reason: str, actor: str) -> Event:
    """Retire a version for good: it is not promoted or rolled back to again.

    The champion is refused, and a version that the ledger does not know. A repeat is a no-op.
    """
    version, stream = str(version), model_stream(model)
    for _ in range(_ATTEMPTS):
        head = ledger.last(stream)
        if (done := retired(ledger, model).get(version)) is not None:
            return done
        _check_known(ledger, model, version)
        current = champion(ledger, model)
        if current is not None and current.version == version:
            raise PromotionRefusedError(
                f"version {version} is the champion of {model}",
                expected="a version that is not in production",
                remedy="Roll back first: retrain registry rollback",
            )
        payload = {"version": version, "reason": reason}
        try:
            return ledger.append(
                stream, Kind.RETIRED, version, payload, actor=actor, expected_sequence=head.sequence if head else 0
            ).event
        except SequenceConflictError:
            continue
    raise SequenceConflictError(
        f"the stream {stream} moved on {_ATTEMPTS} times while version {version} was being retired", remedy="Try again"
    )
