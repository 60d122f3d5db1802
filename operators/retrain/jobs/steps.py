"""The steps that a job may run, by name, and what they are handed.

Each step is a function of a `StepContext` that returns plain JSON. It is imported only when it runs, so that a job
pays for the libraries of its own steps and no others.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrain.exceptions import ContractError
from retrain.records import DataRef, JobRequest, ModelSpec

STEPS: Mapping[str, str] = {
    "validate": "retrain.jobs.data_steps:validate",
    "profile": "retrain.jobs.data_steps:profile",
    "drift": "retrain.jobs.data_steps:drift",
    "compare": "retrain.jobs.data_steps:compare",
    "performance": "retrain.jobs.data_steps:performance",
    "report": "retrain.jobs.data_steps:report",
    "train": "retrain.jobs.model_steps:train",
    "evaluate": "retrain.jobs.model_steps:evaluate",
    "gate": "retrain.jobs.model_steps:gate",
    "register": "retrain.jobs.model_steps:register",
}


@dataclass
class StepContext:
    """What a step is handed: the request, the outputs of the steps before it, and frames already read."""

    request: JobRequest
    outputs: dict[str, Any] = field(default_factory=dict)
    frames: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> ModelSpec:
        """The model's declaration."""
        return self.request.spec

    def required(self, name: str, step: str) -> Any:
        """Return an input; ContractError names the step that lacks it."""
        if (value := self.request.inputs.get(name)) is None:
            raise ContractError(f"step {step} lacks the input {name!r}", expected=f"inputs.{name} in the job document")
        return value

    def tracking_uri(self, step: str) -> str:
        """Return MLflow's address; ContractError when the request has none."""
        if not self.request.tracking_uri:
            raise ContractError(f"step {step} needs MLflow", expected="tracking_uri in the job document")
        return self.request.tracking_uri

    def store(self, *parts: str) -> str:
        """Return a URI under the store."""
        from retrain.data import storage

        return storage.join(self.request.store, *parts)

    def project_path(self, reference: str) -> str:
        """Resolve a path of the project (a suite) against the declared root; URIs stay as they are."""
        if "://" in reference or os.path.isabs(reference):
            return reference
        return os.path.join(self.spec.project_root, reference)

    def partition(self, step: str) -> DataRef:
        """Return the partition to work on: what validation accepted, or what came in."""
        accepted = (self.outputs.get("validate") or {}).get("accepted")
        return DataRef.from_dict(accepted or self.required("partition", step))

    def read(self, ref: DataRef) -> Any:
        """Read a reference once per job; the steps of a job share the frame and do not change it."""
        from retrain.data import read

        if ref.uri not in self.frames:
            self.frames[ref.uri] = read(ref)
        return self.frames[ref.uri]


def fingerprint(*parts: Any) -> str:
    """Return 16 hex digits over JSON values: the name of an object that a retry must find again."""
    body = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(body.encode()).hexdigest()[:16]
