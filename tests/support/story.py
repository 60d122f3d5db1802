"""A model's record as the loop writes it, without training anything: events in a ledger, manifests in a store."""

import hashlib
from pathlib import Path
from typing import Any

from retrain.data import save_snapshot
from retrain.ledger import Event, Ledger
from retrain.records import DataRef, Snapshot

MODEL, DATASET = "returns", "orders"


def digest(text: str) -> str:
    """Return a digest that looks like one."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class Story:
    """Tell what happened to a model; every method appends what the loop would."""

    def __init__(self, root: Path) -> None:
        self.url = f"sqlite:///{root}/ledger.db"
        # A copy of a migrated one is there much faster.
        self.ledger = Ledger.open(self.url, migrate=not (root / "ledger.db").exists())
        self.store = (root / "store").as_uri()
        self.refs: dict[str, DataRef] = {}

    def append(self, stream: str, kind: str, key: str, payload: dict[str, Any], actor: str | None = None) -> Event:
        return self.ledger.append(stream, kind, key, payload, actor=actor).event

    def partition(self, name: str, version: int = 1, *, ref: DataRef | None = None, **arrived: Any) -> DataRef:
        """A partition arrives and is accepted, three of its rows set aside."""
        key = f"{name}@v{version}"
        ref = ref or DataRef(
            f"{self.store}/accepted/{key}", "parquet", name, version, digest(key), 97, 970, {"id": "int64"}
        )
        self.refs[key] = ref
        source = {"partition": name, "version": version, "uri": f"file:///feed/{name}", "digest": digest(f"raw {key}")}
        self.append(f"dataset:{DATASET}", "arrived", key, {**source, **arrived})
        verdict = {
            "partition": name, "version": version, "status": "warn", "rows": 100, "quarantined_rows": 3,
            "accepted": ref.to_dict(), "profile_uri": None,
            "failures": [
                {"expectation": "expect_x", "column": "items", "severity": "critical", "reason": "3 of 100 <b>"}
            ],
        }  # fmt: skip
        self.append(f"dataset:{DATASET}", "validated", key, verdict, actor="dag:returns.data")
        return ref

    def judged(
        self, version: str, trained: list[str], holdout: list[str], *, against: str | None = None,
        status: str = "pass", **more: Any,
    ) -> Event:  # fmt: skip
        """A decision asks for a training, and a version is trained on `trained` and judged on `holdout` (keys)."""
        run = f"returns.train/run-{version}"
        reasons = ["new data: 3 of 3", f"because of {version}"]
        self.append(
            f"model:{MODEL}", "decided", f"returns.data/run-{version}",
            {"retrain": True, "trigger": "new_data", "reasons": reasons}, actor="dag:returns.data",
        )  # fmt: skip
        snapshot = Snapshot(DATASET, tuple(self.refs[key] for key in trained))
        origin = {
            "dag_id": "returns.train",
            "run_id": f"run-{version}",
            "task_id": "train",
            "bundle": "git",
            "bundle_version": "c0ffee",
        }
        reads = [{"uri": self.refs[key].uri, "digest": self.refs[key].digest, "partition": self.refs[key].partition,
                  "version": 1, "steps": ["train"], "columns": None} for key in trained]  # fmt: skip
        self.append(
            f"model:{MODEL}", "read", f"{run}/train/1",
            {"reads": reads, "columns": [], "origin": origin, "status": "succeeded"},
        )  # fmt: skip
        payload = {
            "version": version,
            "champion": against,
            "verdict": {
                "status": status, "metric": "roc_auc", "rule": "non_inferior", "margin": 0.01, "confidence": 0.95,
                "reasons": [f"0.7 against 0.69: {status}"], "rows": 97, "challenger": 0.7, "champion": 0.69,
                "difference": 0.01, "interval": [0.001, 0.019],
            },
            "requests": [{"key": f"returns.data/run-{version}", "trigger": "new_data", "reason": "; ".join(reasons),
                          "params": {}, "actor": "dag:returns.data"}],
            "run_id": f"mlflow-{version}",
            "model_uri": f"models:/m-{version}",
            "training_key": f"key-{version}",
            "frame": None,
            "profile_uri": None,
            "snapshot_uri": save_snapshot(snapshot, self.store),
            "partitions": [str(ref.partition) for ref in snapshot.partitions],
            "known": [*trained, *holdout],
            "holdout": holdout,
            "metric_name": "roc_auc",
            "metric": 0.7,
            "champion_metric": 0.69,
            **more,
        }  # fmt: skip
        return self.append(f"model:{MODEL}", "judged", run, payload, actor="dag:returns.train")

    def change(self, version: str, previous: str | None, kind: str = "promoted", **more: Any) -> Event:
        payload = {"version": version, "previous": previous, "reason": f"why {version}", **more}
        key = f"{version}#{sum(1 for _ in self.ledger.events(f'model:{MODEL}'))}"
        return self.append(f"model:{MODEL}", kind, key, payload, actor="ana" if kind == "rolled_back" else "dag:x")

    def watched(self, key: str, champion: str) -> Event:
        drift = {"status": "drift", "drivers": ["items"], "summary": "items moved", "champion": champion}
        performance = {
            "status": "ok",
            "metric": 0.68,
            "reference_metric": 0.7,
            "reason": "no worse",
            "champion": champion,
        }
        return self.append(f"model:{MODEL}", "watched", key, {"drift": drift, "performance": performance})

    def three_versions(self) -> "Story":
        """Version 1 and 2 are promoted, 3 fails its gate, 1 comes back by a rollback."""
        for month in ("2024-01", "2024-02", "2024-03", "2024-04"):
            self.partition(month)
        self.judged("1", ["2024-01@v1"], ["2024-02@v1"])
        self.change("1", None)
        self.watched("2024-03@v1", "1")
        self.judged("2", ["2024-01@v1", "2024-02@v1"], ["2024-03@v1"], against="1")
        self.change("2", "1")
        self.watched("2024-04@v1", "2")
        self.judged("3", ["2024-01@v1", "2024-02@v1", "2024-03@v1"], ["2024-04@v1"], against="2", status="fail")
        self.change("1", "2", "rolled_back")
        return self
