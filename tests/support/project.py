"""A small user project on disk: a package with a preparation, a training function and a lookup file, and its data."""

import textwrap
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retrain.data import write_parquet
from retrain.records import DataRef, ModelSpec, Snapshot

FEATURES = """
import json
from pathlib import Path
import pandas as pd
from {package}.orders.helpers import hour

def prepare(frame):
    from {package}.orders import late
    holidays = json.loads(Path(__file__).with_name("holidays.json").read_text())
    return pd.DataFrame({{
        "hour": hour(frame["placed_at"]),
        "holiday": frame["placed_at"].dt.strftime("%m-%d").isin(holidays).astype(int),
        "shop": frame["shop"].astype("category"),
        "amount": frame["amount"] * late.FACTOR,
        "items": frame["items"],
    }})
"""
TRAIN = """
from sklearn.ensemble import HistGradientBoostingClassifier

def fit(data, params):
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0, max_iter=20, **params)
    return model.fit(data.features, data.target)
"""


class Project:
    """A project root with one package of a name that no other test uses."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = f"project_{uuid.uuid4().hex[:8]}"
        self.write("orders/features.py", FEATURES)
        self.write("orders/helpers.py", "def hour(column):\n    return column.dt.hour\n")
        self.write("orders/late.py", "FACTOR = 2\n")
        self.write("orders/holidays.json", '["01-01"]')
        self.write("orders/train.py", TRAIN)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the package; {package} in it is the package's name."""
        path = self.root / self.package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = textwrap.dedent(text)
        path.write_text(text.format(package=self.package) if "{package}" in text else text, encoding="utf-8")
        return path

    def reference(self, name: str) -> str:
        """Return `<package>.orders.<name>`."""
        return f"{self.package}.orders.{name}"

    def spec(self, **changes: Any) -> ModelSpec:
        """Return the declaration of the project's model, named like its package."""
        fields: dict[str, Any] = {
            "model": self.package,
            "dataset": "orders",
            "data": str(self.root / "data" / "{partition}.parquet"),
            "target": "returned",
            "train": self.reference("train:fit"),
            "prepare": self.reference("features:prepare"),
            "metric": "roc_auc",
            "project_root": str(self.root),
        }
        return ModelSpec(**{**fields, **changes})

    def partition(self, name: str, frame: pd.DataFrame, version: int = 1) -> DataRef:
        """Store a partition."""
        uri = str(self.root / "data" / f"{name}-{version}.parquet")
        return write_parquet(frame, uri, partition=name, version=version)

    def snapshot(self, *names: str, rows: int = 300) -> Snapshot:
        """Store partitions of orders and return the snapshot of them."""
        return Snapshot(
            "orders", tuple(self.partition(name, orders(rows, seed=index)) for index, name in enumerate(names))
        )


def orders(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """Return orders with dates, text, numbers with and without gaps, and a column that is only known afterwards."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "placed_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**7, rows), unit="s"),
            "shop": rng.choice(["north", "south", "west"], rows),
            "amount": rng.normal(10, 5, rows),
            "items": rng.integers(1, 9, rows),
            "refunded": rng.integers(0, 2, rows),
        }
    )
    noise = rng.normal(0, 3, rows)
    frame.loc[rng.random(rows) < 0.05, "amount"] = np.nan
    frame.loc[rng.random(rows) < 0.05, "shop"] = None
    frame["returned"] = ((frame["amount"].fillna(10) + frame["items"] + noise) > 15).astype(int)
    return frame
