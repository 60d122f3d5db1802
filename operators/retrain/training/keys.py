"""The key of a training: equal keys mean that training again would make the same model."""

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from retrain.exceptions import DeclarationError
from retrain.records import ModelSpec

# Raised when the packaging changes so that a model made before must be made again.
_PACKAGING = 1
_LIBRARIES = ("lightgbm", "numpy", "pandas", "scikit-learn", "skops", "xgboost")
# Beside them: what reads, packs and logs, and cannot change what is learned.
_BESIDE = ("joblib", "mlflow", "pyarrow", "scipy")


def training_key(
    spec: ModelSpec,
    *,
    snapshot_digest: str,
    params: Mapping[str, Any],
    code_digest: str,
    versions: Mapping[str, str] | None = None,
) -> str:
    """Return 64 hex digits over everything that decides what a training makes.

    `versions` are those of Python and of the numeric libraries, by default the installed ones. What only decides how a
    model is judged (metric, margin, hold-out) is not part of the key.
    """
    body = {
        "code": code_digest,
        "declaration": [spec.model, spec.dataset, spec.target, spec.train, spec.prepare, spec.key, spec.event_time],
        "packaging": _PACKAGING,
        "params": params,
        "snapshot": snapshot_digest,
        # Only where there is one: other models keep the keys that they have.
        **({"query": spec.query} if spec.query else {}),
        "versions": dict(versions if versions is not None else library_versions()),
    }
    try:
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DeclarationError(
            f"the parameters of {spec.model} are not JSON: {error}",
            expected="strings, finite numbers, booleans, None, lists and objects",
            remedy="Correct params= in the declaration",
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """Return the versions of Python (major.minor) and of the installed numeric libraries."""
    return {"python": ".".join(platform.python_version_tuple()[:2]), **_installed(_LIBRARIES)}


def environment() -> dict[str, str]:
    """Return the whole version of Python and those of all libraries that a training uses: evidence, and no key."""
    return {"python": platform.python_version(), **_installed(sorted((*_LIBRARIES, *_BESIDE)))}


def _installed(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
