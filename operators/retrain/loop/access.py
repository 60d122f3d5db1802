"""Who read which data: what jobs say they have read, as events of the model, and the list of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from retrain.loop.streams import Kind, model_stream, partition_key
from retrain.records import DataRead, JobResult, JobStatus

if TYPE_CHECKING:
    from retrain.ledger import Entry, Event, Ledger


@dataclass(frozen=True)
class Access:
    """One object that one job has read. `columns` is None where their names are not known: all that it has.

    `actor` is who asked for the run, `origin` the run itself (`dag_id`, `run_id`, `task_id`, `try_number`, ...).
    `failed` says that the job did not end well: it has read all the same.
    """

    at: datetime
    actor: str | None
    uri: str
    digest: str | None
    partition: str | None
    version: int | None
    steps: tuple[str, ...]
    columns: tuple[str, ...] | None
    origin: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False

    @property
    def key(self) -> str:
        """`2013-02@v1`, or the URI of an object that is no partition."""
        if self.partition is None:
            return self.uri
        return self.partition if self.version is None else partition_key(self.partition, self.version)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        listed = {"steps": list(self.steps), "columns": None if self.columns is None else list(self.columns)}
        return {**vars(self), **listed, "at": self.at.isoformat(), "origin": dict(self.origin)}


def read_entry(model: str, result: JobResult, *, key: str, origin: Mapping[str, str], actor: str | None) -> "Entry":
    """Return the event that says what a job has read, for the stream of `model`; `key` names the job's try.

    Reads of one object by several steps become one. Partitions mostly share their columns, so a list of columns is
    written once, under `columns`, and each read has its place in there.
    """
    from retrain.ledger import Entry

    merged: dict[tuple[Any, ...], list[DataRead]] = {}
    for read in result.reads:
        merged.setdefault((read.uri, read.digest, read.partition, read.version), []).append(read)
    lists: list[list[str]] = []
    payload = {
        "reads": [_merged(reads, lists) for reads in merged.values()],
        "columns": lists,
        "origin": dict(origin),
        "status": result.status.value,
    }
    return Entry(model_stream(model), Kind.READ, key, payload, actor=actor)


def _merged(reads: Sequence[DataRead], lists: list[list[str]]) -> dict[str, Any]:
    first = reads[0]
    every = [read.columns for read in reads]
    # One step that read all there is outweighs those that read some.
    names = None if None in every else list(dict.fromkeys(name for columns in every for name in columns or ()))
    if names is not None and names not in lists:
        lists.append(names)
    return {
        "uri": first.uri,
        "digest": first.digest,
        "partition": first.partition,
        "version": first.version,
        "steps": list(dict.fromkeys(read.step for read in reads)),
        "columns": None if names is None else lists.index(names),
    }


def reads_of(ledger: "Ledger", model: str, *, partition: str | None = None, column: str | None = None) -> list[Access]:
    """Return what jobs of `model` have read, in order; only of a partition (`2013-02` or `2013-02@v1`) or a column.

    An object whose columns are not known by name may have held the column: it is listed too.
    """
    found = [access for event in ledger.events(model_stream(model), kinds=[Kind.READ]) for access in _accesses(event)]
    return [
        access
        for access in found
        if (partition is None or partition in (access.partition, access.key))
        and (column is None or access.columns is None or column in access.columns)
    ]


def _accesses(event: "Event") -> list[Access]:
    payload = event.payload
    lists = [tuple(names) for names in payload["columns"]]
    return [
        Access(
            event.recorded_at,
            event.actor,
            read["uri"],
            read["digest"],
            read["partition"],
            read["version"],
            tuple(read["steps"]),
            None if read["columns"] is None else lists[read["columns"]],
            payload["origin"],
            payload["status"] == JobStatus.FAILED,
        )
        for read in payload["reads"]
    ]
