"""What monitoring saw of a champion, in MLflow: one run per version, under the training that the version came from.

Not in the training run itself: that is the evidence a version was promoted on, and is not written to any more. A run of
its own has the numbers as lines over the partitions, and the pages of each partition that drifted as artifacts.
"""

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrain.registry.client import RegistryClient
from retrain.training.tracking import translated

MONITORS = "retrain.monitors"


@dataclass(frozen=True)
class Look:
    """One look at a partition: numbers, and files by name with the URI that they are read from.

    `step` is the number of the look among those at this version: the place on the axis of MLflow's charts.
    """

    model: str
    version: str
    training_run_id: str
    partition: str
    step: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def log_look(look: Look, *, tracking_uri: str) -> str:
    """Log a look into the version's monitoring run, which is made if it is not there; returns the run's id.

    Artifacts lie under `drift/<partition>/`. A repeat writes the same files again. RegistryUnavailableError when MLflow
    does not answer.
    """
    from mlflow.entities import Metric

    client = RegistryClient(tracking_uri).mlflow
    with translated(tracking_uri):
        run_id = _run(client, look)
        if look.metrics:
            now = int(time.time() * 1000)
            metrics = [Metric(name, value, now, look.step) for name, value in look.metrics.items()]
            client.log_batch(run_id, metrics=metrics)
        if look.files:
            _upload(client, run_id, look)
    return run_id


def _run(client: Any, look: Look) -> str:
    training = client.get_run(look.training_run_id)
    experiment = training.info.experiment_id
    wanted = f"tags.`{MONITORS}` = '{look.model}/{look.version}'"
    found = client.search_runs(
        [experiment], filter_string=wanted, order_by=["attributes.start_time ASC"], max_results=1
    )
    if found:
        return str(found[0].info.run_id)
    tags = {
        MONITORS: f"{look.model}/{look.version}",
        "retrain.model": look.model,
        "mlflow.parentRunId": look.training_run_id,
        "mlflow.note.content": f"What was seen of version {look.version} of {look.model} on new partitions.",
    }
    made = client.create_run(experiment, tags=tags, run_name=f"monitoring v{look.version}")
    # Nothing goes on in it between two looks; an open run would look like one that hangs.
    client.set_terminated(made.info.run_id)
    return str(made.info.run_id)


def _upload(client: Any, run_id: str, look: Look) -> None:
    from retrain.data import storage

    with tempfile.TemporaryDirectory(prefix="retrain-") as folder:
        for name, uri in look.files.items():
            Path(folder, name).write_bytes(storage.read_bytes(uri))
        client.log_artifacts(run_id, folder, artifact_path=os.path.join("drift", look.partition.replace("/", "_")))
