from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retrain.data import write_parquet
from retrain.records import DataRef, JobRequest, ModelSpec


class Desk:
    """A store and two small partitions, and the documents that ask for jobs on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = (root / "store").as_uri()
        self.reference = self.partition("2024-01", 0)
        self.current = self.partition("2024-02", 40)

    def partition(self, name: str, shift: int) -> DataRef:
        frame = pd.DataFrame({"amount": [float(n % 17 + shift) for n in range(400)], "y": [n % 2 for n in range(400)]})
        return write_parquet(frame, str(self.root / "data" / f"{name}.parquet"), partition=name, version=1)

    def request(self, *steps: str, **changes: Any) -> JobRequest:
        spec = ModelSpec(
            model="m", dataset="d", data=f"{self.root}/data/{{partition}}.parquet", target="y", train="a:b",
            metric="roc_auc", project_root=str(self.root),
        )  # fmt: skip
        fields = {"steps": steps, "spec": spec, "store": self.store, "inputs": self.both()}
        return JobRequest(**{**fields, **changes})

    def both(self) -> dict[str, Any]:
        return {"reference_data": self.reference.uri, "current_data": self.current.uri}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
