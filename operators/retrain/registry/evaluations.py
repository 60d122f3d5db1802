"""The evaluation as MLflow's pages show it: metrics of the model on the hold-out, its data, pictures, tables."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.exceptions import RetrainError
from retrain.records import DataRef, Verdict
from retrain.registry.client import RegistryClient
from retrain.training.tracking import translated

if TYPE_CHECKING:
    import pandas as pd

    from retrain.evaluation import GateCase

log = logging.getLogger(__name__)

FOLDER = "evaluation"
CASE = "retrain.case"
# MLflow's pages list the tables that this tag names.
_TABLES = "mlflow.loggedArtifacts"
_DIGEST, _NAME = 36, 500


@dataclass(frozen=True)
class Evaluated:
    """What is logged: the verdict on a model, the case and the kept predictions (None: not scored), the hold-out.

    `name` tells one evaluation of the model from another, `pictures` are PNG by name.
    """

    run_id: str
    model_id: str
    verdict: Verdict
    dataset: str
    holdout: Sequence[DataRef] = ()
    case: "GateCase | None" = None
    name: str | None = None
    frame: "pd.DataFrame | None" = None
    serving: Mapping[str, Any] | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def log_evaluation(evaluated: Evaluated, *, tracking_uri: str) -> None:
    """Log an evaluation to the run and to the logged model; the same case again changes nothing.

    Metrics are `holdout_<metric>`, of the model and of the hold-out as a dataset with the context "evaluation". Under
    `evaluation/` lie the verdict, tables of slices and conditions, and pictures.
    """
    client = RegistryClient(tracking_uri).mlflow
    with translated(tracking_uri):
        run = client.get_run(evaluated.run_id)
        if evaluated.name is not None and run.data.tags.get(CASE) == evaluated.name:
            return
        dataset = _log_holdout(client, evaluated)
        _log_metrics(client, evaluated, dataset)
        _log_documents(client, evaluated)
        for name, content in evaluated.pictures.items():
            _log_bytes(client, evaluated.run_id, f"{name}.png", content)
        if evaluated.name is not None:
            client.set_tag(evaluated.run_id, CASE, evaluated.name)


def _log_holdout(client: Any, evaluated: Evaluated) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    refs = evaluated.holdout
    if not refs:
        return None
    names = [str(ref.partition or ref.uri) for ref in refs]
    span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    dataset = Dataset(
        name=f"{evaluated.dataset}/{span} (hold-out)"[:_NAME],
        digest=_digest(refs),
        source_type="uri",
        source=json.dumps({"uri": [ref.uri for ref in refs][:50], "digest": [ref.digest for ref in refs][:50]}),
        schema=json.dumps({"columns": dict(refs[-1].schema)}) if refs[-1].schema else None,
        profile=json.dumps({"num_rows": evaluated.verdict.rows}),
    )
    tags = [InputTag("mlflow.data.context", "evaluation")]
    client.log_inputs(evaluated.run_id, datasets=[DatasetInput(dataset=dataset, tags=tags)])
    return dataset


def _digest(refs: Sequence[DataRef]) -> str:
    import hashlib

    if len(refs) == 1 and refs[0].digest:
        return refs[0].digest.removeprefix("sha256:")[:_DIGEST]
    return hashlib.sha256("".join(str(ref.digest) for ref in refs).encode()).hexdigest()[:_DIGEST]


def _log_metrics(client: Any, evaluated: Evaluated, dataset: Any) -> None:
    from mlflow.entities import Metric

    verdict, now = evaluated.verdict, int(time.time() * 1000)
    of_model = {**_further(evaluated), verdict.metric: verdict.challenger}
    on = {"dataset_name": dataset.name, "dataset_digest": dataset.digest} if dataset else {}
    metrics = [
        Metric(f"holdout_{name}", float(value), now, 0, model_id=evaluated.model_id, **on)
        for name, value in of_model.items()
        if value is not None
    ]
    beside = {
        f"holdout_{verdict.metric}_of_champion": verdict.champion,
        f"holdout_{verdict.metric}_of_baseline": verdict.baseline,
        f"holdout_{verdict.metric}_difference": verdict.difference,
        "holdout_rows": verdict.rows,
    }
    for name in ("p50_ms", "p99_ms", "memory_bytes", "model_bytes", "load_seconds"):
        beside[f"serving_{name}"] = (evaluated.serving or {}).get(name)
    metrics += [Metric(name, float(value), now, 0) for name, value in beside.items() if value is not None]
    client.log_batch(evaluated.run_id, metrics=metrics)


def _further(evaluated: Evaluated) -> dict[str, float]:
    from retrain.evaluation.plots import further_metrics

    if evaluated.case is None or evaluated.frame is None:
        return {}
    try:
        return further_metrics(evaluated.case, evaluated.frame)
    except RetrainError as error:
        log.warning("further metrics cannot be computed: %s", error)
        return {}


def _log_documents(client: Any, evaluated: Evaluated) -> None:
    verdict = evaluated.verdict.to_dict()
    client.log_dict(evaluated.run_id, verdict, f"{FOLDER}/verdict.json")
    tables = {
        "conditions": [dict(condition) for condition in verdict["conditions"]],
        "slices": [{"slice": name, **part} for name, part in verdict["slices"].items()],
    }
    written = []
    for name, rows in tables.items():
        if rows:
            path = f"{FOLDER}/{name}.json"
            client.log_text(evaluated.run_id, json.dumps(_table(rows)), path)
            written.append({"path": path, "type": "table"})
    if written:
        client.set_tag(evaluated.run_id, _TABLES, json.dumps(written))


def _table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows as MLflow keeps a table."""
    columns = sorted(dict.fromkeys(name for row in rows for name in row), key=lambda name: name == "reason")
    return {"columns": columns, "data": [[_cell(row.get(name)) for name in columns] for row in rows]}


def _cell(value: Any) -> Any:
    return ", ".join(f"{part:.4g}" for part in value) if isinstance(value, list) else value


def _log_bytes(client: Any, run_id: str, name: str, content: bytes) -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(prefix="retrain-evaluation-") as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        client.log_artifact(run_id, str(path), FOLDER)
