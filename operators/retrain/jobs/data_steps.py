"""The steps of a new partition: validate, profile, drift, performance, report."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from retrain.exceptions import DataError, DigestMismatchError, UnreadableDataError
from retrain.jobs.steps import StepContext, fingerprint
from retrain.records import DataRef, DriftVerdict, ExpectationFailure, Severity, ValidationStatus, ValidationVerdict

log = logging.getLogger(__name__)

# Where no suite is declared the built-in guards still hold: readable, not empty, no column twice.
GUARDS_ONLY = {
    "name": "guards-only",
    "expectations": [
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "severity": "critical"}
    ],
}

# A model that was trained elsewhere and promoted by a person.
_UNKNOWN = "The champion was never judged here: its {what} is not known"


def validate(context: StepContext) -> dict[str, Any]:
    """Judge the partition by the declared suite; rows that break it are set aside in the store.

    An object that was deleted or replaced since it was discovered is refused, like one that cannot be parsed: an error
    would come again in every run. One that may not be read, or whose store does not answer, is an error.
    """
    from retrain.validation import validate as run_suite

    ref = DataRef.from_dict(context.required("partition", "validate"))
    inputs = context.request.inputs
    try:
        verdict = run_suite(
            ref,
            _suite(context),
            store=context.request.store,
            quarantine_limit=context.spec.quarantine_limit,
            dataset=context.spec.dataset,
            keep_copies=context.spec.keep_copies,
            pii=context.spec.pii,
            # A person has let the partition in and its schema with it: what fails is listed and stops nothing.
            waive=bool(inputs.get("released")),
            schema=inputs.get("schema") or None,
        )
    except (UnreadableDataError, DigestMismatchError) as error:
        if not isinstance(error, DigestMismatchError) and not _is_gone(error):
            raise
        log.warning("%s is refused: %s", ref.uri, error)
        failure = ExpectationFailure("readable", None, Severity.CRITICAL, reason=str(error))
        verdict = ValidationVerdict(ValidationStatus.FAIL, rows=0, failures=(failure,))
    context.note_read("validate", replace(ref, schema=(verdict.accepted or {}).get("schema") or {}))
    return verdict.to_dict()


def _suite(context: StepContext) -> Any:
    """The declared suite, found from the project's root: a file, a suite of a GX project, or a function's."""
    from retrain.validation import load_suite
    from retrain.validation.suite_objects import is_reference

    declared = context.spec.expectations
    if declared is None:
        return GUARDS_ONLY
    if declared.startswith("gx:"):
        return f"gx:{context.project_path(declared.removeprefix('gx:'))}"
    if is_reference(declared):
        return load_suite(declared, project_root=context.spec.project_root)
    return context.project_path(declared)


def profile(context: StepContext) -> dict[str, Any]:
    """Profile what validation accepted and keep the profile in the store; nothing for a refused partition."""
    from retrain import drift as drifting
    from retrain.data import storage

    if _refused(context):
        return {"uri": None}
    ref = context.partition("profile")
    spec = context.spec
    try:
        frame = context.read(ref, step="profile")
    except UnreadableDataError as error:
        # Data that was validated long ago may be gone by now; data just validated is validated again.
        if "validate" in context.outputs or not _is_gone(error):
            raise
        return {"uri": None, "reason": str(error)}
    # All columns: models that share the dataset share its profiles, and each may watch others.
    made = drifting.profile(
        frame,
        categorical=list(spec.categorical) or None,
        target=spec.target,
        pii=spec.pii,
    )
    name = fingerprint(ref.digest, spec.categorical, spec.pii, spec.target)
    uri = context.store("profiles", spec.dataset, f"{_safe(ref.partition)}-{name}.json")
    storage.write_json(uri, made.to_dict())
    return {"uri": uri, "rows": made.rows}


def labels(context: StepContext) -> dict[str, Any]:
    """Join labels that arrived apart to what validation accepted; the labelled rows go to the store."""
    from retrain.data import join_labels

    if _refused(context):
        return {"accepted": None, "reason": "Refused data"}
    features, known = context.partition("labels"), DataRef.from_dict(context.required("labels", "labels"))
    spec = context.spec
    name = fingerprint(features.digest, known.digest, spec.key, spec.target)
    joined = join_labels(
        features,
        known,
        key=spec.key,
        target=spec.target,
        uri=context.store("labelled", spec.dataset, f"{_safe(features.partition)}-{name}.parquet"),
    )
    context.note_read("labels", features)
    context.note_read("labels", known, (*spec.key, spec.target))
    if joined.reason:
        log.warning("the labels of %s are not joined: %s", features.key, joined.reason)
    return {**vars(joined), "accepted": joined.accepted.to_dict() if joined.accepted else None}


def drift(context: StepContext) -> dict[str, Any]:
    """Compare the partition's profile with the champion's; past partitions tell what variation is ordinary."""
    from retrain import drift as drifting
    from retrain.data import storage

    champion = context.request.inputs.get("champion")
    current_uri = _profile_uri(context)
    if champion is None or current_uri is None:
        nothing = context.outputs.get("profile", {}).get("reason") or "Refused data"
        return {"status": None, "summary": "No champion to compare with yet" if champion is None else nothing}
    if not champion.get("profile_uri"):
        return {"status": None, "champion": champion["version"], "summary": _UNKNOWN.format(what="training profile")}
    reference, current = _load_profile(context, champion["profile_uri"]), _load_profile(context, current_uri)
    past = context.request.inputs.get("history") or []
    history = [_load_profile(context, uri) for uri in past]
    verdict = drifting.compare(reference, current, history=history)
    name = fingerprint(champion["profile_uri"], current_uri, past, context.spec.columns)
    uri = context.store("drift", context.spec.model, f"{name}.json")
    storage.write_json(uri, verdict.to_dict())
    return {**_short(verdict), "verdict_uri": uri, "champion": champion["version"]}


def compare(context: StepContext) -> dict[str, Any]:
    """Compare two sets of data by themselves, without a champion; the whole verdict goes to the store."""
    from retrain import drift as drifting
    from retrain.data import storage

    reference = context.required("reference_data", "compare")
    current = context.required("current_data", "compare")
    verdict = drifting.compare(drifting.profile(reference), drifting.profile(current))
    for uri in (reference, current):
        context.note_read("compare", uri)
    uri = context.store("drift", "adhoc", f"{fingerprint(reference, current)}.json")
    storage.write_json(uri, verdict.to_dict())
    return {**_short(verdict), "verdict_uri": uri}


def performance(context: StepContext) -> dict[str, Any]:
    """Score the champion on the partition, if its labels are there, and judge its losses against its hold-out's.

    Data that the champion cannot predict is a result too, without a status: what validation said is not lost with it.
    """
    champion = context.request.inputs.get("champion")
    if champion is None or _refused(context):
        return {"status": None, "metric": None, "reason": "No champion to watch yet" if champion is None else "Refused"}
    if not champion.get("losses_uri"):
        return {"status": None, "metric": None, "reason": _UNKNOWN.format(what="losses on unseen rows")}
    try:
        return _performance(context, champion)
    except DataError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        log.warning("the champion %s cannot be scored: %s", champion["version"], error, exc_info=True)
        return {"status": None, "metric": None, "reason": str(error), "champion": champion["version"]}


def _performance(context: StepContext, champion: Mapping[str, Any]) -> dict[str, Any]:
    from retrain import drift as drifting
    from retrain.data import read
    from retrain.evaluation import get_metric, row_losses
    from retrain.training import load_model, predict_for_metric

    frame = context.read(_labelled(context), step="performance")
    target = context.spec.target
    if target not in frame.columns or frame[target].isna().all():
        return {"status": None, "metric": None, "reason": f"No labels ({target}) in the partition yet"}
    labelled = frame[frame[target].notna()]
    metric = get_metric(context.spec.metric)
    model = load_model(
        champion["model_uri"], tracking_uri=context.tracking_uri("performance"), digest=champion.get("digest")
    )
    predicted = predict_for_metric(model, labelled, metric.takes, pii=context.spec.pii)
    losses = row_losses(labelled[target], predicted, takes=metric.takes)
    reference = read(champion["losses_uri"])["loss"].to_numpy()
    verdict = drifting.performance(reference, losses)
    value = metric.score(labelled[target], predicted) if labelled[target].nunique() > 1 else None
    return {
        **verdict.to_dict(),
        "metric": value,
        "reference_metric": champion["metric"],
        "champion": champion["version"],
    }


def _labelled(context: StepContext) -> DataRef:
    """The partition with its labels, where these arrive apart and are joined; else what validation accepted."""
    joined = (context.outputs.get("labels") or {}).get("accepted") or context.request.inputs.get("labelled")
    return DataRef.from_dict(joined) if joined else context.partition("performance")


def report(context: StepContext) -> dict[str, Any]:
    """Draw Evidently's page when the verdict is drift; the only step that loads Evidently."""
    from retrain import drift as drifting
    from retrain.data import storage

    champion = context.request.inputs.get("champion")
    judged, current_uri = context.outputs.get("drift", {}), _profile_uri(context)
    if champion is None or current_uri is None or judged.get("status") != "drift":
        return {"uri": None}
    verdict_uri = judged["verdict_uri"]
    reference, current = _load_profile(context, champion["profile_uri"]), _load_profile(context, current_uri)
    verdict = DriftVerdict.from_dict(storage.read_json(verdict_uri))
    uri = verdict_uri.removesuffix(".json") + ".html"
    storage.write_bytes(uri, drifting.report(reference, current, verdict).encode())
    return {"uri": uri}


