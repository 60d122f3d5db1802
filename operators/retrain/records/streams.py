"""The vocabulary of the ledger's events: their kinds and their streams."""

from enum import StrEnum


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
    ASKED = "asked"  # model: a person was asked whether a judged version may be promoted
    APPROVED = "approved"  # model: the answer was yes
    REJECTED = "rejected"  # model: the answer was no
    PROMOTED = "promoted"  # model: a version became champion
    ROLLED_BACK = "rolled_back"  # model: an earlier version became champion again
    RETIRED = "retired"  # model: a version may not become champion any more
    GUARDED = "guarded"  # model: what the guard found on a champion after its promotion, and what came of it
    NOTIFIED = "notified"  # model: the webhook took the notice of a promotion or a rollback


def dataset_stream(dataset: str) -> str:
    """Return the stream of a dataset."""
    return f"dataset:{dataset}"


def model_stream(model: str) -> str:
    """Return the stream of a model."""
    return f"model:{model}"


# The changes of the champion: what the last of them names is in production.
RELEASES = (Kind.PROMOTED, Kind.ROLLED_BACK)
