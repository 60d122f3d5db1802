"""Frozen records and closed vocabularies that travel between stages. Standard library only."""

from retrain.records._codec import decode, encode
from retrain.records.data import DataRef, Snapshot
from retrain.records.jobs import CONTRACT_VERSION, DataRead, JobError, JobRequest, JobResult, JobStatus, StepCost
from retrain.records.model import ModelSpec
from retrain.records.verdicts import (
    Check,
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
    "Check",
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
    "ModelSpec",
    "PerformanceStatus",
    "PerformanceVerdict",
    "Severity",
    "Snapshot",
    "StepCost",
    "ValidationStatus",
    "ValidationVerdict",
    "Verdict",
    "decode",
    "encode",
]
