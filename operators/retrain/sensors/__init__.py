"""Sensors: a task that waits, in a worker (`poke`), between visits to one (`reschedule`) or in none (`deferrable`).

Names are loaded when they are used: importing this package loads nothing but itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrain.sensors.arrival import PartitionArrivalSensor
    from retrain.sensors.asset_event import AssetEventSensor
    from retrain.sensors.drift import DriftSensor

_WHERE = {
    "AssetEventSensor": "retrain.sensors.asset_event",
    "DriftSensor": "retrain.sensors.drift",
    "PartitionArrivalSensor": "retrain.sensors.arrival",
}

__all__ = ["AssetEventSensor", "DriftSensor", "PartitionArrivalSensor"]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
