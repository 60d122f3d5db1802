"""Facts from the ledger: what is accepted, what is pending, what the policy has to know."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.exceptions import ContractError
from retrain.loop.arrival import latest_arrivals
from retrain.loop.release import judged_of, recorded_digest
from retrain.loop.streams import Kind, dataset_stream, model_stream, parse_key, partition_key
from retrain.loop.versions import identity, newest_versions, without_labels
from retrain.records import DataRef, DriftStatus, ModelSpec, PerformanceStatus
from retrain.registry.champions import champion

if TYPE_CHECKING:
    from datetime import datetime

    from retrain.ledger import Event, Ledger
    from retrain.policy import History


@dataclass(frozen=True)
class Accepted:
    """A partition version that validation accepted: the reference to its accepted rows, and its profile or None.

    `replays` is the earlier version with the very same accepted rows, where this one was only looked at once more.
    """

    key: str
    ref: DataRef
    profile_uri: str | None
    replays: str | None = None


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
    digests: dict[str, str | None] = {}
    found = []
    for event in ledger.events(dataset_stream(dataset), kinds=[Kind.VALIDATED]):
        accepted = event.payload["accepted"]
        digests[event.key] = (accepted or {}).get("digest")
        if event.key in newest and accepted:
            uri = shared_profile(event.payload, spec) if spec else event.payload["profile_uri"]
            earlier = newest[event.key].get("replays")
            same = earlier if earlier and digests.get(earlier) == accepted.get("digest") else None
            found.append(Accepted(event.key, DataRef.from_dict(accepted), uri or own.get(event.key), same))
    return sorted(found, key=lambda one: str(one.ref.partition))


def trainable_partitions(ledger: "Ledger", spec: ModelSpec) -> list[Accepted]:
    """Return what may be trained on and judged by: accepted partitions, and where labels arrive apart, labelled ones.

    While corrected labels are not joined yet, their partition is left out, as it is for corrected data.
    """
    accepted = accepted_partitions(ledger, spec.dataset, spec)
    if spec.labels is None:
        return accepted
    of_base = {without_labels(key): key for key, arrived in newest_versions(ledger, spec).items() if arrived["labels"]}
    joined = {
        event.key: event.payload["accepted"]
        for event in ledger.events(dataset_stream(spec.dataset), kinds=[Kind.LABELLED])
        if event.payload["accepted"]
    }
    found = []
    for one in accepted:
        key = of_base.get(one.key)
        if key in joined:
            labels = parse_key(str(key))[2]
            earlier = partition_key(*parse_key(one.replays)[:2], labels) if one.replays else None
            found.append(Accepted(str(key), DataRef.from_dict(joined[key]), one.profile_uri, earlier))
    return found


def _own_profiles(ledger: "Ledger", spec: ModelSpec) -> dict[str, str]:
    """The profiles that a model had made for itself, because the dataset's were made with other options."""
    options = profile_options(spec)
    return {
        event.key: event.payload["profile_uri"]
        for event in ledger.events(model_stream(spec.model), kinds=[Kind.WATCHED])
        if event.payload.get("profile_options") == options
    }


def pending_partitions(ledger: "Ledger", spec: ModelSpec) -> list[dict[str, Any]]:
    """Return the newest partition versions that this model has not looked at yet, in order of partition.

    Each is `{"partition", "version"}`, with the version of its `labels` where these arrive apart and have arrived.
    """
    watched = watched_keys(ledger, spec.model)
    return [identity(key) for key in newest_versions(ledger, spec) if key not in watched]


def watched_keys(ledger: "Ledger", model: str) -> set[str]:
    """Return the keys of the partition versions that the model has looked at."""
    return {event.key for event in ledger.events(model_stream(model), kinds=[Kind.WATCHED])}


def champion_inputs(ledger: "Ledger", model: str) -> dict[str, Any] | None:
    """Return what jobs have to know of the champion, or None before the first promotion."""
    current = champion(ledger, model)
    if current is None:
        return None
    wanted = ("profile_uri", "losses_uri", "predictions_uri", "snapshot_uri", "metric", "partitions")
    judged = judged_of(ledger, model, current.version)
    evidence = current.evidence or judged
    return {
        "version": current.version,
        "model_uri": current.model_uri,
        # Of the files as they were judged: nothing else is loaded in the champion's name.
        "digest": recorded_digest(judged) or evidence.get("digest"),
        "run_id": current.run_id,
        **{name: evidence.get(name) for name in wanted},
    }


