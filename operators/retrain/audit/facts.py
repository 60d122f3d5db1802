"""The facts of a version, from its events alone: pure, so that whoever has the events can make them again."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retrain.audit.asof import tenures
from retrain.audit.trail import ANSWERS, REMARKS, Trail, trained_keys
from retrain.ledger.chain import write_time
from retrain.loop.streams import Kind, parse_key
from retrain.loop.versions import without_labels
from retrain.records import RELEASES, DataRef, Snapshot
from retrain.registry.champions import from_event

if TYPE_CHECKING:
    from retrain.ledger import Event

# Of a judged event, what stands in a section of its own, or is no more than an address.
_PLACES = ("predictions_uri", "losses_uri", "profile_uri", "training_key", "run_id", "model_uri", "artifact_digest")
_REFUSED = 5


def facts(trail: Trail) -> dict[str, Any]:
    """Return everything that the events say of the version, as plain JSON, section by section.

    What was not recorded is null or empty: of a version that a person promoted by hand nothing is known but that.
    """
    judged = trail.judged
    payload: Mapping[str, Any] = judged.payload if judged else {}
    return {
        "asked_for": _asked_for(trail, payload),
        "data": _data(trail, judged),
        "holdout": [_partition(trail, key) for key in payload.get("holdout") or ()],
        "training": _training(trail, payload),
        "gate": _gate(judged),
        "earlier_verdicts": [_gate(event) for event in trail.of(Kind.JUDGED)[:-1]],
        # A check that was declared away has no status.
        "serving": payload["serving"] if (payload.get("serving") or {}).get("status") else None,
        "answers": [_answer(event) for event in trail.of(*ANSWERS)],
        "remarks": [_remark(event) for event in trail.of(*REMARKS)],
        "production": _production(trail),
        "since": [_watched(event) for event in trail.of(Kind.WATCHED)],
    }


def place(event: "Event") -> dict[str, Any]:
    """Return where an event stands and the hash that proves it."""
    return {
        "stream": event.stream,
        "sequence": event.sequence,
        "kind": str(event.kind),
        "key": event.key,
        "actor": event.actor,
        "recorded_at": write_time(event.recorded_at),
        "hash": event.hash,
    }


def _asked_for(trail: Trail, judged: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who or what asked for the training: as the verdict says it, with the time from the wish's own event."""
    wishes = {event.key: event for event in trail.of(Kind.DECIDED, Kind.REQUESTED)}
    found = []
    for wish in judged.get("requests") or ():
        event = wishes.get(wish["key"])
        found.append(
            {
                "trigger": wish.get("trigger"),
                "reason": wish.get("reason"),
                "actor": wish.get("actor"),
                "params": dict(wish.get("params") or {}),
                "at": write_time(event.recorded_at) if event else None,
                "event": event.sequence if event else None,
            }
        )
    return found


def _data(trail: Trail, judged: "Event | None") -> dict[str, Any]:
    payload: Mapping[str, Any] = judged.payload if judged else {}
    partitions = [_partition(trail, key) for key in trained_keys(payload)]
    missing = sorted(set(payload.get("partitions") or ()) - {one["partition"] for one in partitions})
    uri = payload.get("snapshot_uri")
    claimed = _digest_in(uri)
    return {
        "dataset": trail.dataset,
        "partitions": [*partitions, *({"key": name, "partition": name, "known": False} for name in missing)],
        "rows": _sum(partitions, "rows"),
        "quarantined_rows": _sum(partitions, "quarantined_rows"),
        "snapshot": claimed,
        "snapshot_uri": uri,
        # The manifest's name is its digest: partitions that give the same digest are the very list that was trained on.
        "proven": None if claimed is None or missing or not partitions else _digest(trail, partitions) == claimed,
        "frame": payload.get("frame"),
    }


def _digest(trail: Trail, partitions: Sequence[Mapping[str, Any]]) -> str:
    refs = tuple(
        DataRef(one["uri"] or "", one["format"] or "", one["partition"], one["ref_version"], one["digest"])
        for one in partitions
    )
    return Snapshot(str(trail.dataset), refs).digest


def _digest_in(uri: str | None) -> str | None:
    name = (uri or "").rpartition("/")[2].removesuffix(".json")
    return f"sha256:{name}" if len(name) == 64 else None


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> int | None:
    values = [one[name] for one in rows if one.get(name) is not None]
    return sum(values) if values else None


def _partition(trail: Trail, key: str) -> dict[str, Any]:
    """How a partition version came in, and what of it was accepted."""
    name, version, labels = parse_key(key)
    base = without_labels(key)
    arrived, validated = _event(trail, Kind.ARRIVED, base), _event(trail, Kind.VALIDATED, base)
    labelled = _event(trail, Kind.LABELLED, key) if key != base else {}
    accepted = (labelled or validated).get("accepted") or {}
    failures = validated.get("failures") or []
    released = arrived.get("released")
    return {
        "key": key,
        "partition": name,
        "version": version,
        "labels": labels,
        "known": bool(accepted),
        "digest": accepted.get("digest"),
        "ref_version": accepted.get("version"),
        "uri": accepted.get("uri"),
        "format": accepted.get("format"),
        "rows": accepted.get("rows"),
        "source_uri": arrived.get("uri"),
        "source_digest": arrived.get("digest"),
        "validation": validated.get("status"),
        "rows_in": validated.get("rows"),
        "quarantined_rows": validated.get("quarantined_rows"),
        "broken": [_broken(one) for one in failures[:_REFUSED]],
        "more_broken": max(0, len(failures) - _REFUSED),
        "unlabelled": labelled.get("unlabelled"),
        "released_by": (released or {}).get("by"),
        "released_because": (released or {}).get("reason"),
    }


