"""All that is known of one version: the ledger's facts, what store and MLflow add, and which of them could be asked."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.audit.facts import facts
from retrain.audit.sources import Source, SourceStatus, from_mlflow, from_store
from retrain.audit.trail import Trail, follow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retrain.ledger import Ledger
    from retrain.registry import RegistryClient


@dataclass(frozen=True)
class Dossier:
    """One version's facts, by where they come from; `store` and `mlflow` are None where they could not be had."""

    model: str
    version: str
    trail: Trail
    ledger: "Mapping[str, Any]"
    store: "Mapping[str, Any] | None"
    mlflow: "Mapping[str, Any] | None"
    sources: tuple[Source, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, without the events themselves."""
        return {
            "model": self.model,
            "version": self.version,
            "ledger": dict(self.ledger),
            "store": dict(self.store) if self.store is not None else None,
            "mlflow": dict(self.mlflow) if self.mlflow is not None else None,
            "sources": [source.to_dict() for source in self.sources],
        }

    @property
    def gaps(self) -> list[str]:
        """What could not be asked, in words."""
        return [f"{one.name} ({one.status.value.replace('_', ' ')}): {one.reason}" for one in self.sources
                if one.status is not SourceStatus.OK]  # fmt: skip

    def training(self, name: str) -> Any:
        """Return `code`, `params` or `environment` of the training: the ledger's, else MLflow's, else the store's."""
        told = (place.get(name) for place in (self.ledger["training"], self.mlflow or {}, self.store or {}))
        return next((found for found in told if found is not None), None)


def open_dossier(ledger: "Ledger", model: str, version: str, *, client: "RegistryClient | None" = None) -> Dossier:
    """Collect what is known of a version (`champion`: today's); only the ledger has to answer.

    DataError where the ledger does not know the version.
    """
    trail = follow(ledger, model, version)
    told = facts(trail)
    store, of_store = from_store(model, told)
    mlflow, of_mlflow = from_mlflow(client, model, trail.version, told)
    sources = (Source("ledger", SourceStatus.OK, ledger.name), of_store, of_mlflow)
    return Dossier(model, trail.version, trail, told, store, mlflow, sources)