def versions_to_compare(ledger: "Ledger", model: str, versions: Sequence[str | int] | str) -> list[dict[str, Any]]:
    """Return what jobs have to know of versions of a model; ContractError for one that was never judged.

    `versions` is a list, or text such as `1, 2`.
    """
    wanted = [part.strip() for part in versions.split(",")] if isinstance(versions, str) else list(map(str, versions))
    found = {
        str(event.payload["version"]): event.payload
        for event in ledger.events(model_stream(model), kinds=[Kind.JUDGED])
        if any(wanted)
    }
    if unknown := [version for version in wanted if version and version not in found]:
        raise ContractError(
            f"{model} has no judged versions {unknown}",
            expected=f"some of {sorted(found, key=int)}",
            remedy="Name versions that this loop has trained; see: retrain registry history",
        )
    return [
        {
            "version": version,
            "model_uri": found[version]["model_uri"],
            "snapshot_uri": found[version].get("snapshot_uri"),
            "digest": recorded_digest(found[version]),
        }
        for version in dict.fromkeys(filter(None, wanted))
    ]


def history(ledger: "Ledger", spec: ModelSpec) -> "History":
    """Return what the policy decides upon. Requests of people are not in it: they go to the training by themselves."""
    from retrain.evaluation import get_metric
    from retrain.policy import History

    current = champion_inputs(ledger, spec.model)
    version = current["version"] if current else None
    trained = ledger.last(model_stream(spec.model), Kind.JUDGED)
    known = set(trained.payload["known"]) if trained else set()
    accepted = trainable_partitions(ledger, spec)
    new = tuple(str(one.ref.partition) for one in accepted if known.isdisjoint((one.key, one.replays)))
    watched = [seen for seen in newest_watched(ledger, spec) if watched_champion(seen) == version]
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
        failed_at=_failed_at(ledger, spec, trained),
        labels_late=bool(watched) and version is not None and not (watched[-1]["performance"] or {}).get("status"),
        performance=PerformanceStatus(latest["status"]) if latest else None,
        metric=spec.metric,
        greater_is_better=get_metric(spec.metric).greater_is_better,
        metric_at_promotion=current["metric"] if current else None,
        metric_now=latest.get("metric"),
        estimate=_estimate(watched[-1]) if watched else None,
    )


def _failed_at(ledger: "Ledger", spec: ModelSpec, trained: "Event | None") -> "datetime | None":
    """When the last retraining ended without a model, if none has ended with one since and no data has come since.

    With other data, corrected perhaps, it is worth another try at once.
    """
    failed = ledger.last(model_stream(spec.model), Kind.FAILED)
    if failed is None or (trained is not None and trained.sequence > failed.sequence):
        return None
    newest = [ledger.last(dataset_stream(spec.dataset), kind) for kind in (Kind.VALIDATED, Kind.LABELLED)]
    if any(one is not None and one.payload["accepted"] and one.recorded_at > failed.recorded_at for one in newest):
        return None
    return failed.recorded_at


def newest_watched(ledger: "Ledger", spec: ModelSpec) -> list[Mapping[str, Any]]:
    """Return what was seen on the newest version of each partition, in order of partition and not of looking."""
    seen = {event.key: event.payload for event in ledger.events(model_stream(spec.model), kinds=[Kind.WATCHED])}
    return [seen[key] for key in newest_versions(ledger, spec) if key in seen]


def watched_champion(watched: Mapping[str, Any]) -> str | None:
    """Return the version that was champion when a partition was looked at."""
    return (watched["drift"] or {}).get("champion")


def _estimate(watched: Mapping[str, Any]) -> Any:
    from retrain.policy.history import Estimate

    found = watched.get("estimate") or {}
    if not found.get("status"):
        return None
    status = PerformanceStatus(found["status"])
    return Estimate(watched["partition"], status, found["metric"], found["realised"], found["value"])


def _drift(watched: Mapping[str, Any]) -> Any:
    from retrain.policy.history import PartitionDrift

    drift = watched["drift"]
    return PartitionDrift(watched["partition"], DriftStatus(drift["status"]), tuple(drift["drivers"]))