def _broken(failure: Mapping[str, Any]) -> str:
    column = f" ({failure['column']})" if failure.get("column") else ""
    return f"{failure.get('expectation')}{column}: {failure.get('reason') or failure.get('count')}"


def _event(trail: Trail, kind: Kind, key: str) -> Mapping[str, Any]:
    event = trail.by_key.get((kind, key))
    return event.payload if event else {}


def _training(trail: Trail, judged: Mapping[str, Any]) -> dict[str, Any]:
    reads = trail.of(Kind.READ)
    origin: Mapping[str, Any] = next((event.payload["origin"] for event in reads if event.payload.get("origin")), {})
    known = {name: judged.get(name) for name in _PLACES}
    change = next((event for event in trail.of(*RELEASES) if str(event.payload["version"]) == trail.version), None)
    if change is not None:  # a version that was promoted by hand has nothing but this
        known["run_id"] = known["run_id"] or change.payload.get("run_id")
        known["model_uri"] = known["model_uri"] or change.payload.get("model_uri")
    return {
        **known,
        "origin": dict(origin),
        "code": judged.get("code"),
        "params": judged.get("params"),
        "environment": judged.get("environment"),
        "read_partitions": sum(len(event.payload.get("reads") or ()) for event in reads),
    }


def _gate(event: "Event | None") -> dict[str, Any] | None:
    if event is None:
        return None
    payload = event.payload
    return {
        "at": write_time(event.recorded_at),
        "event": event.sequence,
        "run": event.key,
        "actor": event.actor,
        "against": payload.get("champion"),
        "metric_name": payload.get("metric_name"),
        "metric": payload.get("metric"),
        "champion_metric": payload.get("champion_metric"),
        "verdict": payload.get("verdict"),
        "pictures": dict(payload.get("pictures") or {}),
    }


def _answer(event: "Event") -> dict[str, Any]:
    payload = event.payload
    return {
        "answer": str(event.kind),
        # Of an answer that a time-out gave, `by` is null: the task that wrote it is nobody's word.
        "by": payload.get("by"),
        "comment": "; ".join(filter(None, [payload.get("comment"), payload.get("note")])),
        "at": write_time(event.recorded_at),
        "event": event.sequence,
    }


def _remark(event: "Event") -> dict[str, Any]:
    payload = event.payload
    return {
        "what": str(event.kind),
        "alarm": payload.get("alarm"),
        "reason": payload.get("reason") or _terms(payload),
        "refused": payload.get("refused"),
        "by": event.actor,
        "at": write_time(event.recorded_at),
        "event": event.sequence,
    }


def _terms(asked: Mapping[str, Any]) -> str | None:
    """What counts when nobody answers."""
    if asked.get("timeout_hours") is None:
        return None
    return f"without an answer within {asked['timeout_hours']:g} hours: {asked.get('on_timeout')}"


def _production(trail: Trail) -> list[dict[str, Any]]:
    """The times in which the version was champion."""
    found = []
    payloads = {event.sequence: event.payload for event in trail.of(*RELEASES)}
    for one in tenures(from_event(event) for event in trail.of(*RELEASES)):
        if one.champion.version != trail.version:
            continue
        change, payload = one.champion, payloads[one.champion.sequence]
        ended = payloads[one.successor.sequence] if one.successor else {}
        found.append(
            {
                "how": change.kind,
                "since": write_time(one.since),
                "until": write_time(one.until) if one.until else None,
                "replaced": change.previous,
                "replaced_by": one.successor.version if one.successor else None,
                "ended_as": one.successor.kind if one.successor else None,
                "ended_because": one.successor.reason if one.successor else None,
                "ended_by_alarm": ended.get("alarm"),
                "actor": change.actor,
                "approved_by": change.approved_by,
                "reason": change.reason,
                # Of a rollback: what loading the version gave, and the alarm that asked for it.
                "check": payload.get("check"),
                "alarm": payload.get("alarm"),
                "event": change.sequence,
            }
        )
    return found


def _watched(event: "Event") -> dict[str, Any]:
    drift, performance = event.payload.get("drift") or {}, event.payload.get("performance") or {}
    return {
        "key": event.key,
        "at": write_time(event.recorded_at),
        "event": event.sequence,
        "drift": drift.get("status"),
        "drivers": list(drift.get("drivers") or ())[:5],
        "summary": drift.get("summary"),
        "performance": performance.get("status"),
        "metric": performance.get("metric"),
        "reference_metric": performance.get("reference_metric"),
        "reason": performance.get("reason"),
    }
