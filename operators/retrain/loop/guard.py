"""The guard: whether a declared alarm takes a promotion back. Bounded, so that it never ping-pongs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.exceptions import PromotionRefusedError
from retrain.loop.release import rollback_target
from retrain.loop.streams import Kind, model_stream
from retrain.records import RELEASES, Alarm, ModelSpec, PerformanceStatus
from retrain.registry.champions import Champion, champion

if TYPE_CHECKING:
    from retrain.ledger import Event, Ledger


# Before the name of the promotion, the key of the rollback that takes it back.
ALARM = "alarm:"


@dataclass(frozen=True)
class Guarded:
    """A champion that is guarded, the one before it, and what was seen of the champion so far.

    `decay` says why the alarm goes off, if it does. `seen` is the newest partition version that was watched: the
    serving check is made once for each.
    """

    champion: Champion
    target: Champion
    decay: str | None
    seen: str | None

    @property
    def key(self) -> str:
        """Names this promotion: it is taken back once at most."""
        return f"{self.champion.version}@{self.champion.sequence}"


def guarded(ledger: "Ledger", spec: ModelSpec) -> Guarded | None:
    """Return what there is to guard; None: nothing is declared, or nothing was promoted, or it is over.

    What a rollback made champion is not guarded: an alarm would only swing back.
    """
    current = champion(ledger, spec.model)
    if spec.rollback_on is None or current is None or current.kind != Kind.PROMOTED:
        return None
    try:
        target = rollback_target(ledger, spec.model)
    except PromotionRefusedError:
        return None
    watched = _watched(ledger, spec.model, current)
    first = list(dict.fromkeys(str(event.payload["partition"]) for event in watched))
    in_time = {*first[: spec.rollback_on.partitions]}
    found = Guarded(
        current,
        target,
        decay=_decay(event for event in watched if str(event.payload["partition"]) in in_time)
        if Alarm.DECAY in spec.rollback_on.alarms
        else None,
        seen=watched[-1].key if watched and len(first) <= spec.rollback_on.partitions else None,
    )
    return None if _alarmed(ledger, spec.model, found) else found


def wants_serving_check(ledger: "Ledger", spec: ModelSpec, found: Guarded) -> bool:
    """Say whether the champion is to be loaded once more: one of the first partitions has come since it last was."""
    if spec.rollback_on is None or Alarm.SERVING not in spec.rollback_on.alarms or found.seen is None:
        return False
    return ledger.get(model_stream(spec.model), Kind.GUARDED, f"{found.key}/{found.seen}") is None


def note_serves(ledger: "Ledger", model: str, found: Guarded, *, actor: str, reason: str) -> None:
    """Record that the champion was loaded once more, and serves."""
    payload = {"version": found.champion.version, "alarm": None, "reason": reason, "target": None, "refused": None}
    ledger.append(model_stream(model), Kind.GUARDED, f"{found.key}/{found.seen}", payload, actor=actor)


def note_alarm(
    ledger: "Ledger", model: str, found: Guarded, alarm: Alarm, *, actor: str, reason: str, refused: str | None = None
) -> None:
    """Record the alarm, once for each promotion; `refused` says why it could not be gone back."""
    payload = {
        "version": found.champion.version,
        "alarm": alarm.value,
        "reason": reason,
        "target": found.target.version,
        "refused": refused,
    }
    ledger.append(model_stream(model), Kind.GUARDED, found.key, payload, actor=actor)


def finish(ledger: "Ledger", model: str, *, actor: str) -> dict[str, Any] | None:
    """Record the alarm of a rollback whose task died right after it, and return what it did; None if there is none."""
    stream = model_stream(model)
    for event in ledger.events(stream, kinds=RELEASES, newest_first=True, limit=1):
        payload, key = event.payload, event.key.removeprefix(ALARM)
        if payload.get("alarm") is None or ledger.get(stream, Kind.GUARDED, key) is not None:
            return None
        noted = {
            "version": payload["previous"],
            "alarm": payload["alarm"],
            "reason": payload["reason"],
            "target": payload["version"],
            "refused": None,
        }
        ledger.append(stream, Kind.GUARDED, key, noted, actor=actor)
        return {"version": payload["version"], "previous": payload["previous"], "created": False}
    return None


def _alarmed(ledger: "Ledger", model: str, found: Guarded) -> bool:
    return ledger.get(model_stream(model), Kind.GUARDED, found.key) is not None


def _watched(ledger: "Ledger", model: str, current: Champion) -> "list[Event]":
    events = ledger.events(model_stream(model), kinds=[Kind.WATCHED], after=current.sequence)
    return [event for event in events if current.version in _champions(event.payload)]


def _champions(watched: Mapping[str, Any]) -> set[str | None]:
    return {(watched.get(part) or {}).get("champion") for part in ("drift", "performance")}


def _decay(watched: "Iterable[Event]") -> str | None:
    for event in watched:
        performance = event.payload.get("performance") or {}
        if performance.get("status") == PerformanceStatus.DECAY:
            return f"decay on {event.key}: {performance.get('reason')}"
    return None
