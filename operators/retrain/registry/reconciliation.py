"""MLflow's aliases follow the ledger: `champion` and `previous` say what its last change says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.exceptions import PromotionRefusedError, SequenceConflictError
from retrain.records import encode
from retrain.registry.champions import Champion, champion
from retrain.registry.client import RegistryClient

if TYPE_CHECKING:
    from retrain.ledger import Ledger

CHAMPION, PREVIOUS = "champion", "previous"
_ATTEMPTS = 10


@dataclass(frozen=True)
class Aliases:
    """Where the aliases point now, and which of them had to be moved or removed."""

    champion: str | None
    previous: str | None
    changed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = encode(self)
        return document


def reconcile(ledger: Ledger, client: RegistryClient, model: str) -> Aliases:
    """Point the aliases at what the ledger says; nothing happens where they do already.

    Finishes a promotion that was cut off between ledger and alias. MLflow's aliases have no compare-and-set, so the
    ledger is read again afterwards: of two reconciliations at once the later one to look sets them right.
    """
    changed: dict[str, None] = {}
    for _ in range(_ATTEMPTS):
        current = champion(ledger, model)
        before = client.aliases(model)
        for alias, version in _wanted(current).items():
            if before.get(alias) != version and _move(client, model, alias, version):
                changed[alias] = None
        if champion(ledger, model) == current and not _differs(client, model, current):
            wanted = _wanted(current)
            return Aliases(wanted[CHAMPION], wanted[PREVIOUS], tuple(changed))
    raise SequenceConflictError(
        f"the champion of {model} changed {_ATTEMPTS} times while the aliases were being set",
        remedy="Try again: retrain registry reconcile",
    )


def _wanted(current: Champion | None) -> dict[str, str | None]:
    return {
        CHAMPION: current.version if current else None,
        PREVIOUS: current.previous if current else None,
    }


def _differs(client: RegistryClient, model: str, current: Champion | None) -> bool:
    now = client.aliases(model)
    return now.get(CHAMPION) != _wanted(current)[CHAMPION]


def _move(client: RegistryClient, model: str, alias: str, version: str | None) -> bool:
    if version is None:
        client.delete_alias(model, alias)
        return True
    if client.set_alias(model, alias, version):
        return True
    if alias == PREVIOUS:  # deleted since: nothing to go back to, but no reason to stop
        client.delete_alias(model, alias)
        return False
    raise PromotionRefusedError(
        f"the ledger says that version {version} of {model} is champion, but MLflow has no such version",
        expected="the version in MLflow's registry",
        remedy="Restore it in MLflow, or promote another version",
    )
