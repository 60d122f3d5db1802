"""The drift verdict on a partition as others are told of it, and the wait for one: a pure decision over the ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DeclarationError
from retrain.loop.streams import Kind, model_stream
from retrain.records import DriftSeverity, DriftStatus, PerformanceStatus

if TYPE_CHECKING:
    from retrain.ledger import Event, Ledger

# In the order in which a verdict names them.
KINDS = ("feature", "prediction", "label", "concept")
# So many of a dataset's newest verdicts are looked at, over all models; those of one model are read up to `after`.
NEWEST = 1000
_SEVERITIES = tuple(DriftSeverity)


def describe(model: str, watched: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a `watched` payload says of drift, as small JSON: what sensors return and asset events carry.

    `status` is `drift` where any kind of drift was found, also one of the predictions or of P(y|x); else that of the
    data, None where nothing was judged. `kinds` names those that were found.
    """
    drift: Mapping[str, Any] = watched.get("drift") or {}
    kinds = kinds_of(watched)
    return {
        "model": model,
        "dataset": watched.get("dataset"),
        "partition": watched["partition"],
        "version": watched.get("version"),
        "status": DriftStatus.DRIFT.value if kinds else drift.get("status"),
        "severity": _severity(watched),
        "kinds": kinds,
        "shape": drift.get("shape"),
        "drivers": list(drift.get("drivers") or []),
        "checks": list(drift.get("checks") or []),
        "summary": drift.get("summary"),
        "champion": drift.get("champion"),
        "verdict_uri": drift.get("verdict_uri"),
        "summary_uri": watched.get("summary_uri"),
        "report_uri": watched.get("report_uri"),
    }


def kinds_of(watched: Mapping[str, Any]) -> list[str]:
    """Return the kinds of drift that were found on a partition: feature, prediction, label, concept."""
    drift: Mapping[str, Any] = watched.get("drift") or {}
    found: set[str] = set()
    if drift.get("status") == DriftStatus.DRIFT:
        # Faults of the table as a whole (no rows) have no column, and verdicts of old no kinds.
        found.update(drift.get("kinds") or ["feature"])
    found.update(
        kind for kind in ("prediction", "label") if (watched.get(kind) or {}).get("status") == DriftStatus.DRIFT
    )
    if (watched.get("concept") or {}).get("status") == PerformanceStatus.DECAY:
        found.add("concept")
    return [kind for kind in KINDS if kind in found]


def _severity(watched: Mapping[str, Any]) -> str | None:
    """The highest of the kinds that have one; concept drift has none of its own."""
    found = [(watched.get(kind) or {}).get("severity") for kind in ("drift", "prediction", "label")]
    return max((one for one in found if one), key=[str(one) for one in _SEVERITIES].index, default=None)


@dataclass(frozen=True)
class WantedVerdict:
    """A verdict of one of `statuses`, on `partition` or on any, newer than `after`.

    `severity` is the least that counts, and `kinds` those of which one has to be among the verdict's: both mean
    something for `drift` only.
    """

    statuses: tuple[str, ...] = (DriftStatus.DRIFT.value,)
    partition: str | None = None
    after: datetime | None = None
    severity: str | None = None
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, values, allowed in (
            ("status", self.statuses, tuple(DriftStatus)),
            ("severity", (self.severity,) if self.severity else (), _SEVERITIES),
            ("kinds", self.kinds, KINDS),
        ):
            if wrong := [value for value in values if value not in allowed]:
                expected = " | ".join(str(one) for one in allowed)
                raise DeclarationError(f"{name} {', '.join(map(repr, wrong))} is no drift's", expected=expected)
        if not self.statuses:
            raise DeclarationError("no status is waited for", expected=" | ".join(DriftStatus))
        if self.partition is not None and not self.partition.strip():
            raise DeclarationError(
                f"partition={self.partition!r}",
                expected="a partition's key",
                remedy="See what its template rendered to",
            )

    def covers(self, verdict: Mapping[str, Any]) -> bool:
        """Say whether a verdict, as `describe` returns it, is among those waited for."""
        if verdict["status"] not in self.statuses:
            return False
        if verdict["status"] != DriftStatus.DRIFT:
            return True
        if self.kinds and not set(self.kinds) & set(verdict["kinds"]):
            return False
        if self.severity is None:
            return True
        ranks = [str(one) for one in _SEVERITIES]
        return verdict["severity"] is not None and ranks.index(verdict["severity"]) >= ranks.index(self.severity)


def drift_verdicts(newest_first: "Iterable[Event]", wanted: WantedVerdict) -> tuple[dict[str, Any], ...]:
    """Return the verdicts that are waited for, the oldest first: the decision behind every wait for drift.

    Of a partition that a model has looked at several times (a correction, labels that came later) the last look
    counts, and none before it.
    """
    seen: set[tuple[str, str]] = set()
    found: list[dict[str, Any]] = []
    for event in newest_first:
        if wanted.after is not None and event.recorded_at <= wanted.after:
            break
        about = (event.stream, event.payload["partition"])
        if about in seen or wanted.partition not in (None, event.payload["partition"]):
            continue
        seen.add(about)
        verdict = describe(event.stream.partition(":")[2], event.payload)
        if wanted.covers(verdict):
            found.append({**verdict, "recorded_at": event.recorded_at.isoformat()})
    return tuple(reversed(found))


def find_verdict(
    ledger: "Ledger", wanted: WantedVerdict, *, model: str | None = None, dataset: str | None = None
) -> dict[str, Any] | None:
    """Look once into the ledger, for a model or for all models of a dataset; return the oldest wanted verdict."""
    found = drift_verdicts(watched_events(ledger, model=model, dataset=dataset), wanted)
    return found[0] if found else None


def watched_events(ledger: "Ledger", *, model: str | None = None, dataset: str | None = None) -> "Iterator[Event]":
    """Iterate over the looks at partitions, the newest first."""
    if (model is None) == (dataset is None):
        raise DeclarationError(f"model={model!r} and dataset={dataset!r}", expected="one of them")
    if model is not None:
        yield from ledger.events(model_stream(model), kinds=[Kind.WATCHED], newest_first=True)
        return
    for event in ledger.events(kinds=[Kind.WATCHED], newest_first=True, limit=NEWEST):
        if event.payload.get("dataset") == dataset:
            yield event


def as_statuses(status: str | Sequence[str]) -> tuple[str, ...]:
    """Return one status or several as a tuple; `any` stands for all three."""
    if status == "any":
        return tuple(str(one) for one in DriftStatus)
    return (str(status),) if isinstance(status, str) else tuple(str(one) for one in status)
