"""Bundles of evidence in the store, named by their content, where a task's link finds the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from retrain.audit.evidence import to_text
from retrain.audit.page import render
from retrain.audit.pictures import pictures


@dataclass(frozen=True)
class Kept:
    """Where a bundle and its page lie."""

    bundle_uri: str
    page_uri: str
    digest: str


def keep(document: Mapping[str, Any], store: str) -> Kept:
    """Write a bundle and its page as `<store>/evidence/<model>/<version>-<digest>.json` and `.html`."""
    from retrain.data import storage

    model, version = (quote(str(document[name]), safe="") for name in ("model", "version"))
    stem = storage.join(store, "evidence", model, f"{version}-{document['digest'].removeprefix('sha256:')[:16]}")
    page = storage.write_bytes(f"{stem}.html", render(document, pictures(document)).encode())
    return Kept(storage.write_bytes(f"{stem}.json", to_text(document).encode()), page, document["digest"])
