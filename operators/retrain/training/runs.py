"""What a training leaves in MLflow: a run with its origin, found again by its key."""

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrain.records import ModelSpec, Snapshot
from retrain.training.contract import TrainOutcome
from retrain.training.keys import environment

KEY = "retrain.training_key"
MODEL_URI = "retrain.model_uri"
FRAME = "retrain.frame"
ENVIRONMENT = "retrain.environment"
ARTIFACT = "retrain.artifact_digest"
PII_IN_MODEL = "retrain.pii_in_model"
_ORIGIN = "retrain.origin."
# MLflow's limits: 36 characters for a dataset's digest, 5,000 for a tag, 6,000 for a parameter; and what is readable.
_DIGEST, _TEXT, _DATASETS = 36, 4_900, 50


@dataclass(frozen=True)
class Facts:
    """Everything that is known about a training before it starts."""

    spec: ModelSpec
    snapshot: Snapshot
    snapshot_uri: str
    key: str
    code_digest: str
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def partitions(self) -> tuple[str, ...]:
        """The keys of the partitions, with their versions where they have one."""
        return tuple(ref.key for ref in self.snapshot.partitions)

    @property
    def run_name(self) -> str:
        """`2013-01 to 2013-06`, so that a list of runs can be read."""
        first, last = (self.snapshot.partitions[index].partition or "all" for index in (0, -1))
        return first if first == last else f"{first} to {last}"

    def tags(self) -> dict[str, str]:
        """The origin as tags of the run."""
        tags = {
            KEY: self.key,
            "retrain.model": self.spec.model,
            "retrain.dataset": self.snapshot.dataset,
            "retrain.snapshot": self.snapshot.digest,
            "retrain.snapshot_uri": self.snapshot_uri,
            "retrain.partitions": json.dumps(self.partitions),
            "retrain.code": self.code_digest,
            "retrain.target": self.spec.target,
            "retrain.train": self.spec.train,
            "retrain.prepare": self.spec.prepare or "",
            ENVIRONMENT: json.dumps(environment(), sort_keys=True),
            **{f"{_ORIGIN}{name}": str(value) for name, value in self.origin.items()},
        }
        return {name: _short(value) for name, value in tags.items()}


def experiment_id(client: Any, name: str) -> str:
    """Return the id of the model's experiment; two tasks may create it at the same time."""
    from mlflow.exceptions import MlflowException

    if (found := client.get_experiment_by_name(name)) is None:
        with contextlib.suppress(MlflowException):  # the other one was first: it is there now
            return str(client.create_experiment(name))
        found = client.get_experiment_by_name(name)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def find_finished(client: Any, experiment: str, facts: Facts) -> TrainOutcome | None:
    """Return the outcome of an earlier training with the same key whose model is still there, or None."""
    from mlflow.exceptions import MlflowException

    for run in _runs(client, experiment, facts):
        uri = run.data.tags.get(MODEL_URI)
        if uri is None:
            continue
        try:
            client.get_logged_model(uri.removeprefix("models:/"))
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                continue  # somebody deleted it
            raise
        if run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id)
        return outcome(run, facts, reused=True)
    return None


def close_abandoned(client: Any, experiment: str, facts: Facts) -> None:
    """Mark the runs that an earlier try of the same task left without an end as killed."""
    task = {f"{_ORIGIN}{name}": facts.origin.get(name) for name in ("dag_id", "run_id", "task_id")}
    if not all(task.values()):
        return
    for run in _runs(client, experiment, facts):
        if run.info.status == "RUNNING" and all(run.data.tags.get(name) == value for name, value in task.items()):
            client.set_terminated(run.info.run_id, status="KILLED")


def log_inputs(client: Any, run_id: str, facts: Facts, params: Mapping[str, Any]) -> None:
    """Log the parameters, and one dataset per partition (the latest 50; `snapshot.json` has them all)."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
    if texts:
        client.log_batch(run_id, params=[Param(name, _short(value)) for name, value in texts.items()])
    named = list(zip(facts.partitions, facts.snapshot.partitions, strict=True))[-_DATASETS:]
    inputs = [
        DatasetInput(
            dataset=Dataset(
                name=f"{facts.snapshot.dataset}/{partition}"[-500:],
                digest=(ref.digest or "unknown").removeprefix("sha256:")[:_DIGEST],
                source_type="uri",
                source=json.dumps({"uri": ref.uri, "digest": ref.digest}),
                schema=json.dumps({"columns": dict(ref.schema)}) if ref.schema else None,
                profile=json.dumps({"num_rows": ref.rows, "num_bytes": ref.bytes}),
            ),
            tags=[InputTag("mlflow.data.context", "training")],
        )
        for partition, ref in named
    ]
    client.log_inputs(run_id, datasets=inputs)


def log_metrics(client: Any, run_id: str, metrics: Mapping[str, float]) -> None:
    """Log numbers of the training in one call."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    client.log_batch(run_id, metrics=[Metric(name, float(value), now, 0) for name, value in metrics.items()])


def outcome(run: Any, facts: Facts, *, reused: bool) -> TrainOutcome:
    """Read the outcome of a finished training back from its run."""
    metrics = dict(run.data.metrics)
    return TrainOutcome(
        run_id=run.info.run_id,
        model_uri=run.data.tags[MODEL_URI],
        training_key=facts.key,
        snapshot=facts.snapshot.digest,
        snapshot_uri=facts.snapshot_uri,
        code_digest=facts.code_digest,
        experiment_id=run.info.experiment_id,
        rows=int(metrics.pop("rows")),
        rows_without_target=int(metrics.pop("rows_without_target", 0)),
        partitions=facts.partitions,
        metrics=metrics,
        reused=reused,
        frame=run.data.tags.get(FRAME),
        # Of the run, and not of this process: that may have found what another has trained.
        environment=json.loads(run.data.tags.get(ENVIRONMENT) or "{}"),
        artifact_digest=run.data.tags.get(ARTIFACT),
    )


def _runs(client: Any, experiment: str, facts: Facts) -> list[Any]:
    return list(client.search_runs([experiment], filter_string=f"tags.`{KEY}` = '{facts.key}'", max_results=100))


def _short(value: str) -> str:
    return value if len(value) <= _TEXT else value[: _TEXT - 4] + " ..."
