"""The steps that a job may run, by name, and what they are handed.

Each step is a function of a `StepContext` that returns plain JSON. It is imported only when it runs, so that a job
pays for the libraries of its own steps and no others.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from retrain.exceptions import ContractError
from retrain.records import DataRead, DataRef, DriftVerdict, JobRequest, ModelSpec

STEPS: Mapping[str, str] = {
    "validate": "retrain.jobs.data_steps:validate",
    "profile": "retrain.jobs.data_steps:profile",
    "labels": "retrain.jobs.data_steps:labels",
    "drift": "retrain.jobs.data_steps:drift",
    "compare": "retrain.jobs.data_steps:compare",
    "prediction": "retrain.jobs.watch_steps:prediction",
    "label": "retrain.jobs.watch_steps:label",
    "performance": "retrain.jobs.watch_steps:performance",
    "concept": "retrain.jobs.watch_steps:concept",
    "estimate": "retrain.jobs.watch_steps:estimate",
    "report": "retrain.jobs.report_steps:report",
    "train": "retrain.jobs.model_steps:train",
    "serving": "retrain.jobs.judging_steps:serving",
    "evaluate": "retrain.jobs.judging_steps:evaluate",
    "gate": "retrain.jobs.judging_steps:gate",
    "register": "retrain.jobs.model_steps:register",
    "check_bytes": "retrain.jobs.release_steps:check_bytes",
    "check_loads": "retrain.jobs.release_steps:check_loads",
}


# A model that was trained elsewhere and promoted by a person.
UNKNOWN = "The champion was never judged here: its {what} is not known"


@dataclass
class StepContext:
    """What a step is handed: the request, the outputs of the steps before it, and frames already read.

    `reads` gathers what the steps have read of the user's data, for `JobResult.reads`. `closing` is what is undone when
    the job ends, in whatever way.
    """

    request: JobRequest
    outputs: dict[str, Any] = field(default_factory=dict)
    frames: dict[str, Any] = field(default_factory=dict)
    reads: list[DataRead] = field(default_factory=list)
    closing: ExitStack = field(default_factory=ExitStack)

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

    def read(self, ref: DataRef, *, step: str) -> Any:
        """Read a reference once per job; the steps of a job share the frame and do not change it."""
        from retrain.data import read

        if ref.uri not in self.frames:
            self.frames[ref.uri] = read(ref)
        self.note_read(step, ref)
        return self.frames[ref.uri]

    def read_each(self, refs: Iterable[DataRef], *, step: str) -> Iterator[Any]:
        """Read references one after another and keep none of the frames."""
        from retrain.data import read

        for ref in refs:
            frame = read(ref)
            self.note_read(step, ref)
            yield frame

    def note_read(self, step: str, ref: DataRef | str, columns: Sequence[str] | None = None) -> None:
        """Note that `step` has read an object: `columns`, or (None) all that it has, by name where they are known."""
        source = ref if isinstance(ref, DataRef) else DataRef(uri=ref, format="")
        names = columns if columns is not None else source.schema or None
        read = DataRead(
            step,
            source.uri,
            digest=source.digest,
            partition=source.partition,
            version=source.version,
            columns=None if names is None else tuple(map(str, names)),
        )
        if read not in self.reads:
            self.reads.append(read)


def is_refused(context: StepContext) -> bool:
    """Say whether validation has refused the partition in this job."""
    return bool((context.outputs.get("validate") or {}).get("status") == "fail")


def short_verdict(verdict: DriftVerdict) -> dict[str, Any]:
    """Return what of a drift verdict is small enough for XCom and the ledger."""
    return {
        "status": verdict.status.value,
        "severity": verdict.severity.value if verdict.severity else None,
        "kinds": list(verdict.kinds),
        "shape": verdict.shape.value if verdict.shape else None,
        "drivers": list(verdict.drivers[:10]),
        "checks": [f"{check.name}: {check.column}" if check.column else check.name for check in verdict.checks[:10]],
        "summary": verdict.summary,
        "rows_needed": verdict.rows_needed,
    }


def object_name(ref: DataRef) -> str:
    """Return the name of a partition as part of an object's name."""
    return (ref.partition or "all").replace("/", "_")


def fingerprint(*parts: Any) -> str:
    """Return 16 hex digits over JSON values: the name of an object that a retry must find again."""
    body = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(body.encode()).hexdigest()[:16]
