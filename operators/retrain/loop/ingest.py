"""Ingesting one partition version: which job it needs, and what of the result becomes the record."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError
from retrain.loop.facts import Accepted, accepted_partitions, champion_inputs, profile_options, shared_profile
from retrain.loop.past import past_looks, past_profiles
from retrain.loop.streams import Kind, dataset_stream, labels_of, model_stream, parse_key, partition_key, validate_work
from retrain.loop.verdicts import describe, kinds_of
from retrain.loop.versions import identity, without_labels
from retrain.records import DriftStatus, JobResult, ModelSpec

if TYPE_CHECKING:
    from retrain.ledger import Claim, Ledger

JUDGING_STEPS = ("drift", "performance", "prediction", "label", "concept", "estimate")
WATCH_STEPS = (*JUDGING_STEPS, "report")
# What of a verdict on the data is kept in the ledger and shown in XCom; the rest lies in the store.
VALIDATED_FIELDS = (
    "status", "rows", "quarantined_rows", "quarantine_uri", "result_uri", "docs_uri", "accepted", "expectations",
)  # fmt: skip
LABELLED_FIELDS = ("accepted", "rows", "unlabelled", "orphans", "reason")
_SOURCE = ("partition", "version", "uri", "format", "digest", "bytes")


def dataset_work(ledger: "Ledger", spec: ModelSpec, key: str) -> list[str]:
    """Name the work on this partition version that is the dataset's, and that no model's DAG has done yet."""
    stream, base = dataset_stream(spec.dataset), without_labels(key)
    missing = [] if ledger.get(stream, Kind.VALIDATED, base) else [base]
    if key != base and ledger.get(stream, Kind.LABELLED, key) is None:
        missing.append(key)
    return [validate_work(spec.dataset, one) for one in missing]


def outcome(ledger: "Ledger", spec: ModelSpec, key: str) -> dict[str, Any] | None:
    """Return what an earlier try committed for this model and partition version, if any."""
    watched = ledger.get(model_stream(spec.model), Kind.WATCHED, key)
    return _outcome(ledger, spec, key, watched.payload) if watched else None


def drift_found(ledger: "Ledger", spec: ModelSpec, key: str) -> dict[str, Any] | None:
    """Return the verdict on a partition version if it is drift of any kind: what an asset event carries."""
    watched = ledger.get(model_stream(spec.model), Kind.WATCHED, key)
    found = describe(spec.model, {"dataset": spec.dataset, **watched.payload}) if watched else None
    return found if found and found["status"] == DriftStatus.DRIFT else None


def job(
    ledger: "Ledger", spec: ModelSpec, key: str, *, draw_report: bool = False
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the steps and inputs of the job: everything for new data, only the watching for data already judged.

    Where the profile of judged data was made with other options than the model's, the model makes its own. Labels that
    arrived apart are joined once for all models that share the dataset.
    """
    stream, base = dataset_stream(spec.dataset), without_labels(key)
    accepted = accepted_partitions(ledger, spec.dataset, spec)
    champion = champion_inputs(ledger, spec.model)
    inputs: dict[str, Any] = {
        "champion": champion,
        "history": past_profiles(accepted, base, spec),
        "draw_report": draw_report,
        **past_looks(ledger, spec, key, champion["version"] if champion else None),
    }
    if (validated := ledger.get(stream, Kind.VALIDATED, base)) is not None:
        inputs["partition"] = validated.payload["accepted"]
        inputs["profile_uri"] = shared_profile(validated.payload, spec)
        first: tuple[str, ...] = () if inputs["profile_uri"] else ("profile",)
        if not inputs["partition"]:
            return (), inputs
    else:
        arrived = _arrived(ledger, spec.dataset, base)
        inputs["partition"] = {name: arrived[name] for name in _SOURCE}
        inputs["released"] = bool(arrived.get("released"))
        inputs["schema"] = _schema_before(accepted, arrived["partition"])
        first = ("validate", "profile")
    if key != base:
        first += _labels(ledger, spec, key, inputs)
    return (*first, *WATCH_STEPS), inputs


