"""The steps of a new partition: validate, profile, labels, drift; and a comparison by itself."""

import logging
from dataclasses import replace
from typing import Any

from retrain.exceptions import DigestMismatchError, UnreadableDataError
from retrain.jobs.steps import UNKNOWN, StepContext, fingerprint, is_refused, object_name, short_verdict
from retrain.records import DataRef, ExpectationFailure, Severity, ValidationStatus, ValidationVerdict

log = logging.getLogger(__name__)

# Compressed; as a frame it is several times that.
STREAMED_BYTES = 100_000_000

# Where no suite is declared the built-in guards still hold: readable, not empty, no column twice.
GUARDS_ONLY = {
    "name": "guards-only",
    "expectations": [
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "severity": "critical"}
    ],
}


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

    if is_refused(context):
        return {"uri": None}
    ref = context.partition("profile")
    spec = context.spec
    try:
        # A large partition is streamed; a small one is read once, for the champion to be scored on as well.
        large = (ref.bytes or 0) > STREAMED_BYTES
        # All columns: models that share the dataset share its profiles, and each may watch others.
        made = drifting.profile(
            ref if large else context.read(ref, step="profile"),
            categorical=list(spec.categorical) or None,
            target=spec.target,
            pii=spec.pii,
        )
        if large:
            context.note_read("profile", ref)
    except UnreadableDataError as error:
        # Data that was validated long ago may be gone by now; data just validated is validated again.
        if "validate" in context.outputs or not _is_gone(error):
            raise
        return {"uri": None, "reason": str(error)}
    name = fingerprint(ref.digest, spec.categorical, spec.pii, spec.target)
    uri = context.store("profiles", spec.dataset, f"{object_name(ref)}-{name}.json")
    storage.write_json(uri, made.to_dict())
    return {"uri": uri, "rows": made.rows}


def labels(context: StepContext) -> dict[str, Any]:
    """Join labels that arrived apart to what validation accepted; the labelled rows go to the store."""
    from retrain.data import join_labels

    if is_refused(context):
        return {"accepted": None, "reason": "Refused data"}
    features, known = context.partition("labels"), DataRef.from_dict(context.required("labels", "labels"))
    spec = context.spec
    name = fingerprint(features.digest, known.digest, spec.key, spec.target)
    joined = join_labels(
        features,
        known,
        key=spec.key,
        target=spec.target,
        uri=context.store("labelled", spec.dataset, f"{object_name(features)}-{name}.parquet"),
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
    from retrain.jobs.report_steps import load_profile, profile_uri, watched_profiles

    champion = context.request.inputs.get("champion")
    current_uri = profile_uri(context)
    if champion is None or current_uri is None:
        nothing = context.outputs.get("profile", {}).get("reason") or "Refused data"
        return {"status": None, "summary": "No champion to compare with yet" if champion is None else nothing}
    if not champion.get("profile_uri"):
        return {"status": None, "champion": champion["version"], "summary": UNKNOWN.format(what="training profile")}
    reference, current = watched_profiles(context, champion["profile_uri"], current_uri)
    past = context.request.inputs.get("history") or []
    history = [load_profile(context, uri) for uri in past]
    verdict = drifting.compare(reference, current, history=history)
    name = fingerprint(champion["profile_uri"], current_uri, past, context.spec.columns)
    uri = context.store("drift", context.spec.model, f"{name}.json")
    storage.write_json(uri, verdict.to_dict())
    return {**short_verdict(verdict), "verdict_uri": uri, "champion": champion["version"]}


def compare(context: StepContext) -> dict[str, Any]:
    """Compare two sets of data by themselves, without a champion; the whole verdict goes to the store."""
    from retrain import drift as drifting
    from retrain.data import storage
    from retrain.jobs.report_steps import draw

    reference = context.required("reference_data", "compare")
    current = context.required("current_data", "compare")
    profiles = drifting.profile(reference), drifting.profile(current)
    verdict = drifting.compare(*profiles)
    for uri in (reference, current):
        context.note_read("compare", uri)
    uri = context.store("drift", "adhoc", f"{fingerprint(reference, current)}.json")
    storage.write_json(uri, verdict.to_dict())
    pages = draw(profiles, verdict, uri, evidently=bool(context.request.inputs.get("draw_report")))
    return {**short_verdict(verdict), "verdict_uri": uri, **pages}


def _is_gone(error: UnreadableDataError) -> bool:
    """Whether the object is not there, and not kept from us."""
    return isinstance(error.__cause__, FileNotFoundError)
