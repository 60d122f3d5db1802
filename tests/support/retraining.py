"""The job of a retraining, run as the train DAG runs it, on a real MLflow server."""

from pathlib import Path
from typing import Any

import pandas as pd

from retrain.data import save_snapshot
from retrain.jobs import run_job
from retrain.records import JobRequest, JobResult, JobStatus, ModelSpec
from tests.support.project import Project, orders

# A serving check that does not measure for long.
CHECKED = {"limits": {"calls": 5}}
STEPS = ("train", "serving", "evaluate", "gate", "register")


class Retraining:
    """A store, a project and an MLflow server; `run` trains on some partitions and judges by another."""

    def __init__(self, root: Path, project: Project, tracking_uri: str) -> None:
        self.root, self.project, self.tracking_uri = root, project, tracking_uri
        self.store = str(root / "store")

    def spec(self, **changes: Any) -> ModelSpec:
        """Return the declaration, with a wide margin and, for it takes seconds, without a serving check."""
        fields = {"margin": 0.2, "serving": None, **changes}
        return self.project.spec(**fields)

    def run(
        self,
        spec: ModelSpec | None = None,
        *,
        months: tuple[str, ...] = ("2024-01",),
        holdout: pd.DataFrame | None = None,
        champion: dict[str, Any] | None = None,
        steps: tuple[str, ...] = STEPS,
        **inputs: Any,
    ) -> JobResult:
        """Run the steps; the hold-out is the partition 2024-12."""
        snapshot_uri = inputs.get("snapshot_uri") or save_snapshot(self.project.snapshot(*months), self.store)
        held = self.project.partition("2024-12", orders(400, seed=99) if holdout is None else holdout)
        document = {
            "holdout": [held.to_dict()],
            "champion": champion,
            **inputs,
            "snapshot_uri": snapshot_uri,
        }
        return run_job(JobRequest(steps, spec or self.spec(), self.store, document, self.tracking_uri))

    def done(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Run the steps and return their outputs."""
        result = self.run(*arguments, **options)
        assert result.status is JobStatus.SUCCEEDED, result.error
        return dict(result.outputs)

    def as_champion(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """Return what jobs are told of a champion that was trained on January, were it promoted."""
        return {
            "version": str(outputs["register"]["version"]),
            "model_uri": outputs["train"]["model_uri"],
            "digest": outputs["train"]["artifact_digest"],
            "snapshot_uri": outputs["train"]["snapshot_uri"],
            "profile_uri": outputs["train"]["profile_uri"],
            "losses_uri": outputs["evaluate"]["losses_uri"],
            "metric": outputs["evaluate"]["challenger"],
            "partitions": ["2024-01"],
        }
