"""Which versions of a model were trained on what has been erased, or has to be: a partition, an object, a subject."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.audit.asof import Tenure, tenures
from retrain.audit.trail import dataset_of, trained_keys
from retrain.exceptions import DataError, RetrainError
from retrain.loop.streams import Kind, dataset_stream, model_stream
from retrain.loop.versions import without_labels
from retrain.records import RELEASES, DataRef, encode
from retrain.registry.champions import promotions

if TYPE_CHECKING:
    from retrain.audit.subjects import Subject
    from retrain.ledger import Event, Ledger


@dataclass(frozen=True)
class Hit:
    """A partition version in a training that holds what was asked for; `rows` of a subject, else all that it has."""

    key: str
    rows: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Version:
    """What was found out about one version.

    `standing` is `champion`, `previous` (champion before the one of today), `was_champion` or `never_champion`.
    `trained` are the partitions that it was trained on and that hold it, `judged` those that it was only judged by;
    `unknown` says what could not be looked at.
    """

    version: str
    standing: str
    champion_from: str | None = None
    champion_until: str | None = None
    trained: tuple[Hit, ...] = ()
    judged: tuple[Hit, ...] = ()
    unknown: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = encode(self)
        return document


@dataclass(frozen=True)
class Findings:
    """The answer for all versions of a model, oldest first."""

    model: str
    asked: str
    versions: tuple[Version, ...] = ()

    @property
    def affected(self) -> tuple[Version, ...]:
        """The versions that were trained on it."""
        return tuple(one for one in self.versions if one.trained)

    @property
    def open(self) -> tuple[Version, ...]:
        """The versions of which it is not known, because something could not be looked at."""
        return tuple(one for one in self.versions if one.unknown and not one.trained)


@dataclass(frozen=True)
class _Ours:
    """What one version was made of: references where they are known, else the names of what is not."""

    version: str
    trained: Mapping[str, DataRef] = field(default_factory=dict)
    judged: Mapping[str, DataRef] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


class _Shelf:
    """What the ledger holds of the datasets of a model: every accepted reference, and what became of what."""

    def __init__(self, ledger: "Ledger", datasets: Iterable[str]) -> None:
        self.refs: dict[str, DataRef] = {}
        self.arrived: dict[str, Mapping[str, Any]] = {}
        kinds = [Kind.ARRIVED, Kind.VALIDATED, Kind.LABELLED]
        for dataset in datasets:
            for event in ledger.events(dataset_stream(dataset), kinds=kinds):
                if event.kind == Kind.ARRIVED:
                    self.arrived[event.key] = event.payload
                elif event.payload.get("accepted"):
                    self.refs[event.key] = DataRef.from_dict(event.payload["accepted"])

    def same_rows(self, wanted: set[str]) -> dict[str, str]:
        """Return the partition versions that hold rows of those wanted, with why: replayed, or let in again."""
        digests = {ref.digest for key, ref in self.refs.items() if without_labels(key) in wanted and ref.digest}
        found = dict.fromkeys(wanted, "")
        for key, ref in self.refs.items():
            if ref.digest in digests and without_labels(key) not in found:
                found[without_labels(key)] = "the very same rows under another version"
        for key, payload in self.arrived.items():  # in the ledger's order: a release of a release comes later
            if (of := (payload.get("released") or {}).get("of")) in found and key not in found:
                found[key] = f"rows of {of} that a person let in"
        return found


def affected_by(
    ledger: "Ledger",
    model: str,
    *,
    partition: str | None = None,
    digest: str | None = None,
    subject: "Subject | None" = None,
) -> Findings:
    """Name every version of `model`, and where it stands, that was trained on the one thing that is asked for.

    `partition` is a name (`2013-02`: all its versions) or a version (`2013-02@v1`, wherever its rows went); `digest`
    that of an object as it arrived or as it was accepted; `subject` the key of a row, looked for in the kept copies of
    the accepted data, whose digests are proven. DataError where the ledger knows no such model, partition or digest: a
    misspelt name must not look like "nobody is affected".
    """
    ours, shelf = _versions(ledger, model)
    if partition is not None:
        asked, holds = f"partition {partition}", _by_partition(shelf, partition)
    elif digest is not None:
        asked, holds = f"digest {digest}", _by_digest(shelf, digest)
    elif subject is not None:
        every = [ref for one in ours for ref in (*one.trained.values(), *one.judged.values())]
        asked, holds = f"a row with the given {', '.join(subject.columns)}", subject.search(every)
    else:
        raise DataError("nothing is asked for", expected="a partition, a digest or a subject")
    standings = _standings(list(tenures(promotions(ledger, model))))
    return Findings(model, asked, tuple(_looked_at(one, holds, standings) for one in ours))


Holds = Callable[[str, DataRef], "Hit | str | None"]


def _looked_at(one: _Ours, holds: Holds, standings: Mapping[str, Mapping[str, Any]]) -> Version:
    unknown = list(one.unknown)
    hits: dict[str, list[Hit]] = {"trained": [], "judged": []}
    for role, refs in (("trained", one.trained), ("judged", one.judged)):
        for key, ref in refs.items():
            found = holds(key, ref)
            if isinstance(found, Hit):
                hits[role].append(found)
            elif found is not None and role == "trained":
                unknown.append(found)
    standing = standings.get(one.version, {"standing": "never_champion"})
    return Version(
        one.version, **standing, trained=tuple(hits["trained"]), judged=tuple(hits["judged"]), unknown=tuple(unknown)
    )


def _by_partition(shelf: _Shelf, partition: str) -> Holds:
    named = {without_labels(key) for key in (*shelf.arrived, *shelf.refs) if _is_called(key, partition)}
    if not named:
        raise DataError(
            f"the ledger knows no partition {partition!r} of the data of this model",
            expected="a name such as 2013-02, or a version such as 2013-02@v1",
            remedy="See: retrain ledger log dataset:<name> --kind arrived",
        )
    whole = partition in {ref.partition for ref in shelf.refs.values()}
    same = shelf.same_rows(named)

    def holds(key: str, ref: DataRef) -> Hit | None:
        if whole and ref.partition == partition:
            return Hit(key, ref.rows)
        base = without_labels(key)
        return Hit(key, ref.rows, same[base]) if base in same else None

    return holds


def _is_called(key: str, partition: str) -> bool:
    return partition in (key, without_labels(key), without_labels(key).rpartition("@v")[0])


def _by_digest(shelf: _Shelf, digest: str) -> Holds:
    wanted = digest if digest.startswith("sha256:") else f"sha256:{digest}"
    named = {without_labels(key) for key, ref in shelf.refs.items() if ref.digest == wanted}
    for key, payload in shelf.arrived.items():
        if wanted in (payload.get("digest"), (payload.get("released") or {}).get("source_digest")):
            named.add(key)
    if not named:
        raise DataError(
            f"the ledger knows no object with the digest {digest}",
            expected="the digest of an object as it arrived, or as it was accepted",
            remedy="See `digest` in: retrain ledger show dataset:<name> arrived <partition>@v1",
        )
    same = shelf.same_rows(named)

    def holds(key: str, ref: DataRef) -> Hit | None:
        base = without_labels(key)
        return Hit(key, ref.rows, same[base]) if base in same or ref.digest == wanted else None

    return holds


def _versions(ledger: "Ledger", model: str) -> tuple[list[_Ours], _Shelf]:
    """All versions of a model with what they were made of, in order of their first mention."""
    latest: dict[str, Event] = {}
    for event in ledger.events(model_stream(model), kinds=[Kind.JUDGED, *RELEASES]):
        known = latest.get(str(event.payload["version"]))
        if known is None or event.kind == Kind.JUDGED or known.kind != Kind.JUDGED:
            latest[str(event.payload["version"])] = event
    if not latest:
        raise DataError(
            f"the ledger knows no version of {model}",
            expected="a model that was trained here",
            remedy="Correct the name; `retrain ledger log --kind judged` lists those that there are",
        )
    datasets = [dataset for event in latest.values() if (dataset := _dataset(event))]
    shelf = _Shelf(ledger, dict.fromkeys(datasets))
    return [_ours(version, event, shelf) for version, event in latest.items()], shelf


def _dataset(event: "Event") -> str | None:
    return dataset_of([event.payload if event.kind == Kind.JUDGED else event.payload.get("evidence") or {}])


def _ours(version: str, event: "Event", shelf: _Shelf) -> _Ours:
    payload: Mapping[str, Any] = event.payload if event.kind == Kind.JUDGED else event.payload.get("evidence") or {}
    judged = {key: shelf.refs[key] for key in payload.get("holdout") or () if key in shelf.refs}
    trained = {key: shelf.refs[key] for key in trained_keys(payload) if key in shelf.refs}
    if trained and len(trained) == len(payload["partitions"]):
        return _Ours(version, trained, judged)
    uri = payload.get("snapshot_uri")
    if not uri:
        return _Ours(version, unknown=("what it was trained on is not recorded",))
    try:
        return _Ours(version, dict(_manifest(uri)), judged)
    except RetrainError as error:
        return _Ours(version, trained, judged, (f"its snapshot cannot be read: {error}",))


def _manifest(uri: str) -> Iterator[tuple[str, DataRef]]:
    from retrain.data import load_snapshot

    return ((ref.key, ref) for ref in load_snapshot(uri).partitions)


def _standings(times: Sequence[Tenure]) -> dict[str, dict[str, Any]]:
    """Where each version that was ever champion stands, and when it was so for the last time."""
    found: dict[str, dict[str, Any]] = {}
    for one in times:
        found[one.champion.version] = {
            "standing": "champion" if one.until is None else "was_champion",
            "champion_from": one.since.isoformat(),
            "champion_until": one.until.isoformat() if one.until else None,
        }
    if times and (previous := times[-1].champion.previous) in found and previous != times[-1].champion.version:
        found[previous]["standing"] = "previous"
    return found
