from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrain.ledger import Ledger
from retrain.loop import register_arrivals
from retrain.records import ModelSpec


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db", migrate=True) as opened:
        yield opened


class Feed:
    """A folder in which files land, and the ledger that is told."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        folder.mkdir()
        self.folder = folder
        self.ledger = ledger
        self.template = f"{folder}/{{partition}}.parquet"

    def land(self, name: str, content: str | None = None) -> Path:
        """Write a file under its final name; content is what only bytes look at."""
        path = self.folder / f"{name}.parquet"
        unfinished = self.folder / f".{name}.tmp"
        unfinished.write_text(content or f"rows of {name}")
        unfinished.replace(path)
        return path

    def discover(self) -> list[str]:
        """Register arrivals; return the keys of the new ones."""
        found = register_arrivals(self.ledger, "orders", self.template)
        return [f"{payload['partition']}@v{payload['version']}" for payload in found]


@pytest.fixture
def feed(tmp_path: Path, ledger: Ledger) -> Feed:
    return Feed(tmp_path / "feed", ledger)


@pytest.fixture
def spec(feed: Feed) -> ModelSpec:
    return declared(data=feed.template)


def declared(**changes: Any) -> ModelSpec:
    fields: dict[str, Any] = {
        "model": "returns", "dataset": "orders", "data": "/feed/{partition}.parquet", "target": "returned",
        "train": "a:fit", "metric": "roc_auc", "project_root": "/project",
    }  # fmt: skip
    return ModelSpec(**{**fields, **changes})
