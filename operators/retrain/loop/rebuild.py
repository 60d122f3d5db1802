"""The data of a model version, made again from the record, and proven to be what it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError, DigestMismatchError, UnreadableDataError
from retrain.loop.streams import Kind, model_stream
from retrain.records import DataRef, Snapshot
from retrain.registry.champions import champion

if TYPE_CHECKING:
    import pandas as pd

    from retrain.ledger import Ledger
    from retrain.training import FrameDigest


@dataclass(frozen=True)
class TrainedOn:
    """What the ledger says of the data of a model version; `frame` is the digest of its training's rows, if known."""

    model: str
    version: str
    snapshot_uri: str
    frame: str | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class Rebuilt:
    """The frame of a training, made again, and in what it differs from the one of the training.

    `pii` are the columns that nobody is to be shown, None where that is not known any more.
    """

    origin: TrainedOn
    snapshot: Snapshot
    frame: "pd.DataFrame"
    digest: "FrameDigest"
    changes: tuple[str, ...] = ()
    pii: tuple[str, ...] | None = None

    @property
    def identical(self) -> bool | None:
        """Whether it is the very same frame; None where its digest was never recorded."""
        return None if self.origin.frame is None else self.origin.frame == self.digest.digest


def trained_on(ledger: "Ledger", model: str, version: str | None = None) -> TrainedOn:
    """Return what a version (None: the champion) was trained on; DataError where the ledger does not know."""
    known: dict[str, TrainedOn] = {}
    # What was found out when a version was judged is the most complete; a promotion by hand may know it too.
    for kind in (Kind.PROMOTED, Kind.JUDGED):
        for event in ledger.events(model_stream(model), kinds=[kind]):
            payload = event.payload
            evidence: Mapping[str, Any] = payload if kind is Kind.JUDGED else payload.get("evidence") or {}
            if uri := evidence.get("snapshot_uri"):
                name = str(payload["version"])
                known[name] = TrainedOn(model, name, uri, evidence.get("frame"), payload.get("run_id"))
    current = champion(ledger, model)
    wanted = version or (current.version if current else None)
    if wanted in known:
        return known[wanted]
    names = ", ".join(f"{model}@{name}" for name in sorted(known, key=lambda name: (len(name), name)))
    raise DataError(
        f"the ledger does not know what version {wanted} of {model} was trained on"
        if wanted
        else f"{model} has no champion",
        expected="a version that was trained and judged here",
        remedy=f"Name one of {names}" if names else "Train it first",
    )


def rebuild(origin: TrainedOn) -> Rebuilt:
    """Read every partition again, its digest proven, and make the frame as the training did.

    DigestMismatchError names every partition that is gone or holds other bytes. A frame that differs although its
    partitions do not is returned with its `changes`: other libraries made it.
    """
    from retrain.data import load_snapshot
    from retrain.training import frame_digest, snapshot_frame

    snapshot = load_snapshot(origin.snapshot_uri)
    try:
        frame = snapshot_frame(snapshot)
    except (DigestMismatchError, UnreadableDataError) as error:
        lost = [told for ref in snapshot.partitions if (told := _lost(ref))]
        if not lost:
            raise
        raise DigestMismatchError(
            f"the data of {origin.model}@{origin.version} cannot be made again: {'; '.join(lost)}",
            expected="the objects that it was trained on",
            remedy="Restore them from a backup; keep_copies=True keeps accepted data in the store",
        ) from error
    digest = frame_digest(frame)
    kept = _description(origin)
    return Rebuilt(
        origin, snapshot, frame, digest, _changes(origin, kept, digest), tuple(kept["pii"]) if kept else None
    )


def _lost(ref: DataRef) -> str | None:
    from retrain.data import storage

    try:
        found = storage.fingerprint(ref.uri).digest
    except UnreadableDataError:
        return f"{ref.key} is not there any more ({ref.uri})"
    return None if ref.digest in (None, found) else f"{ref.key} holds other bytes ({ref.uri}: {found})"


def _description(origin: TrainedOn) -> Mapping[str, Any] | None:
    """What was kept of the frame when it was made; None for a training from before that was kept."""
    from retrain.data import storage
    from retrain.training.frames import description_uri

    if origin.frame is None:
        return None
    uri = description_uri(origin.snapshot_uri, origin.model, origin.frame)
    kept: Mapping[str, Any] | None = storage.read_json(uri) if storage.exists(uri) else None
    return kept


def _changes(origin: TrainedOn, kept: Mapping[str, Any] | None, digest: "FrameDigest") -> tuple[str, ...]:
    from retrain.training.frames import differences
    from retrain.training.keys import library_versions

    if origin.frame in (None, digest.digest):
        return ()
    if kept is None:
        return ("what the frame was made of is not known any more",)
    here = library_versions()
    libraries = [
        f"{name} was {version} and is {here.get(name, 'not installed')}"
        for name, version in kept["libraries"].items()
        if here.get(name) != version
    ]
    return (*differences(kept, digest), *libraries)
