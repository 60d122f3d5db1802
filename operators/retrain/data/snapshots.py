"""Snapshots in a store: which partition versions a model was trained on, addressed by content."""

from urllib.parse import quote

from retrain.data import storage
from retrain.exceptions import ContractError, DigestMismatchError, UnreadableDataError
from retrain.records import Snapshot


def save_snapshot(snapshot: Snapshot, store: str) -> str:
    """Write a snapshot's manifest as `<store>/snapshots/<dataset>/<digest>.json` and return that URI.

    The name is the content's digest, so saving again writes the same object.
    """
    name = snapshot.digest.removeprefix("sha256:") + ".json"
    uri = storage.join(store, "snapshots", quote(snapshot.dataset, safe=""), name)
    return storage.write_json(uri, {"digest": snapshot.digest, "snapshot": snapshot.to_dict()})


def load_snapshot(uri: str) -> Snapshot:
    """Read a manifest; DigestMismatchError where its list of partitions is not the one that was saved."""
    document = storage.read_json(uri)
    try:
        recorded, snapshot = document["digest"], Snapshot.from_dict(document["snapshot"])
    except (KeyError, TypeError, ContractError) as error:
        raise UnreadableDataError(
            f"{uri} is not a snapshot's manifest: {error}", expected="what save_snapshot wrote"
        ) from error
    if snapshot.digest != recorded:
        raise DigestMismatchError(
            f"The snapshot {uri} lists other partitions than were saved: {snapshot.digest}", expected=str(recorded)
        )
    return snapshot
