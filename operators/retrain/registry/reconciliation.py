"""MLflow's aliases and tags follow the ledger.

`champion` and `previous` say what its last change says; `challenger` is the latest version that was judged since and
may still become champion. Tags say who promoted the champion and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.exceptions import PromotionRefusedError, SequenceConflictError
from retrain.records import encode
from retrain.records.streams import Kind, model_stream
from retrain.registry.champions import Champion, champion, check_intact
from retrain.registry.client import RegistryClient
from retrain.registry.retirement import retired

if TYPE_CHECKING:
    from retrain.ledger import Ledger

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
_ATTEMPTS = 10
_TAG = 4_900


@dataclass(frozen=True)
class Aliases:
    """Where the aliases point now, and which of them had to be moved or removed."""

    champion: str | None
    previous: str | None
    changed: tuple[str, ...] = ()
    challenger: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = encode(self)
        return document


def reconcile(ledger: Ledger, client: RegistryClient, model: str) -> Aliases:
    """Point the aliases at what the ledger says; nothing happens where they do already.

    Finishes a promotion that was cut off between ledger and alias. MLflow's aliases have no compare-and-set, so the
    ledger is read again afterwards: of two reconciliations at once the later one to look sets them right. Of a ledger
    that was tampered with nothing is taken over: ChainBrokenError.
    """
    check_intact(ledger, model)
    changed: dict[str, None] = {}
    for _ in range(_ATTEMPTS):
        current = champion(ledger, model)
        wanted = {**_wanted(current), CHALLENGER: challenger(ledger, model)}
        before = client.aliases(model)
        for alias, version in wanted.items():
            if before.get(alias) != version and _move(client, model, alias, version, alias in before):
                changed[alias] = None
        if champion(ledger, model) == current and not _differs(client, model, current):
            if current is not None:
                client.set_tags(model, current.version, _tags(current))
            return Aliases(wanted[CHAMPION], wanted[PREVIOUS], tuple(changed), wanted[CHALLENGER])
    raise SequenceConflictError(
        f"the champion of {model} changed {_ATTEMPTS} times while the aliases were being set",
        remedy="Try again: retrain registry reconcile",
    )


def challenger(ledger: Ledger, model: str) -> str | None:
    """Return the latest version that was judged since the champion's last change and may still replace it."""
    current = champion(ledger, model)
    since, version = (current.sequence, current.version) if current else (0, None)
    gone = retired(ledger, model)
    refused = {event.key for event in ledger.events(model_stream(model), kinds=[Kind.REJECTED], after=since)}
    for judged in ledger.events(model_stream(model), kinds=[Kind.JUDGED], after=since, newest_first=True):
        payload = judged.payload
        fails = "fail" in (payload["verdict"]["status"], (payload.get("serving") or {}).get("status"))
        other = str(payload["version"])
        if not fails and judged.key not in refused and other not in gone and payload["champion"] == version:
            return other
    return None


def _tags(current: Champion) -> dict[str, str]:
    told = {
        "retrain.champion.since": current.recorded_at,
        "retrain.champion.by": current.actor,
        "retrain.champion.approved_by": current.approved_by,
        "retrain.champion.reason": current.reason,
    }
    return {name: str(value)[:_TAG] for name, value in told.items() if value}


def _wanted(current: Champion | None) -> dict[str, str | None]:
    return {
        CHAMPION: current.version if current else None,
        PREVIOUS: current.previous if current else None,
    }


def _differs(client: RegistryClient, model: str, current: Champion | None) -> bool:
    now = client.aliases(model)
    return now.get(CHAMPION) != _wanted(current)[CHAMPION]


def _move(client: RegistryClient, model: str, alias: str, version: str | None, there: bool) -> bool:
    if version is None:
        client.delete_alias(model, alias)
        return True
    if client.set_alias(model, alias, version):
        return True
    if alias != CHAMPION:  # deleted since: nothing to go back to or to promote, but no reason to stop
        if there:
            client.delete_alias(model, alias)
        return False
    raise PromotionRefusedError(
        f"the ledger says that version {version} of {model} is champion, but MLflow has no such version",
        expected="the version in MLflow's registry",
        remedy="Restore it in MLflow, or promote another version",
    )
