"""Operators: thin recipes that resolve, call the core, commit to the ledger, and return small JSON or raise."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrain.operators.approval import ModelApproveOperator
    from retrain.operators.arrival import PartitionDiscoverOperator, PartitionReplayOperator
    from retrain.operators.data import DataValidateOperator
    from retrain.operators.decide import RetrainDecideOperator
    from retrain.operators.drift import DriftCheckOperator
    from retrain.operators.ingest import PartitionIngestOperator
    from retrain.operators.model import (
        ModelEvaluateOperator,
        ModelGateOperator,
        ModelRegisterOperator,
        ModelServingCheckOperator,
        ModelTrainOperator,
    )
    from retrain.operators.plan import TrainingPlanOperator
    from retrain.operators.release import (
        ModelGuardOperator,
        ModelPromoteOperator,
        ReleaseNotifyOperator,
        RollbackModelOperator,
    )

_MODULES = {
    "DataValidateOperator": "data",
    "DriftCheckOperator": "drift",
    "ModelApproveOperator": "approval",
    "ModelEvaluateOperator": "model",
    "ModelGateOperator": "model",
    "ModelGuardOperator": "release",
    "ModelPromoteOperator": "release",
    "ModelRegisterOperator": "model",
    "ModelServingCheckOperator": "model",
    "ModelTrainOperator": "model",
    "PartitionDiscoverOperator": "arrival",
    "PartitionIngestOperator": "ingest",
    "PartitionReplayOperator": "arrival",
    "ReleaseNotifyOperator": "release",
    "RetrainDecideOperator": "decide",
    "RollbackModelOperator": "release",
    "TrainingPlanOperator": "plan",
}

__all__ = [
    "DataValidateOperator",
    "DriftCheckOperator",
    "ModelApproveOperator",
    "ModelEvaluateOperator",
    "ModelGateOperator",
    "ModelGuardOperator",
    "ModelPromoteOperator",
    "ModelRegisterOperator",
    "ModelServingCheckOperator",
    "ModelTrainOperator",
    "PartitionDiscoverOperator",
    "PartitionIngestOperator",
    "PartitionReplayOperator",
    "ReleaseNotifyOperator",
    "RetrainDecideOperator",
    "RollbackModelOperator",
    "TrainingPlanOperator",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"retrain.operators.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
