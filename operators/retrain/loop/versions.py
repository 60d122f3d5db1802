"""Which version of each partition counts: the newest bytes, and where labels arrive apart, their newest version."""

from typing import TYPE_CHECKING, Any

from retrain.loop.arrival import latest_arrivals
from retrain.loop.streams import labels_of, parse_key, partition_key
from retrain.records import ModelSpec

if TYPE_CHECKING:
    from retrain.ledger import Ledger


def newest_versions(ledger: "Ledger", spec: ModelSpec) -> dict[str, dict[str, Any]]:
    """Return the newest version of each partition as the model sees it, by key, in order of partition.

    A model whose labels are in the data sees `2013-02@v1`. One whose labels arrive apart sees that too until labels of
    the partition have arrived, then `2013-02@v1+l1`; corrected labels make it `2013-02@v1+l2`. The payload is that of
    the arrival, with that of the labels (or None) under `labels`.
    """
    arrivals = latest_arrivals(ledger, spec.dataset)
    if spec.labels is None:
        return arrivals
    labels = {one["partition"]: one for one in latest_arrivals(ledger, labels_of(spec.dataset)).values()}
    found = {}
    for arrived in arrivals.values():
        label = labels.get(arrived["partition"])
        key = partition_key(arrived["partition"], arrived["version"], label["version"] if label else None)
        found[key] = {**arrived, "labels": label}
    return found


def without_labels(key: str) -> str:
    """Return the key of the partition version that a key with labels is about: `2013-02@v1` of `2013-02@v1+l1`."""
    partition, version, _ = parse_key(key)
    return partition_key(partition, version)


def identity(key: str) -> dict[str, Any]:
    """Return partition and version, and the version of the labels where there is one, as payloads name them."""
    partition, version, labels = parse_key(key)
    return {"partition": partition, "version": version, **({"labels": labels} if labels is not None else {})}
