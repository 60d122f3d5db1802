"""The steps of a release: whether a registered version still is what was registered, and whether it loads."""

from typing import Any

from retrain.exceptions import DataError
from retrain.jobs.steps import StepContext
from retrain.records import GateStatus
from retrain.serving.declaration import Serving
from retrain.serving.verdict import Limits, Parity, ServingMode, ServingVerdict, failed

# A rollback has a minute in all; what takes longer to load is no help in an emergency.
CHECK_SECONDS = 45.0
# Of the verdict, what the ledger keeps with a rollback.
KEPT = ("status", "mode", "reasons", "digest", "python", "load_seconds", "p50_ms", "memory_bytes", "requests")


def check_loads(context: StepContext) -> dict[str, Any]:
    """Load versions in a clean process each, feed them their input example, and compare their bytes with those known.

    The process is of the interpreter that the serving check declares, in a container where it declares an image. The
    input `models` has `model_uri` and `digest` by version; returned is a verdict by version.
    """
    seconds = float(context.request.inputs.get("seconds") or CHECK_SECONDS)
    uri, declared = context.tracking_uri("check_loads"), Serving.from_dict(context.spec.serving or {})
    return {
        version: loads(
            one["model_uri"],
            tracking_uri=uri,
            digest=one.get("digest"),
            seconds=seconds,
            python=declared.python,
            image=declared.image,
        )
        for version, one in context.required("models", "check_loads").items()
    }


def check_bytes(context: StepContext) -> dict[str, Any]:
    """Compare a version's bytes with those that were registered, without loading it."""
    import tempfile
    from pathlib import Path

    from retrain.serving import artifact

    model_uri, recorded = context.required("model_uri", "check_bytes"), context.required("digest", "check_bytes")
    with tempfile.TemporaryDirectory(prefix="retrain-bytes-") as folder:
        try:
            found = artifact.digest(artifact.fetch(model_uri, Path(folder), context.tracking_uri("check_bytes")))
        except DataError as error:
            return {"status": GateStatus.FAIL.value, "digest": None, "reasons": [str(error)]}
    if found == recorded:
        return {"status": GateStatus.PASS.value, "digest": found, "reasons": [f"digest {found}"]}
    reason = f"the artifact's bytes are not those that were recorded: {found}, not {recorded}"
    return {"status": GateStatus.FAIL.value, "digest": found, "reasons": [reason]}


def loads(
    model_uri: str,
    *,
    tracking_uri: str,
    digest: str | None,
    seconds: float = CHECK_SECONDS,
    python: str | None = None,
    image: str | None = None,
) -> dict[str, Any]:
    """Say whether a registered version loads and answers, within `seconds`; an artifact that is gone is a verdict too.

    It is loaded in a process of its own: of `python` (default: this interpreter), in a container of `image` if one is
    named. How alike the packages are is not judged: the version was in production, and what counts is whether it works
    now.
    """
    from retrain.serving import check

    mode = ServingMode.DOCKER if image else ServingMode.PROCESS
    limits = Limits(parity=Parity.IGNORE, load_seconds=seconds, total_seconds=seconds, calls=20)
    try:
        verdict = check(
            model_uri, python=python, image=image, mode=mode, tracking_uri=tracking_uri, digest=digest, limits=limits
        )
    except DataError as error:
        gone = failed("artifact", str(error))
        verdict = ServingVerdict(GateStatus.FAIL, mode, model_uri, "", (f"artifact: {gone.reason}",), (gone,))
    document = verdict.to_dict()
    return {name: document[name] for name in KEPT}
