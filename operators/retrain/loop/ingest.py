"""Ingesting one partition version: which job it needs, and what of the result becomes the record."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError
from retrain.loop.facts import accepted_partitions, champion_inputs, profile_options, shared_profile
from retrain.loop.streams import Kind, dataset_stream, model_stream
from retrain.records import JobResult, ModelSpec

if TYPE_CHECKING:
    from retrain.ledger import Claim, Ledger

WATCH_STEPS = ("drift", "performance")
NEW_STEPS = ("validate", "profile", *WATCH_STEPS)
# How many past partitions tell what ordinary variation is; at monthly partitions, a year.
PAST_PROFILES = 12
# What of a verdict on the data is kept in the ledger and shown in XCom; the rest lies in the store.
VALIDATED_FIELDS = ("status", "rows", "quarantined_rows", "quarantine_uri", "result_uri", "accepted", "expectations")


def is_validated(ledger: "Ledger", spec: ModelSpec, key: str) -> bool:
    """Say whether the dataset's verdict on this partition version exists, from whichever model's DAG."""
    return ledger.get(dataset_stream(spec.dataset), Kind.VALIDATED, key) is not None


def outcome(ledger: "Ledger", spec: ModelSpec, key: str) -> dict[str, Any] | None:
    """Return what an earlier try committed for this model and partition version, if any."""
    watched = ledger.get(model_stream(spec.model), Kind.WATCHED, key)
    return _outcome(ledger, spec, key, watched.payload) if watched else None


def job(
    ledger: "Ledger", spec: ModelSpec, key: str, *, draw_report: bool = False
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the steps and inputs of the job: everything for new data, only the watching for data already judged.

    Where the profile of judged data was made with other options than the model's, the model makes its own.
    """
    stream = dataset_stream(spec.dataset)
    accepted = accepted_partitions(ledger, spec.dataset, spec)
    past = [one.profile_uri for one in accepted if one.key != key and one.profile_uri]
    inputs: dict[str, Any] = {"champion": champion_inputs(ledger, spec.model), "history": past[-PAST_PROFILES:]}
    extra = ("report",) if draw_report else ()
    if (validated := ledger.get(stream, Kind.VALIDATED, key)) is not None:
        inputs["partition"] = validated.payload["accepted"]
        inputs["profile_uri"] = shared_profile(validated.payload, spec)
        steps = WATCH_STEPS if inputs["profile_uri"] else ("profile", *WATCH_STEPS)
        return (steps + extra if inputs["partition"] else ()), inputs
    arrived = ledger.get(stream, Kind.ARRIVED, key)
    if arrived is None:
        raise DataError(
            f"the partition {key} of {spec.dataset} is not in the ledger",
            expected="one that was discovered",
            remedy="Run the discovery task, or correct the partition's name",
        )
    wanted = ("partition", "version", "uri", "format", "digest", "bytes")
    inputs["partition"] = {name: arrived.payload[name] for name in wanted}
    return NEW_STEPS + extra, inputs


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
    made = {"profile_uri": outputs.get("profile", {}).get("uri"), "profile_options": profile_options(spec)}
    if "validate" in outputs:
        verdict = outputs["validate"]
        payload = {
            **_identity(key),
            **{name: verdict.get(name) for name in VALIDATED_FIELDS},
            "accepted": None if verdict["status"] == "fail" else verdict["accepted"],
            "failures": list(verdict["failures"])[:50],
            **made,
        }
        entries.append(Entry(dataset_stream(spec.dataset), Kind.VALIDATED, key, payload, actor=actor))
    watched = {
        **_identity(key),
        "drift": outputs.get("drift"),
        "performance": outputs.get("performance"),
        "report_uri": (outputs.get("report") or {}).get("uri"),
        # Of its own, beside the dataset's.
        **(made if made["profile_uri"] and "validate" not in outputs else {}),
    }
    entries.append(Entry(model_stream(spec.model), Kind.WATCHED, key, watched, actor=actor))
    ledger.append_all(entries, claims=[claim for claim in claims if claim is not None])
    return _outcome(ledger, spec, key, watched)


def _outcome(ledger: "Ledger", spec: ModelSpec, key: str, watched: Mapping[str, Any]) -> dict[str, Any]:
    validated = ledger.get(dataset_stream(spec.dataset), Kind.VALIDATED, key)
    verdict = validated.payload if validated else {}
    drift, performance = watched.get("drift") or {}, watched.get("performance") or {}
    return {
        **_identity(key),
        "validation": verdict.get("status"),
        "rows": verdict.get("rows"),
        "quarantined_rows": verdict.get("quarantined_rows"),
        "drift": drift.get("status"),
        "drivers": drift.get("drivers", [])[:5],
        "performance": performance.get("status"),
        "metric": performance.get("metric"),
    }


def _identity(key: str) -> dict[str, Any]:
    partition, _, version = key.rpartition("@v")
    return {"partition": partition, "version": int(version)}
