"""All that is known of one version: the ledger's facts, what store and MLflow add, and which of them could be asked."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.audit.facts import facts
from retrain.audit.sources import Source, SourceStatus, from_mlflow, from_store
from retrain.audit.trail import Trail, follow
from retrain.ledger.events import Head
from retrain.loop.streams import dataset_stream, model_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retrain.ledger import Ledger
    from retrain.registry import RegistryClient


@dataclass(frozen=True)
class Dossier:
    """One version's facts, by where they come from; `store` and `mlflow` are None where they could not be had.

    `heads` are the last events that were looked at, by stream, where the facts were settled to them.
    """

    model: str
    version: str
    trail: Trail
    ledger: "Mapping[str, Any]"
    store: "Mapping[str, Any] | None"
    mlflow: "Mapping[str, Any] | None"
    sources: tuple[Source, ...]
    heads: "Mapping[str, Head]" = field(default_factory=dict)

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


def open_dossier(
    ledger: "Ledger", model: str, version: str, *, client: "RegistryClient | None" = None, settled: bool = False
) -> Dossier:
    """Collect what is known of a version (`champion`: today's); only the ledger has to answer.

    With `settled` nothing counts that is appended while this reads, so that the same facts can be found again later.
    DataError where the ledger does not know the version.
    """
    heads: dict[str, Head] = {}
    trail = follow(ledger, model, version)
    if settled:
        streams = [model_stream(model), *([dataset_stream(trail.dataset)] if trail.dataset else [])]
        last = {stream: ledger.last(stream) for stream in streams}
        heads = {stream: Head(event.sequence, event.hash) for stream, event in last.items() if event}
        trail = follow(ledger, model, trail.version, until={stream: head.sequence for stream, head in heads.items()})
    told = facts(trail)
    store, of_store = from_store(model, told)
    mlflow, of_mlflow = from_mlflow(client, model, trail.version, told)
    sources = (Source("ledger", SourceStatus.OK, ledger.name), of_store, of_mlflow)
    return Dossier(model, trail.version, trail, told, store, mlflow, sources, heads)
