"""Keys of the ledger's events and the names of claimable work; kinds and streams are those of `retrain.records`."""

import re

from retrain.exceptions import ContractError
from retrain.records.streams import Kind, dataset_stream, model_stream

__all__ = [
    "Kind",
    "dataset_stream",
    "labels_of",
    "model_stream",
    "parse_key",
    "partition_key",
    "train_work",
    "validate_work",
    "watch_work",
]

_KEY = re.compile(r"(?P<partition>.+)@v(?P<version>\d+)(\+l(?P<labels>\d+))?", re.DOTALL)


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
