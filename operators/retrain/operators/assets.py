"""The assets by which retrain's tasks tell other DAGs what happened, one name and URI for each model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from retrain.records import ModelSpec


def drift_asset(spec: "ModelSpec | Mapping[str, Any]") -> tuple[Asset, AssetAlias]:
    """Return the asset that stands for drift found on a model's data, and the alias that events go through.

    Through the alias a task emits an event only where it says so, and as many as it has found.
    """
    model = spec["model"] if isinstance(spec, Mapping) else spec.model
    name = f"retrain.drift.{model}"
    return Asset(name=name, uri=f"retrain://drift/{model}", group="retrain"), AssetAlias(name)


def with_outlet(outlets: Any, outlet: AssetAlias) -> list[Any]:
    """Return the outlets of a task with one more, unless it is among them."""
    there = list(outlets) if isinstance(outlets, list | tuple) else [outlets] if outlets is not None else []
    return there if outlet in there else [*there, outlet]
