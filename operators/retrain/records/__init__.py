"""Frozen records and closed vocabularies that travel between stages. Standard library only."""

from retrain.records._codec import decode, encode
from retrain.records.data import DataRef, Snapshot
from retrain.records.jobs import CONTRACT_VERSION, DataRead, JobError, JobRequest, JobResult, JobStatus, StepCost
from retrain.records.model import ModelSpec
from retrain.records.release import Alarm, Approval, ApprovalRule, OnTimeout, RollbackOn
from retrain.records.streams import RELEASES, Kind, dataset_stream, model_stream
from retrain.records.verdicts import (
    Check,
    CheckLevel,
    ColumnDrift,
    DriftSeverity,
    DriftShape,
    DriftStatus,
    DriftVerdict,
    ExpectationFailure,
    GateStatus,
    PerformanceStatus,
    PerformanceVerdict,
    Severity,
    ValidationStatus,
    ValidationVerdict,
    Verdict,
)

__all__ = [
    "CONTRACT_VERSION",
    "RELEASES",
    "Alarm",
    "Approval",
    "ApprovalRule",
    "Check",
    "CheckLevel",
    "ColumnDrift",
    "DataRead",
    "DataRef",
    "DriftSeverity",
    "DriftShape",
    "DriftStatus",
    "DriftVerdict",
    "ExpectationFailure",
    "GateStatus",
    "JobError",
    "JobRequest",
    "JobResult",
    "JobStatus",
    "Kind",
    "ModelSpec",
    "OnTimeout",
    "PerformanceStatus",
    "PerformanceVerdict",
    "RollbackOn",
    "Severity",
    "Snapshot",
    "StepCost",
    "ValidationStatus",
    "ValidationVerdict",
    "Verdict",
    "dataset_stream",
    "decode",
    "encode",
    "model_stream",
]
