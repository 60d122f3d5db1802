"""The vocabulary of the ledger: streams, kinds of events, their keys, and the names of claimable work."""

from enum import StrEnum


class Kind(StrEnum):
    """What can happen to a dataset or to a model."""

    ARRIVED = "arrived"  # dataset: an object with these bytes lies there
    SEEN = "seen"  # dataset: the bytes of a version were written once more, under another token
    VALIDATED = "validated"  # dataset: the suite's verdict on a partition version
    RELEASED = "released"  # dataset: a person let a quarantined partition version in, as a new version
    DROPPED = "dropped"  # dataset: a person gave quarantined rows up
    READ = "read"  # model: a job read data: which partition versions, which columns, for whom
    WATCHED = "watched"  # model: drift and performance of the champion on a partition version
    REQUESTED = "requested"  # model: a person asked for a retraining
    DECIDED = "decided"  # model: retrain now, or not, and why
    JUDGED = "judged"  # model: a challenger exists, and the gate's verdict on it
    SKIPPED = "skipped"  # model: a wanted retraining could not start, and why
    PROMOTED = "promoted"  # model: a version became champion
    ROLLED_BACK = "rolled_back"  # model: an earlier version became champion again


def dataset_stream(dataset: str) -> str:
    """Return the stream of a dataset."""
    return f"dataset:{dataset}"


def model_stream(model: str) -> str:
    """Return the stream of a model."""
    return f"model:{model}"


def partition_key(partition: str, version: int) -> str:
    """Return the key of a partition version: `2013-02@v1`."""
    return f"{partition}@v{version}"


def validate_work(dataset: str, key: str) -> str:
    """Return the name of the work of validating a partition version."""
    return f"{dataset_stream(dataset)}/validate/{key}"


def watch_work(model: str, key: str) -> str:
    """Return the name of the work of watching a model on a partition version."""
    return f"{model_stream(model)}/watch/{key}"


def train_work(model: str, decision: str) -> str:
    """Return the name of the work that a decision (or a request) asks for."""
    return f"{model_stream(model)}/train/{decision}"
