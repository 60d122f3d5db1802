"""The whole evidence of one version as one bundle that carries its own digest, and the proof of it by a ledger.

A bundle is JSON. Its facts of the ledger are a pure function of the events that it lists with their hashes, so whoever
has the ledger can make them again: an event that was left out, a fact that was altered and a chain that was broken all
show. What the store and MLflow said is protected by the bundle's digest only, and the proof says so.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from retrain.audit.dossier import Dossier, open_dossier
from retrain.audit.facts import facts, place
from retrain.audit.trail import follow
from retrain.exceptions import ContractError, DataError
from retrain.ledger.chain import canonical_json, write_time
from retrain.records import encode

if TYPE_CHECKING:
    from retrain.ledger import Head, Ledger, VerifyReport
    from retrain.registry import RegistryClient

FORMAT = "retrain.evidence/1"
_DISTRIBUTION = "airflow-provider-retrain"
_MOST_PROBLEMS = 50
_NEEDED = ("format", "model", "version", "made", "ledger", "store", "mlflow", "sources", "events", "chain", "digest")


@dataclass(frozen=True)
class Proof:
    """One thing that was checked of a bundle, and what was found."""

    name: str
    holds: bool
    said: str


def bundle(
    ledger: "Ledger",
    model: str,
    version: str,
    *,
    now: datetime,
    made_by: str | None = None,
    client: "RegistryClient | None" = None,
) -> dict[str, Any]:
    """Collect the evidence of a version (`champion`: today's) and seal it with its digest.

    Only the ledger has to answer; a source that is down is named in it. The chains of the model and of its dataset are
    verified, and the outcome is part of the evidence. DataError where the ledger does not know the version.
    """
    dossier = open_dossier(ledger, model, version, client=client)
    document: dict[str, Any] = encode(
        {
            "format": FORMAT,
            "model": model,
            "version": dossier.version,
            "made": {"at": write_time(now), "by": made_by, "with": _release()},
            **{name: value for name, value in dossier.to_dict().items() if name not in ("model", "version")},
            "events": [place(event) for event in dossier.trail.events],
            "chain": _chain(ledger, dossier),
        }
    )
    return {**document, "digest": digest_of(document)}


def digest_of(document: Mapping[str, Any]) -> str:
    """Return `sha256:<hex>` over the canonical JSON of a bundle without its digest."""
    body = {name: value for name, value in document.items() if name != "digest"}
    return "sha256:" + hashlib.sha256(canonical_json(body).encode()).hexdigest()


def to_text(document: Mapping[str, Any]) -> str:
    """Write a bundle as it lies in a file."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_text(text: str | bytes, name: str) -> dict[str, Any]:
    """Read a bundle; ContractError where it is none of this format."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ContractError(f"{name} is no JSON: {error}", expected="what `retrain registry evidence` wrote") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else type(document).__name__
        raise ContractError(f"{name} is no bundle of evidence ({found!r:.80})", expected=f"the format {FORMAT}")
    if missing := [field for field in _NEEDED if field not in document]:
        raise ContractError(f"{name} lacks {missing}", expected="a whole bundle, as it was written")
    return document


def prove(document: Mapping[str, Any], ledger: "Ledger") -> list[Proof]:
    """Check a bundle against the ledger; every check is made, whatever the others say.

    ContractError where the bundle is not of its format inside.
    """
    try:
        heads = _heads(document)
        return [_sealed(document), *_recorded(document, ledger, heads), _unbroken(ledger, heads), _snapshot(document)]
    except (KeyError, TypeError, AttributeError) as error:
        raise ContractError(
            f"the bundle is not built as its format says ({type(error).__name__}: {error})",
            expected="what `retrain registry evidence` wrote",
        ) from error


def _sealed(document: Mapping[str, Any]) -> Proof:
    found = digest_of(document)
    holds = found == document["digest"]
    return Proof("digest", holds, found if holds else f"its content gives {found} and not {document['digest']}")


def _recorded(document: Mapping[str, Any], ledger: "Ledger", heads: "Mapping[str, Head]") -> list[Proof]:
    """Every event is there as it was, none was left out, and the facts are what these events say."""
    try:
        trail = follow(ledger, str(document["model"]), str(document["version"]), until=heads)
    except DataError as error:
        return [Proof("events", False, str(error)), Proof("facts", False, "there are no events to make them from")]
    here = {(event.stream, event.sequence): place(event) for event in trail.events}
    told = {(one["stream"], one["sequence"]): one for one in document["events"]}
    wrong = [f"{stream} {number} is another event here" for (stream, number), one in told.items()
             if here.get((stream, number), one) != one]  # fmt: skip
    wrong += [f"{stream} {number} is not in this ledger" for stream, number in told if (stream, number) not in here]
    wrong += [f"{stream} {number} was left out" for stream, number in here if (stream, number) not in told]
    events = Proof("events", not wrong, _short(wrong) or f"all {len(told)} are in the ledger, with these hashes")
    ours = encode(facts(trail))
    differing = [name for name in {**ours, **document["ledger"]} if ours.get(name) != document["ledger"].get(name)]
    said = f"these are not what the events say: {', '.join(differing)}" if differing else "they are what the events say"
    if differing and document["made"]["with"] != _release():
        said += f" (made with {document['made']['with']}, read with {_release()}, which may word them otherwise)"
    return [events, Proof("facts", not differing, said)]


def _unbroken(ledger: "Ledger", heads: "Mapping[str, Head]") -> Proof:
    problems: list[str] = []
    count = 0
    for stream, head in heads.items():
        report = ledger.verify(stream, heads={stream: head})
        count += report.events
        problems += [f"{one.stream} {one.sequence} {one.what}" for one in report.problems]
    said = f"{count} events in {len(heads)} streams, and the heads of then are on it"
    return Proof("chain", not problems and bool(heads), _short(problems) or said)


def _snapshot(document: Mapping[str, Any]) -> Proof:
    data, store = document["ledger"]["data"], document["store"]
    if store and store.get("digest") != data.get("snapshot"):
        return Proof("snapshot", False, f"the store's manifest is {store.get('digest')} and not {data.get('snapshot')}")
    if data.get("proven") is False:
        return Proof("snapshot", False, "the digests of the partitions do not give the digest of the snapshot")
    if data.get("proven") is None:
        return Proof("snapshot", True, "not provable: the ledger does not hold the digest of every partition")
    return Proof("snapshot", True, f"the digests of the partitions give {data.get('snapshot')}")


def _heads(document: Mapping[str, Any]) -> "dict[str, Head]":
    from retrain.ledger.events import Head

    return {
        stream: Head(int(head["sequence"]), str(head["hash"])) for stream, head in document["chain"]["heads"].items()
    }


def _chain(ledger: "Ledger", dossier: Dossier) -> dict[str, Any]:
    reports: dict[str, VerifyReport] = {
        stream: ledger.verify(stream, heads={stream: head}) for stream, head in dossier.trail.heads.items()
    }
    problems = [vars(problem) for report in reports.values() for problem in report.problems]
    return {
        "ok": not problems,
        "events": sum(head.sequence for head in dossier.trail.heads.values()),
        "problems": problems[:_MOST_PROBLEMS],
        "more_problems": max(0, len(problems) - _MOST_PROBLEMS),
        "heads": {stream: head._asdict() for stream, head in dossier.trail.heads.items()},
    }


def _short(lines: list[str], most: int = 5) -> str:
    return "; ".join(lines[:most]) + (f"; and {len(lines) - most} more" if len(lines) > most else "")


def _release() -> str:
    # Not from `retrain` itself: the package's front door leads to Airflow.
    try:
        return f"{_DISTRIBUTION} {version(_DISTRIBUTION)}"
    except PackageNotFoundError:  # copied in, and not installed
        return _DISTRIBUTION