def _profile_uri(context: StepContext) -> str | None:
    """The profile that this job made, or the one made when another model's DAG validated the partition."""
    uri: str | None = context.outputs.get("profile", {}).get("uri") or context.request.inputs.get("profile_uri")
    return uri


def _load_profile(context: StepContext, uri: str) -> Any:
    """A stored profile, of the columns that the model watches."""
    from retrain import drift as drifting
    from retrain.data import storage

    profile = drifting.Profile.from_dict(storage.read_json(uri))
    return profile.select(context.spec.columns) if context.spec.columns else profile


def _is_gone(error: UnreadableDataError) -> bool:
    """Whether the object is not there, and not kept from us."""
    return isinstance(error.__cause__, FileNotFoundError)


def _refused(context: StepContext) -> bool:
    return bool((context.outputs.get("validate") or {}).get("status") == "fail")


def _short(verdict: DriftVerdict) -> dict[str, Any]:
    """What of a verdict is small enough for XCom and the ledger."""
    return {
        "status": verdict.status.value,
        "drivers": list(verdict.drivers[:10]),
        "checks": [f"{check.name}: {check.column}" if check.column else check.name for check in verdict.checks[:10]],
        "summary": verdict.summary,
        "rows_needed": verdict.rows_needed,
    }


def _safe(partition: str | None) -> str:
    return (partition or "all").replace("/", "_")
