"""What has arrived: one listing, compared with what is known, registered in the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.exceptions import SequenceConflictError
from retrain.loop.streams import Kind, dataset_stream, partition_key

if TYPE_CHECKING:
    from retrain.ledger import Event, Ledger

ATTEMPTS = 20


@dataclass(frozen=True)
class News:
    """A listing: the token of each object by partition, and which of them are new since the listing before."""

    tokens: Mapping[str, str] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()


def compare_listing(tokens: Mapping[str, str], known: News) -> News:
    """Say what is new or changed: the one decision behind every way of waiting for arrivals."""
    fresh = tuple(sorted(name for name, token in tokens.items() if known.tokens.get(name) != token))
    return News(dict(tokens), fresh)


def news(template: str, known: News) -> News:
    """List the objects that match `template` and compare with the listing before."""
    from retrain.data import scan

    return compare_listing({found.partition: found.token for found in scan(template)}, known)


def register_arrivals(ledger: "Ledger", dataset: str, template: str) -> list[dict[str, Any]]:
    """Append an `arrived` event for each object whose bytes the ledger does not know yet; return the new ones.

    An object whose token (size, time, etag) is that of its latest event is not read again. The same key with other
    bytes becomes a new version of the partition, also when an earlier version's bytes come back; the newest version's
    bytes written once more are no news. Repeating it is a no-op.
    """
    from retrain.data import scan

    stream = dataset_stream(dataset)
    # The latest token only: where a token is made of the bytes (an S3 etag), old bytes that come back repeat one.
    latest = {event.payload["uri"]: event.payload["token"] for event in ledger.events(stream, kinds=[Kind.ARRIVED])}
    unseen = [found for found in scan(template) if latest.get(found.uri) != found.token]
    registered = [_register(ledger, stream, found) for found in unseen]
    return [payload for payload in registered if payload is not None]


def _register(ledger: "Ledger", stream: str, found: Any) -> dict[str, Any] | None:
    from retrain.data import describe

    # Only the bytes are looked at: what they mean, and whether they mean anything, is for the validation to say.
    ref = describe(found.uri, partition=found.partition, content=False)
    for _ in range(ATTEMPTS):
        events = list(ledger.events(stream))
        newest = _newest(events, found.partition)
        if newest and newest["digest"] == ref.digest:
            return None
        payload = {
            "partition": found.partition,
            "version": newest["version"] + 1 if newest else 1,
            "uri": ref.uri,
            "format": ref.format,
            "digest": ref.digest,
            "bytes": ref.bytes,
            "token": found.token,
        }
        key = partition_key(found.partition, payload["version"])
        head = events[-1].sequence if events else 0
        try:
            if ledger.append(stream, Kind.ARRIVED, key, payload, expected_sequence=head).created:
                return payload
        except SequenceConflictError:
            pass
        # Another writer was first: its event may be this very object, or the version before ours.
    raise SequenceConflictError(
        f"the stream {stream} moved on {ATTEMPTS} times while {found.uri} was being registered",
        remedy="Try again; nothing was lost",
    )


def _newest(events: "list[Event]", partition: str) -> dict[str, Any] | None:
    for event in reversed(events):
        if event.kind == Kind.ARRIVED and event.payload["partition"] == partition:
            return dict(event.payload)
    return None


def latest_arrivals(ledger: "Ledger", dataset: str) -> dict[str, dict[str, Any]]:
    """Return the newest version of each partition by its key (`2013-02@v1`), in order of partition."""
    newest: dict[str, dict[str, Any]] = {}
    for event in ledger.events(dataset_stream(dataset), kinds=[Kind.ARRIVED]):
        payload = event.payload
        known = newest.get(payload["partition"])
        if known is None or payload["version"] > known["version"]:
            newest[payload["partition"]] = dict(payload)
    return {partition_key(name, payload["version"]): payload for name, payload in sorted(newest.items())}
