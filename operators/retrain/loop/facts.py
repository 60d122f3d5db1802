"""Facts from the ledger: what is accepted, what is pending, what the policy has to know."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.loop.arrival import latest_arrivals
from retrain.loop.streams import Kind, dataset_stream, model_stream
from retrain.records import DataRef, DriftStatus, ModelSpec, PerformanceStatus
from retrain.registry.champions import champion

if TYPE_CHECKING:
    from retrain.ledger import Ledger
    from retrain.policy import History


@dataclass(frozen=True)
class Accepted:
    """A partition version that may be trained on: the reference to its accepted rows, and its profile or None."""

    key: str
    ref: DataRef
    profile_uri: str | None


def profile_options(spec: ModelSpec) -> str:
    """Return the fingerprint of what a profile depends on besides the data: private columns, categories, target."""
    options = [sorted(spec.categorical), sorted(spec.pii), spec.target]
    return hashlib.sha256(json.dumps(options).encode()).hexdigest()[:16]


def shared_profile(validated: Mapping[str, Any], spec: ModelSpec) -> str | None:
    """Return the profile that was made when a partition was validated, if it was made with the options of `spec`."""
    options = profile_options(spec)
    uri: str | None = validated["profile_uri"]
    return uri if validated.get("profile_options", options) == options else None


def accepted_partitions(ledger: "Ledger", dataset: str, spec: ModelSpec | None = None) -> list[Accepted]:
    """Return the newest version of each partition, where validation accepted it, in order of partition.

    While a corrected version is not validated yet, its partition is left out: the old bytes are known to be wrong.
    With `spec` the profiles are those made with its options, None where there is none; without it, the dataset's.
    """
    newest = latest_arrivals(ledger, dataset)
    own = _own_profiles(ledger, spec) if spec else {}
    found = []
    for event in ledger.events(dataset_stream(dataset), kinds=[Kind.VALIDATED]):
        if event.key in newest and event.payload["accepted"]:
            ref = DataRef.from_dict(event.payload["accepted"])
            uri = shared_profile(event.payload, spec) if spec else event.payload["profile_uri"]
            found.append(Accepted(event.key, ref, uri or own.get(event.key)))
    return sorted(found, key=lambda one: str(one.ref.partition))


def _own_profiles(ledger: "Ledger", spec: ModelSpec) -> dict[str, str]:
    """The profiles that a model had made for itself, because the dataset's were made with other options."""
    options = profile_options(spec)
    return {
        event.key: event.payload["profile_uri"]
        for event in ledger.events(model_stream(spec.model), kinds=[Kind.WATCHED])
        if event.payload.get("profile_options") == options
    }


def pending_partitions(ledger: "Ledger", spec: ModelSpec) -> list[dict[str, Any]]:
    """Return the newest partition versions that this model has not looked at yet, in order of partition."""
    watched = {event.key for event in ledger.events(model_stream(spec.model), kinds=[Kind.WATCHED])}
    return [
        {"partition": arrived["partition"], "version": arrived["version"]}
        for key, arrived in latest_arrivals(ledger, spec.dataset).items()
        if key not in watched
    ]


def champion_inputs(ledger: "Ledger", model: str) -> dict[str, Any] | None:
    """Return what jobs have to know of the champion, or None before the first promotion."""
    current = champion(ledger, model)
    if current is None:
        return None
    wanted = ("profile_uri", "losses_uri", "snapshot_uri", "metric", "partitions")
    evidence = current.evidence or _judged(ledger, model, current.version)
    return {
        "version": current.version,
        "model_uri": current.model_uri,
        **{name: evidence.get(name) for name in wanted},
    }


def _judged(ledger: "Ledger", model: str, version: str) -> Mapping[str, Any]:
    """What was found out about a version when it was judged: a person who promotes it by hand brings no evidence."""
    for event in ledger.events(model_stream(model), kinds=[Kind.JUDGED], newest_first=True):
        if event.payload["version"] == version:
            return event.payload
    return {}


def history(ledger: "Ledger", spec: ModelSpec) -> "History":
    """Return what the policy decides upon. Requests of people are not in it: they go to the training by themselves."""
    from retrain.evaluation import get_metric
    from retrain.policy import History

    current = champion_inputs(ledger, spec.model)
    version = current["version"] if current else None
    trained = ledger.last(model_stream(spec.model), Kind.JUDGED)
    known = set(trained.payload["known"]) if trained else set()
    accepted = accepted_partitions(ledger, spec.dataset)
    new = tuple(str(one.ref.partition) for one in accepted if one.key not in known)
    watched = [seen for seen in _newest_watched(ledger, spec) if _watched_champion(seen) == version]
    measured = [seen["performance"] for seen in watched if (seen["performance"] or {}).get("status")]
    latest = measured[-1] if measured else {}
    return History(
        model=spec.model,
        available=len(accepted),
        champion=version,
        trained_at=trained.recorded_at if trained else None,
        trained_partitions=tuple(trained.payload["partitions"]) if trained else (),
        new_partitions=new,
        drift=tuple(
            _drift(seen) for seen in watched if seen["partition"] in new and (seen["drift"] or {}).get("status")
        ),
        labels_late=bool(watched) and version is not None and not (watched[-1]["performance"] or {}).get("status"),
        performance=PerformanceStatus(latest["status"]) if latest else None,
        metric=spec.metric,
        greater_is_better=get_metric(spec.metric).greater_is_better,
        metric_at_promotion=current["metric"] if current else None,
        metric_now=latest.get("metric"),
    )


def _newest_watched(ledger: "Ledger", spec: ModelSpec) -> list[Mapping[str, Any]]:
    """What was seen on the newest version of each partition, in order of partition and not of looking."""
    seen = {event.key: event.payload for event in ledger.events(model_stream(spec.model), kinds=[Kind.WATCHED])}
    return [seen[key] for key in latest_arrivals(ledger, spec.dataset) if key in seen]


def _watched_champion(watched: Mapping[str, Any]) -> str | None:
    return (watched["drift"] or {}).get("champion")


def _drift(watched: Mapping[str, Any]) -> Any:
    from retrain.policy.history import PartitionDrift

    drift = watched["drift"]
    return PartitionDrift(watched["partition"], DriftStatus(drift["status"]), tuple(drift["drivers"]))
