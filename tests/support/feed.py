"""A feed of orders through arrival and validation into a ledger and a store, without Great Expectations."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from retrain.data import read, write_parquet
from retrain.data.writers import to_table
from retrain.ledger import Ledger
from retrain.loop import accepted_partitions, ingest, pending_partitions, register_arrivals
from retrain.loop.quarantine import drop, quarantined, release
from retrain.loop.streams import partition_key
from retrain.records import DataRef, JobResult, JobStatus, ModelSpec
from retrain.validation.quarantine import write_accepted, write_quarantined


@dataclass
class Feed:
    """Orders that land as Parquet, each row with a number of its own, and validations that break the rows named."""

    folder: Path
    ledger: Ledger
    dataset: str = "orders"
    rows: dict[str, list[int]] = field(default_factory=dict)
    numbers: int = 0

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec(
            model=f"returns-{self.dataset}", dataset=self.dataset, data=f"{self.folder}/{{partition}}.parquet",
            target="id", train="a:fit", metric="roc_auc", project_root="/project",
        )  # fmt: skip

    @property
    def store(self) -> str:
        return str(self.folder / "store")

    def land(self, name: str, count: int = 4) -> None:
        """A new file, or a corrected one: other rows under the same name."""
        numbers = list(range(self.numbers, self.numbers + count))
        self.numbers += count
        self.rows[name] = numbers
        frame = pd.DataFrame(
            {"id": numbers, "who": [f"buyer {n}" for n in numbers], "amount": [n / 7 for n in numbers]}
        )
        write_parquet(frame, f"{self.folder}/{name}.parquet")
        register_arrivals(self.ledger, self.dataset, self.spec.data)

    def validate(self, broken: set[int] | None = None, limit: float = 0.5) -> None:
        """Take in what is pending, as the data DAG does; of each partition the rows at `broken` break something."""
        for one in pending_partitions(self.ledger, self.spec):
            key = partition_key(one["partition"], one["version"])
            steps, inputs = ingest.job(self.ledger, self.spec, key)
            assert steps[0] == "validate"
            verdict = self.judge(DataRef.from_dict(inputs["partition"]), inputs["released"], broken or set(), limit)
            result = JobResult(JobStatus.SUCCEEDED, {"validate": verdict})
            ingest.commit(self.ledger, self.spec, key, result, [], actor="test")

    def judge(self, ref: DataRef, waive: bool, broken: set[int], limit: float) -> dict[str, Any]:
        frame = read(ref)
        table = to_table(frame)
        bad = {} if waive else {row: ["expect_x(amount)"] for row in broken if row < len(frame)}
        whole = len(bad) > limit * len(frame)
        folder = f"{self.store}/{{}}/{self.dataset}/{ref.partition}-{ref.version}.parquet"
        aside = write_quarantined(table, bad, folder.format("quarantine"), whole=whole, pii=("who",)) if bad else None
        accepted = write_accepted(table, bad, folder.format("accepted"), ref) if bad else ref
        return {
            "status": "fail" if whole else "warn" if bad else "pass",
            "rows": len(frame),
            "quarantined_rows": aside.rows if aside else 0,
            "quarantine_uri": aside.uri if aside else None,
            "accepted": None if whole else accepted.to_dict(),
            "result_uri": f"{self.store}/validation/{self.dataset}/{ref.partition}-{ref.version}.json",
            "failures": [{"expectation": "expect_x", "column": "amount"}] if bad else [],
        }

    def refuse(self) -> None:
        """Take in what is pending, of which nothing can be parsed."""
        failure = {"expectation": "readable", "column": None, "reason": "it is truncated"}
        verdict: dict[str, Any] = {
            "status": "fail",
            "rows": 0,
            "quarantined_rows": 0,
            "accepted": None,
            "failures": [failure],
        }
        verdict["result_uri"] = f"{self.store}/validation/{self.dataset}.json"
        for one in pending_partitions(self.ledger, self.spec):
            key = partition_key(one["partition"], one["version"])
            result = JobResult(JobStatus.SUCCEEDED, {"validate": verdict})
            ingest.commit(self.ledger, self.spec, key, result, [], actor="test")

    def release(self, key: str, actor: str = "ana", reason: str = "checked by hand") -> dict[str, Any]:
        return release(self.ledger, self.dataset, key, actor=actor, reason=reason, store=self.store)

    def drop(self, key: str, actor: str = "ana", reason: str = "test orders", **options: Any) -> dict[str, Any]:
        return drop(self.ledger, self.dataset, key, actor=actor, reason=reason, **options)

    def accepted(self) -> dict[str, list[int]]:
        """The rows that training would get, by partition version."""
        return {one.key: list(read(one.ref)["id"]) for one in accepted_partitions(self.ledger, self.dataset)}

    def open(self) -> list[str]:
        return [one.key for one in quarantined(self.ledger, self.dataset)]