def _labels(ledger: "Ledger", spec: ModelSpec, key: str, inputs: dict[str, Any]) -> tuple[str, ...]:
    """Add what is known of the labels to the inputs; return the step that joins them, unless that is done."""
    if (labelled := ledger.get(dataset_stream(spec.dataset), Kind.LABELLED, key)) is not None:
        inputs["labelled"] = labelled.payload["accepted"]
        return ()
    partition, _, version = parse_key(key)
    arrived = _arrived(ledger, labels_of(spec.dataset), partition_key(partition, int(version or 0)))
    inputs["labels"] = {name: arrived[name] for name in _SOURCE}
    return ("labels",)


def _arrived(ledger: "Ledger", dataset: str, key: str) -> Mapping[str, Any]:
    event = ledger.get(dataset_stream(dataset), Kind.ARRIVED, key)
    if event is None:
        raise DataError(
            f"the partition {key} of {dataset} is not in the ledger",
            expected="one that was discovered",
            remedy="Run the discovery task, or correct the partition's name",
        )
    return event.payload


def _schema_before(accepted: Sequence[Accepted], partition: str) -> dict[str, str]:
    """The columns of the accepted partition before this one, which it is to have too; nothing for the first."""
    before = [one for one in accepted if str(one.ref.partition) < partition]
    return dict(before[-1].ref.schema) if before else {}


def commit(
    ledger: "Ledger",
    spec: ModelSpec,
    key: str,
    result: JobResult,
    claims: "Sequence[Claim]",
    *,
    actor: str,
) -> dict[str, Any]:
    """Append the verdicts and complete the claims in one transaction; ClaimLostError if they were taken over."""
    from retrain.ledger import Entry

    outputs = result.outputs
    entries = []
    stream, base = dataset_stream(spec.dataset), without_labels(key)
    made = {"profile_uri": outputs.get("profile", {}).get("uri"), "profile_options": profile_options(spec)}
    if "validate" in outputs:
        verdict = outputs["validate"]
        payload = {
            **identity(base),
            **{name: verdict.get(name) for name in VALIDATED_FIELDS},
            "accepted": None if verdict["status"] == "fail" else verdict["accepted"],
            "failures": list(verdict["failures"])[:50],
            **made,
        }
        entries.append(Entry(stream, Kind.VALIDATED, base, payload, actor=actor))
    if "labels" in outputs:
        joined = {**identity(key), **{name: outputs["labels"].get(name) for name in LABELLED_FIELDS}}
        entries.append(Entry(stream, Kind.LABELLED, key, joined, actor=actor))
    drawn = outputs.get("report") or {}
    watched = {
        **identity(key),
        "dataset": spec.dataset,
        **{step: outputs.get(step) for step in JUDGING_STEPS},
        "summary_uri": drawn.get("summary_uri"),
        "report_uri": drawn.get("uri"),
        "monitoring_run_id": drawn.get("monitoring_run_id"),
        # Of its own, beside the dataset's.
        **(made if made["profile_uri"] and "validate" not in outputs else {}),
    }
    entries.append(Entry(model_stream(spec.model), Kind.WATCHED, key, watched, actor=actor))
    ledger.append_all(entries, claims=[claim for claim in claims if claim is not None])
    return _outcome(ledger, spec, key, watched)


def pages(ledger: "Ledger", spec: ModelSpec, key: str) -> dict[str, str]:
    """Return the URIs of what was drawn for people of a partition version, by what it shows."""
    validated = ledger.get(dataset_stream(spec.dataset), Kind.VALIDATED, without_labels(key))
    watched = ledger.get(model_stream(spec.model), Kind.WATCHED, key)
    seen = watched.payload if watched else {}
    found = {
        "validation": (validated.payload if validated else {}).get("docs_uri"),
        "summary": seen.get("summary_uri"),
        "drift": seen.get("report_uri"),
    }
    return {name: uri for name, uri in found.items() if uri}


def _outcome(ledger: "Ledger", spec: ModelSpec, key: str, watched: Mapping[str, Any]) -> dict[str, Any]:
    validated = ledger.get(dataset_stream(spec.dataset), Kind.VALIDATED, without_labels(key))
    verdict = validated.payload if validated else {}
    drift, performance = watched.get("drift") or {}, watched.get("performance") or {}
    return {
        **identity(key),
        "validation": verdict.get("status"),
        "rows": verdict.get("rows"),
        "quarantined_rows": verdict.get("quarantined_rows"),
        "drift": drift.get("status"),
        "drivers": drift.get("drivers", [])[:5],
        "kinds": kinds_of(watched),
        "performance": performance.get("status"),
        "metric": performance.get("metric"),
    }
