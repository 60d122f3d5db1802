"""Continuous training for Apache Airflow: declare a model once and it stays fresh.

The names below are loaded when they are first used: importing `retrain` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrain.jobs import ExternalPython, KubernetesPod, Worker
    from retrain.policy import Decay, Drift, Every, NewData
    from retrain.records import Approval, RollbackOn
    from retrain.templates import ContinuousTraining

__version__ = "0.1.0"

_MODULES = {
    "Approval": "retrain.records",
    "ContinuousTraining": "retrain.templates",
    "Decay": "retrain.policy",
    "Drift": "retrain.policy",
    "Every": "retrain.policy",
    "ExternalPython": "retrain.jobs",
    "KubernetesPod": "retrain.jobs",
    "NewData": "retrain.policy",
    "RollbackOn": "retrain.records",
    "Worker": "retrain.jobs",
}

__all__ = [
    "Approval",
    "ContinuousTraining",
    "Decay",
    "Drift",
    "Every",
    "ExternalPython",
    "KubernetesPod",
    "NewData",
    "RollbackOn",
    "Worker",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
