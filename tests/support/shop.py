"""A shop that keeps a model fresh: feed, ledger and store, and retrain's operators run on them one by one."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from retrain.data import write_parquet
from retrain.ledger import ClaimState, Ledger
from retrain.loop.streams import validate_work, watch_work
from retrain.operators import PartitionDiscoverOperator, PartitionIngestOperator
from tests.support.airflow_tasks import context
from tests.support.project import Project, orders

SUITE = {
    "name": "orders",
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "items", "min_value": 0},
            "severity": "critical",
        },
        {"type": "expect_column_to_exist", "kwargs": {"column": "shop"}, "severity": "critical"},
    ],
}
# Nobody listens there.
DEAD = "http://127.0.0.1:9"


class Shop:
    """A user's project with a suite, a feed, a ledger, and the operators on them."""

    def __init__(self, root: Path, project: Project) -> None:
        self.root, self.project = root, project
        self.feed = root / "feed"
        project.write("suite.json", json.dumps(SUITE))
        self.suite = project.root / project.package / "suite.json"
        self.ledger = Ledger.open(f"sqlite:///{root}/ledger.db", migrate=True)
        self.store = (root / "store").as_uri()
        self.options: dict[str, Any] = {}
        self.spec = project.spec(
            data=f"{self.feed}/{{partition}}.parquet", expectations=f"{project.package}/suite.json", margin=0.5,
            project_root=str(project.root),
        )  # fmt: skip

    def land(self, name: str, frame: pd.DataFrame | bytes | None = None, seed: int = 0) -> None:
        path = self.feed / f"{name}.parquet"
        if isinstance(frame, bytes):
            self.feed.mkdir(exist_ok=True)
            path.write_bytes(frame)
        else:
            write_parquet(orders(300, seed) if frame is None else frame, str(path))

    def run(self, kind: type, task_id: str, task: dict[str, Any] | None = None, **options: Any) -> Any:
        """Execute an operator and send its answer through JSON, as XCom does."""
        common = {"spec": self.spec, "store": self.store, **self.options}
        task = task or context(task_id, dag_id=f"{self.spec.model}.data")
        return json.loads(json.dumps(kind(task_id=task_id, **{**common, **options}).execute(task)))

    def discover(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.run(PartitionDiscoverOperator, "discover")
        return found

    def ingest(self, partition: dict[str, Any], **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.run(PartitionIngestOperator, "ingest", partition=partition, **options)
        return found

    def claims(self, key: str) -> list[ClaimState | None]:
        """The states of the claims on a partition: the model's, the dataset's."""
        works = (watch_work(self.spec.model, key), validate_work(self.spec.dataset, key))
        return [found.state if (found := self.ledger.get_claim(work)) else None for work in works]
