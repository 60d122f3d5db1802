"""Operators: thin recipes that resolve, call the core, commit to the ledger, and return small JSON or raise."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrain.operators.data import (
        DataValidateOperator,
        PartitionDiscoverOperator,
        PartitionIngestOperator,
        PartitionReplayOperator,
    )
    from retrain.operators.decide import RetrainDecideOperator
    from retrain.operators.drift import DriftCheckOperator
    from retrain.operators.model import (
        ModelEvaluateOperator,
        ModelGateOperator,
        ModelPromoteOperator,
        ModelRegisterOperator,
        ModelServingCheckOperator,
        ModelTrainOperator,
        RollbackModelOperator,
    )
    from retrain.operators.plan import TrainingPlanOperator

_MODULES = {
    "DataValidateOperator": "data",
    "DriftCheckOperator": "drift",
    "ModelEvaluateOperator": "model",
    "ModelGateOperator": "model",
    "ModelPromoteOperator": "model",
    "ModelRegisterOperator": "model",
    "ModelServingCheckOperator": "model",
    "ModelTrainOperator": "model",
    "PartitionDiscoverOperator": "data",
    "PartitionIngestOperator": "data",
    "PartitionReplayOperator": "data",
    "RetrainDecideOperator": "decide",
    "RollbackModelOperator": "model",
    "TrainingPlanOperator": "plan",
}

__all__ = [
    "DataValidateOperator",
    "DriftCheckOperator",
    "ModelEvaluateOperator",
    "ModelGateOperator",
    "ModelPromoteOperator",
    "ModelRegisterOperator",
    "ModelServingCheckOperator",
    "ModelTrainOperator",
    "PartitionDiscoverOperator",
    "PartitionIngestOperator",
    "PartitionReplayOperator",
    "RetrainDecideOperator",
    "RollbackModelOperator",
    "TrainingPlanOperator",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"retrain.operators.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
