"""The files of a model, and the digest that proves them."""

import hashlib
from pathlib import Path


def digest(folder: Path) -> str:
    """Return the SHA-256 over the names and bytes of all files, in the order of their names.

    `registered_model_meta` is left out: MLflow writes it when it downloads, by the name that was asked for.
    """
    total = hashlib.sha256()
    for path in files(folder):
        name = path.relative_to(folder).as_posix()
        total.update(f"{len(name)}:{name}:{path.stat().st_size}:".encode())
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def files(folder: Path) -> list[Path]:
    """Return the model's files, sorted."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != "registered_model_meta"]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
