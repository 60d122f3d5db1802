r"""Canonical JSON and the hash chain: the exact bytes, so that a third party can verify a ledger without this code.

The hash of an event is the lower-case hex SHA-256 of the UTF-8 bytes of one JSON object with exactly these members:

    actor          string or null
    key            string
    kind           string
    payload        string: the payload's canonical JSON *text*, as it is stored in the column `payload`
    previous_hash  string: the hash of the event before it in the stream; 64 zeros for the first
    recorded_at    string: UTC, `YYYY-MM-DDTHH:MM:SS.ffffffZ`, as it is stored
    sequence       integer: 1 for the first event of the stream, then without a gap
    stream         string
    version        integer: the version of the payload's schema

The object is written canonically: members sorted by name (by code point), no white space, strings in UTF-8 with only
`"`, `\` and the control characters below U+0020 escaped (`\b \t \n \f \r`, else `\u00xx`), numbers as Python
writes them. The payload goes in as text, so a verifier never has to reproduce how Python writes a float; what is left
is what `JSON.stringify` of any language does.

A chain shows that an event was changed, removed from the middle, inserted or moved. It cannot show that the tail was
cut off, or that somebody with write access computed the whole chain anew: for that, keep the heads that a
verification returns somewhere else, and give them to the next one.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from retrain.exceptions import ContractError

GENESIS = "0" * 64
MAX_PAYLOAD_BYTES = 1_000_000
_MAX_DEPTH = 64
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def canonical_json(value: Any) -> str:
    """Write a JSON value in the one form that is hashed: sorted, compact, UTF-8, no NaN.

    Raises ContractError that names the place of a value JSON cannot carry: NaN, infinities, a key that is not a
    string, a lone surrogate, any other type.
    """
    text = json.dumps(
        _plain(value, "the value", 0), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ContractError(
            f"A string holds {text[error.start]!r}, which is half a character", expected="text that UTF-8 can carry"
        ) from None
    return text


def payload_text(payload: Mapping[str, Any], where: str) -> str:
    """Return the canonical text of an event's payload; ContractError if it is no object or too large."""
    if not isinstance(payload, Mapping):
        raise ContractError(f"The payload of {where} is a {type(payload).__name__}", expected="a JSON object (a dict)")
    text = canonical_json(payload)
    if (size := len(text.encode())) > MAX_PAYLOAD_BYTES:
        raise ContractError(
            f"The payload of {where} has {size:,} bytes",
            expected=f"at most {MAX_PAYLOAD_BYTES:,}",
            remedy="Keep it in storage and put its URI and digest into the event",
        )
    return text


def event_hash(
    *,
    stream: str,
    sequence: int,
    kind: str,
    key: str,
    version: int,
    payload: str,
    actor: str | None,
    recorded_at: str,
    previous_hash: str,
) -> str:
    """Return the hash of an event from its stored columns (`payload` and `recorded_at` are the stored text)."""
    body = {
        "actor": actor,
        "key": key,
        "kind": kind,
        "payload": payload,
        "previous_hash": previous_hash,
        "recorded_at": recorded_at,
        "sequence": sequence,
        "stream": stream,
        "version": version,
    }
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


def write_time(moment: datetime) -> str:
    """Return the stored form of a moment: UTC, microseconds, fixed width (so text order is time order)."""
    if moment.tzinfo is None:
        raise ContractError(
            f"The time {moment.isoformat()} has no time zone",
            expected="an aware datetime",
            remedy="Use datetime.now(UTC)",
        )
    # strftime would not pad a year below 1000.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read_time(text: str) -> datetime:
    """Read what `write_time` wrote."""
    return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=UTC)


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ContractError(f"{where} is nested deeper than {_MAX_DEPTH} levels, or contains itself")
    if isinstance(value, Enum):
        return _plain(value.value, where, depth)
    if isinstance(value, float) and not math.isfinite(value):
        raise ContractError(
            f"{where} is {float(value)!r}, which JSON cannot carry",
            expected="a finite number or null",
            remedy="Write None for a number that is not known",
        )
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {_name(name, where): _plain(item, f"{where}[{name!r}]", depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    raise ContractError(
        f"{where} is a {type(value).__name__}, which JSON cannot carry",
        expected="objects, lists, strings, numbers, booleans, null",
        remedy="Records have to_dict(), datetimes isoformat(), numpy values item()",
    )


def _name(name: Any, where: str) -> str:
    if not isinstance(name, str):
        raise ContractError(f"{where} has the key {name!r} ({type(name).__name__})", expected="keys that are strings")
    return name.value if isinstance(name, Enum) else name
