"""The registry: versions of a model in MLflow, and which of them is champion, by the ledger.

Exports are loaded on first use: MLflow itself imports `retrain.registry.auth` in every process that uses MLflow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrain.registry.auth import credentials
    from retrain.registry.champions import Champion, champion, promotions
    from retrain.registry.client import RegistryClient
    from retrain.registry.promotion import Promotion, promote
    from retrain.registry.reconciliation import Aliases, reconcile
    from retrain.registry.registration import register
    from retrain.registry.retirement import retire, retired

_HOMES = {
    "Aliases": "reconciliation",
    "Champion": "champions",
    "Promotion": "promotion",
    "RegistryClient": "client",
    "champion": "champions",
    "credentials": "auth",
    "promote": "promotion",
    "promotions": "champions",
    "reconcile": "reconciliation",
    "register": "registration",
    "retire": "retirement",
    "retired": "retirement",
}

__all__ = [
    "Aliases",
    "Champion",
    "Promotion",
    "RegistryClient",
    "champion",
    "credentials",
    "promote",
    "promotions",
    "reconcile",
    "register",
    "retire",
    "retired",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
