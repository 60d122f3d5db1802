"""Notices: what deployers outside are told of each promotion and rollback, and what they were told already."""

from typing import TYPE_CHECKING, Any

from retrain.loop.streams import Kind, model_stream
from retrain.records import RELEASES

if TYPE_CHECKING:
    from retrain.ledger import Event, Ledger


def notice(event: "Event") -> dict[str, Any]:
    """Return what is told of a `promoted` or `rolled_back` event.

    `id` names the ledger's event and is the same however often it is told; `hash` proves it.
    """
    payload = event.payload
    return {
        "id": f"{event.stream}#{event.sequence}",
        "kind": event.kind,
        "model": event.stream.partition(":")[2],
        "version": payload["version"],
        "previous": payload.get("previous"),
        "reason": payload.get("reason"),
        "by": event.actor,
        "approved_by": payload.get("approved_by"),
        "alarm": payload.get("alarm"),
        "model_uri": payload.get("model_uri"),
        "at": event.recorded_at.isoformat(),
        "hash": event.hash,
    }


def last_notice(ledger: "Ledger", model: str) -> dict[str, Any] | None:
    """Return the notice of the model's last release."""
    for event in ledger.events(model_stream(model), kinds=RELEASES, newest_first=True, limit=1):
        return notice(event)
    return None


def pending_notices(ledger: "Ledger", model: str) -> "list[Event]":
    """Return the releases that no receiver has confirmed yet, oldest first.

    Where none ever was, the last one alone: whoever adds a webhook is not told the history.
    """
    stream = model_stream(model)
    told = {int(event.key) for event in ledger.events(stream, kinds=[Kind.NOTIFIED])}
    if not told:
        return list(ledger.events(stream, kinds=RELEASES, newest_first=True, limit=1))
    return [event for event in ledger.events(stream, kinds=RELEASES, after=min(told)) if event.sequence not in told]


def note_told(ledger: "Ledger", model: str, event: "Event", *, receiver: str, actor: str) -> None:
    """Record that the receiver has confirmed the notice of a release."""
    payload = {"id": notice(event)["id"], "receiver": receiver}
    ledger.append(model_stream(model), Kind.NOTIFIED, str(event.sequence), payload, actor=actor)
