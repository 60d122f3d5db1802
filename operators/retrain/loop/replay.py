"""Replaying past partitions: each becomes a new version with the same bytes, which the loop takes in again.

A new version, because what is judged anew may be judged otherwise (the suite or the champion has changed), and no
verdict of the past is overwritten. Where the accepted rows are the same after all, they are not new to the training.
"""

from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DeclarationError, SequenceConflictError
from retrain.loop.arrival import ATTEMPTS
from retrain.loop.facts import watched_keys
from retrain.loop.streams import Kind, dataset_stream, partition_key
from retrain.loop.versions import identity, newest_versions, without_labels
from retrain.records import ModelSpec

if TYPE_CHECKING:
    from retrain.ledger import Entry, Ledger


def replay(
    ledger: "Ledger",
    spec: ModelSpec,
    *,
    first: str | None,
    last: str | None,
    key: str,
    reason: str,
    actor: str,
) -> list[dict[str, Any]]:
    """Register the partitions from `first` to `last` (both included, None: open) once more; return them in order.

    What the model has not looked at yet is returned as it is. `key` names the demand: asking again with the same key
    changes nothing and returns the same. All are registered in one transaction. Raises DeclarationError where the range
    holds no partition.
    """
    stream = dataset_stream(spec.dataset)
    for _ in range(ATTEMPTS):
        head = ledger.last(stream)
        wanted = _between(newest_versions(ledger, spec), first, last)
        if not wanted:
            raise _nothing(spec.dataset, list(newest_versions(ledger, spec).values()), first, last)
        seen = watched_keys(ledger, spec.model)
        again = [(name, one) for name, one in wanted.items() if name in seen and one.get("replay") != key]
        entries = [_entry(stream, name, arrived, key, reason, actor) for name, arrived in again]
        if not entries:
            return [identity(name) for name in wanted]
        # The first is fenced, and with it the transaction: nothing arrived since the newest versions were read.
        entries[0] = changed(entries[0], expected_sequence=head.sequence if head else 0)
        try:
            ledger.append_all(entries)
        except SequenceConflictError:
            continue
        return [identity(name) for name in _between(newest_versions(ledger, spec), first, last)]
    raise SequenceConflictError(
        f"the stream {stream} moved on {ATTEMPTS} times during the replay", remedy="Try again; nothing was changed"
    )


def _between(versions: dict[str, dict[str, Any]], first: str | None, last: str | None) -> dict[str, dict[str, Any]]:
    return {
        name: arrived
        for name, arrived in versions.items()
        if (first is None or arrived["partition"] >= first) and (last is None or arrived["partition"] <= last)
    }


def _nothing(dataset: str, there: list[dict[str, Any]], first: str | None, last: str | None) -> DeclarationError:
    names = [str(arrived["partition"]) for arrived in there]
    return DeclarationError(
        f"{dataset} has no partition from {first or 'the first'} to {last or 'the last'}",
        expected=f"a range within {names[0]} to {names[-1]}" if names else "partitions that have arrived",
        remedy="Correct the range; partitions are ordered by their names",
    )


def _entry(stream: str, name: str, arrived: dict[str, Any], key: str, reason: str, actor: str) -> "Entry":
    from retrain.ledger import Entry

    version = arrived["version"] + 1
    payload = {
        **{field: value for field, value in arrived.items() if field != "labels"},
        "version": version,
        "replays": without_labels(name),
        "replay": key,
        "reason": reason,
    }
    return Entry(stream, Kind.ARRIVED, partition_key(arrived["partition"], version), payload, actor)


def lanes(partitions: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Deal partitions out to so many lanes that are worked off side by side, each in order."""
    dealt = [partitions[lane::count] for lane in range(min(count, len(partitions)))]
    return [batch(lane) for lane in dealt]


def batches(partitions: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Cut partitions into at most so many runs of neighbours, in order."""
    size = -(-len(partitions) // count)
    return [batch(partitions[start : start + size]) for start in range(0, len(partitions), size)] if size else []


def batch(partitions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what one task works off: a partition as it is, or several under a name that says which."""
    if len(partitions) == 1:
        return partitions[0]
    names = [str(one["partition"]) for one in partitions]
    return {"partition": f"{names[0]} to {names[-1]} ({len(names)})", "partitions": partitions}
