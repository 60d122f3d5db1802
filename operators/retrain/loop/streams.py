"""The vocabulary of the ledger: streams, kinds of events, their keys, and the names of claimable work."""

import re
from enum import StrEnum

from retrain.exceptions import ContractError

_KEY = re.compile(r"(?P<partition>.+)@v(?P<version>\d+)(\+l(?P<labels>\d+))?", re.DOTALL)


class Kind(StrEnum):
    """What can happen to a dataset or to a model."""

    ARRIVED = "arrived"  # dataset: an object with these bytes lies there
    SEEN = "seen"  # dataset: the bytes of a version were written once more, under another token
    VALIDATED = "validated"  # dataset: the suite's verdict on a partition version
    LABELLED = "labelled"  # dataset: labels that arrived apart were joined to a partition version
    RELEASED = "released"  # dataset: a person let a quarantined partition version in, as a new version
    DROPPED = "dropped"  # dataset: a person gave quarantined rows up
    READ = "read"  # model: a job read data: which partition versions, which columns, for whom
    WATCHED = "watched"  # model: drift and performance of the champion on a partition version
    REQUESTED = "requested"  # model: a person asked for a retraining
    DECIDED = "decided"  # model: retrain now, or not, and why
    JUDGED = "judged"  # model: a challenger exists, and the gate's verdict on it
    SKIPPED = "skipped"  # model: a wanted retraining could not start, and why
    FAILED = "failed"  # model: a wanted retraining ended without a model, and trying again would not help
    PROMOTED = "promoted"  # model: a version became champion
    ROLLED_BACK = "rolled_back"  # model: an earlier version became champion again


def dataset_stream(dataset: str) -> str:
    """Return the stream of a dataset."""
    return f"dataset:{dataset}"


def model_stream(model: str) -> str:
    """Return the stream of a model."""
    return f"model:{model}"


def labels_of(dataset: str) -> str:
    """Return the name under which a dataset's labels arrive, when they arrive apart; no dataset may be called so."""
    return f"{dataset}.labels"


def partition_key(partition: str, version: int, labels: int | None = None) -> str:
    """Return the key of a partition version: `2013-02@v1`, with labels of their own `2013-02@v1+l1`."""
    return f"{partition}@v{version}" + (f"+l{labels}" if labels is not None else "")


def parse_key(key: str) -> tuple[str, int, int | None]:
    """Return partition, version and version of the labels (or None) of a key."""
    match = _KEY.fullmatch(key)
    if match is None:
        raise ContractError(f"{key!r} is no key of a partition version", expected="such as 2013-02@v1 or 2013-02@v1+l1")
    labels = match["labels"]
    return match["partition"], int(match["version"]), None if labels is None else int(labels)


def validate_work(dataset: str, key: str) -> str:
    """Return the name of the work of validating a partition version."""
    return f"{dataset_stream(dataset)}/validate/{key}"


def watch_work(model: str, key: str) -> str:
    """Return the name of the work of watching a model on a partition version."""
    return f"{model_stream(model)}/watch/{key}"


def train_work(model: str, decision: str) -> str:
    """Return the name of the work that a decision (or a request) asks for."""
    return f"{model_stream(model)}/train/{decision}"
