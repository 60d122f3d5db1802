"""The evaluation's pictures for the page of a version: read from the store, proven, and written into the page."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrain.exceptions import RetrainError

# Ours have a tenth of it. A page is held in memory by the API server, for each reader.
LARGEST_BYTES = 1_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_TITLES = {
    "curves": "ROC, and precision against recall",
    "calibration": "Calibration",
    "residuals": "Residuals",
    "slices": "The metric per slice",
}


@dataclass(frozen=True)
class Picture:
    """A picture as a `data:` address, or why it is not there."""

    name: str
    title: str
    source: str | None = None
    missing: str = ""


def pictures(bundle: Mapping[str, Any]) -> tuple[Picture, ...]:
    """Read the pictures that the gate's event names; one that is gone, or is not what was drawn, is named as such.

    Nothing is drawn here, so that this needs no library: the job has drawn them when the verdict was known.
    """
    named: Mapping[str, Mapping[str, str]] = (bundle["ledger"].get("gate") or {}).get("pictures") or {}
    return tuple(_picture(name, one) for name, one in sorted(named.items()))


def _picture(name: str, kept: Mapping[str, str]) -> Picture:
    from retrain.data import storage

    title = _TITLES.get(name, name)
    try:
        if storage.info(kept["uri"]).size > LARGEST_BYTES:
            return Picture(name, title, missing=f"it has more than {LARGEST_BYTES:,} bytes")
        content = storage.read_bytes(kept["uri"])
    except RetrainError as error:
        return Picture(name, title, missing=str(error))
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != kept["digest"] or not content.startswith(_PNG):
        return Picture(name, title, missing="its bytes are not those that were recorded")
    return Picture(name, title, f"data:image/png;base64,{base64.b64encode(content).decode()}")
