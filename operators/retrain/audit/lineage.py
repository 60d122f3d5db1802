"""Lineage from the ledger's facts, in the terms of OpenLineage and without its library.

A partition's object is a dataset, named as OpenLineage's naming rules say (`s3://bucket` and the key, `file` and the
path). A model is a dataset of the type MODEL at the tracking server, its version is the dataset's version.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.loop.streams import Kind, dataset_stream, model_stream
from retrain.loop.versions import without_labels
from retrain.records import DataRef
from retrain.training.tracking import without_credentials

if TYPE_CHECKING:
    from retrain.ledger import Ledger

MODEL, FILE = "MODEL", "FILE"
# A training on more partitions than this names the latest; the snapshot's digest stands for all.
MOST_INPUTS = 200
_WITH_CONTAINER = frozenset({"abfs", "abfss", "wasb", "wasbs"})


@dataclass(frozen=True)
class Broken:
    """An expectation that did not hold on a dataset."""

    expectation: str
    column: str | None
    severity: str | None
    reason: str


@dataclass(frozen=True)
class Dataset:
    """One thing that a task read or wrote."""

    namespace: str
    name: str
    kind: str = FILE
    version: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None
    bytes: int | None = None
    broken: tuple[Broken, ...] = ()


@dataclass(frozen=True)
class Lineage:
    """What a task read, what it wrote, and what of it is worth a tag of the run."""

    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def of_ingest(ledger: "Ledger", dataset: str, keys: Iterable[str]) -> Lineage:
    """Tell which partition versions (`keys`) came in, what of them was broken, and which rows were accepted."""
    stream = dataset_stream(dataset)
    inputs, outputs, tags = [], [], {}
    for key in dict.fromkeys(map(without_labels, keys)):
        arrived, validated = ledger.get(stream, Kind.ARRIVED, key), ledger.get(stream, Kind.VALIDATED, key)
        if arrived is None or validated is None:
            continue
        verdict = validated.payload
        source = arrived.payload
        inputs.append(
            Dataset(
                *place(str(source.get("uri"))),
                version=source.get("digest"),
                rows=verdict.get("rows"),
                bytes=source.get("bytes"),
                broken=_broken(verdict.get("failures") or ()),
            )
        )
        if verdict.get("accepted"):
            outputs.append(_object(DataRef.from_dict(verdict["accepted"])))
        tags[f"validation.{key}"] = str(verdict.get("status"))
    return Lineage(tuple(inputs), tuple(outputs), tags)


def of_training(ledger: "Ledger", model: str, run: str, refs: Iterable[DataRef], *, tracking_uri: str) -> Lineage:
    """Tell what a run trained on and judged by, and the version that came of it; none where it was not judged yet."""
    inputs = tuple(_object(ref) for ref in [*refs][-MOST_INPUTS:])
    judged = ledger.get(model_stream(model), Kind.JUDGED, run)
    if judged is None:
        return Lineage(inputs)
    payload = judged.payload
    verdict = payload.get("verdict") or {}
    tags = {
        "gate": verdict.get("status"),
        "metric": payload.get("metric_name"),
        "value": payload.get("metric"),
        "snapshot": str(payload.get("snapshot_uri") or "").rpartition("/")[2].removesuffix(".json"),
        "training_key": payload.get("training_key"),
        "mlflow_run": payload.get("run_id"),
    }
    version = _model(model, str(payload["version"]), tracking_uri)
    return Lineage(inputs, (version,), {name: str(value) for name, value in tags.items() if value})


def of_release(ledger: "Ledger", model: str, run: str, *, tracking_uri: str) -> Lineage:
    """Tell which version a run made champion, as `<model>@champion` written from it; nothing where it made none."""
    for event in ledger.events(model_stream(model), kinds=[Kind.PROMOTED, Kind.ROLLED_BACK], newest_first=True):
        version = str(event.payload["version"])
        if event.key in (run, f"{version}:{run}"):
            source = _model(model, version, tracking_uri)
            target = Dataset(source.namespace, f"{model}@champion", MODEL, version)
            tags = {"change": str(event.kind), "replaced": str(event.payload.get("previous") or "nothing")}
            return Lineage((source,), (target,), tags)
    return Lineage()


def place(uri: str) -> tuple[str, str]:
    """Return namespace and name of an object, by OpenLineage's rules."""
    scheme, found, _ = uri.partition("://")
    if not found:
        return "file", uri
    # Of Azure's addresses what stands before the @ is the container, and no user.
    public = uri if scheme in _WITH_CONTAINER else without_credentials(uri)
    authority, _, path = public.partition("://")[2].partition("/")
    if scheme == "file":
        return "file", f"/{path}"
    return f"{scheme}://{authority}", path or "/"


def _object(ref: DataRef) -> Dataset:
    return Dataset(*place(ref.uri), version=ref.digest, columns=ref.schema, rows=ref.rows, bytes=ref.bytes)


def _model(model: str, version: str, tracking_uri: str) -> Dataset:
    return Dataset(without_credentials(tracking_uri).rstrip("/"), model, MODEL, version)


def _broken(failures: Iterable[Mapping[str, Any]]) -> tuple[Broken, ...]:
    return tuple(
        Broken(str(one.get("expectation")), one.get("column"), one.get("severity"), str(one.get("reason") or ""))
        for one in failures
    )
