"""Everything that a feed gets wrong: how each bad object is made, and the loop's way in, which is to withstand it."""

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retrain.jobs import run_job
from retrain.ledger import Ledger
from retrain.loop import ingest, pending_partitions, register_arrivals
from retrain.loop.streams import partition_key
from retrain.records import JobRequest, JobStatus, ModelSpec

ROWS = 200
SUITE = {
    "name": "orders",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}, "severity": "critical"},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}, "severity": "critical"},
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "amount", "min_value": 0, "max_value": 1000},
            "severity": "critical",
        },
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "placed_at", "min_value": "2020-01-01", "max_value": "2030-01-01"},
            "severity": "critical",
        },
        {
            "type": "expect_column_unique_value_count_to_be_between",
            "kwargs": {"column": "shop", "min_value": 2, "max_value": 400},
            "severity": "warning",
        },
    ],
}


def good(rows: int = ROWS) -> pd.DataFrame:
    """Make orders that nothing is wrong with."""
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "amount": rng.uniform(1, 99, rows).round(2),
            "shop": rng.choice(["north", "south", "east"], rows),
            "placed_at": pd.Timestamp("2024-02-01") + pd.to_timedelta(rng.integers(0, 28 * 24, rows), unit="h"),
            "late": rng.integers(0, 2, rows),
        }
    )


def _parquet(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[], bytes]:
    def make() -> bytes:
        return change(good()).to_parquet(None, index=False)

    return make


def _csv(change: Callable[[str], Any] = lambda text: text) -> Callable[[], bytes]:
    def make() -> bytes:
        text = change(good().to_csv(index=False, lineterminator="\n"))
        return text if isinstance(text, bytes) else text.encode()

    return make


def _corrupt_parquet() -> bytes:
    content = bytearray(good().to_parquet(None, index=False))
    middle = len(content) // 4
    content[middle : middle + 200] = bytes(200)
    return bytes(content)


def _many_levels(frame: pd.DataFrame) -> pd.DataFrame:
    rows = pd.concat([frame] * 3, ignore_index=True).assign(id=np.arange(3 * len(frame)))
    return rows.assign(shop=[f"shop-{number % 300}" for number in range(len(rows))])


def _ragged(text: str, row: str) -> str:
    lines = text.splitlines()
    lines[5] = row
    return "\n".join(lines) + "\n"


def _quoted_newline(text: str) -> str:
    return text.replace("north", '"north\nside"')


@dataclass(frozen=True)
class Case:
    """One bad object: its bytes under `file`; `status` is the verdict that must come, `names` what the failures are."""

    name: str
    file: str
    content: Callable[[], bytes]
    status: str
    names: tuple[str, ...] = ()


PARQUET, CSV = "2024-02.parquet", "2024-02.csv"
_BETWEEN = "expect_column_values_to_be_between"
_DISTINCT = "expect_column_unique_value_count_to_be_between"
_ODD_NAMES = ("a b", "größe", "a/b", "../x", "{{ ds }}", "<b>", "")


def _csv_row(row: str) -> Callable[[], bytes]:
    return _csv(lambda text: _ragged(text, row))


def _first_five(column: str, value: Any) -> Callable[[], bytes]:
    return _parquet(lambda frame: frame.assign(**{column: frame[column].where(frame.index > 5, value)}))


def _wide(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, pd.DataFrame({f"c{number}": np.zeros(len(frame)) for number in range(2000)})], axis=1)


CASES = (
    Case("empty CSV", CSV, lambda: b"", "fail", ("not_empty",)),
    Case("empty Parquet", PARQUET, lambda: b"", "fail", ("not_empty",)),
    Case("CSV of a header only", CSV, _csv(lambda text: text.splitlines()[0] + "\n"), "fail", ("not_empty",)),
    Case("Parquet without a row", PARQUET, _parquet(lambda frame: frame[:0]), "fail", ("not_empty",)),
    Case("truncated Parquet", PARQUET, lambda: good().to_parquet(None)[:-100], "fail", ("readable",)),
    Case("Parquet with zeroed pages", PARQUET, _corrupt_parquet, "fail", ("readable",)),
    Case("truncated gzip", f"{CSV}.gz", lambda: gzip.compress(_csv()())[:-30], "fail", ("readable",)),
    Case("text named .gz", f"{CSV}.gz", _csv(), "fail", ("readable",)),
    Case("a row with more fields", CSV, _csv_row("4,1.0,north,2024-02-01,1,9,9"), "fail", ("readable",)),
    Case("a row with fewer fields", CSV, _csv_row("4,1.0"), "fail", ("readable",)),
    Case("another delimiter", CSV, _csv(lambda text: text.replace(",", ";")), "fail", ("schema_missing",)),
    Case("Latin-1", CSV, _csv(lambda text: text.replace("north", "nörd").encode("latin-1")), "fail", ("readable",)),
    Case("UTF-16", CSV, _csv(lambda text: text.encode("utf-16")), "fail", ("readable",)),
    Case("byte order mark", CSV, _csv(lambda text: text.encode("utf-8-sig")), "pass"),
    Case("newlines within fields", CSV, _csv(_quoted_newline), "pass"),
    Case("a column name twice", CSV, _csv(lambda t: t.replace("late\n", "amount\n", 1)), "fail", ("unique_columns",)),
    Case("column missing", PARQUET, _parquet(lambda f: f.drop(columns="amount")), "fail", ("schema_missing",)),
    Case("column extra", PARQUET, _parquet(lambda f: f.assign(extra=1)), "fail", ("schema_extra",)),
    Case(
        "column renamed",
        PARQUET,
        _parquet(lambda f: f.rename(columns={"shop": "store"})),
        "fail",
        ("schema_missing", "schema_extra"),
    ),
    Case("column retyped", PARQUET, _parquet(lambda f: f.astype({"amount": str})), "fail", ("schema_retyped",)),
    Case("column all null", PARQUET, _parquet(lambda f: f.assign(amount=np.nan)), "fail", ("has_values",)),
    Case("column constant", PARQUET, _parquet(lambda f: f.assign(shop="north")), "warn", (_DISTINCT,)),
    Case("NaN", PARQUET, _first_five("amount", np.nan), "pass"),
    Case("infinities", PARQUET, _first_five("amount", np.inf), "warn", (_BETWEEN,)),
    Case("numbers and text mixed", CSV, _csv_row("4,about ten,north,2024-02-01,1"), "fail", ("schema_retyped",)),
    Case("one row", PARQUET, _parquet(lambda f: f[:1]), "warn", (_DISTINCT,)),
    Case("dates out of range", PARQUET, _first_five("placed_at", pd.Timestamp("1677-09-22")), "warn", (_BETWEEN,)),
    Case("2,000 more columns", PARQUET, _parquet(_wide), "fail", ("schema_extra",)),
    Case("300 levels", PARQUET, _parquet(_many_levels), "pass"),
    Case(
        "odd column names",
        PARQUET,
        _parquet(lambda f: f.assign(**dict.fromkeys(_ODD_NAMES, 1))),
        "fail",
        ("schema_extra",),
    ),
)


class WayIn:
    """A feed of one good month and whatever else lands, taken in as the loop does, without Airflow."""

    def __init__(self, folder: Path, ledger: Ledger, *, data: str | None = None) -> None:
        import json

        self.folder = folder / "feed"
        self.folder.mkdir(exist_ok=True)
        (folder / "suite.json").write_text(json.dumps(SUITE), encoding="utf-8")
        self.ledger = ledger
        self.store = f"{folder}/store"
        self.spec = ModelSpec(
            model="late", dataset="orders", data=data or f"{self.folder}/{{partition}}.parquet", target="late",
            train="a:fit", metric="roc_auc", project_root=str(folder), expectations="suite.json",
        )  # fmt: skip

    def land(self, name: str, content: bytes) -> Path:
        """Write an object under its final name."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    def seed(self, extension: str) -> None:
        """Take in a good month, whose schema the next one is to have."""
        self.spec = ModelSpec(**{**vars(self.spec), "data": f"{self.folder}/{{partition}}{extension}"})
        text = io.BytesIO()
        if extension == ".parquet":
            good().to_parquet(text, index=False)
        else:
            good().to_csv(text, index=False)
        content = text.getvalue()
        self.land(f"2024-01{extension}", gzip.compress(content) if extension.endswith(".gz") else content)
        assert self.take_in()["2024-01@v1"]["status"] == "pass"

    def discover(self) -> list[str]:
        """Register what has arrived; return the keys of what is pending."""
        register_arrivals(self.ledger, self.spec.dataset, self.spec.data, complete=self.spec.complete)
        return [partition_key(one["partition"], one["version"]) for one in pending_partitions(self.ledger, self.spec)]

    def take_in(self) -> dict[str, Any]:
        """Discover and ingest; return what was written of each partition by its key."""
        return {key: self.ingest(key) for key in self.discover()}

    def ingest(self, key: str) -> dict[str, Any]:
        """Ingest one partition version; return its `validated` payload."""
        steps, inputs = ingest.job(self.ledger, self.spec, key)
        result = run_job(JobRequest(steps=steps, spec=self.spec, store=self.store, inputs=inputs))
        assert result.status is JobStatus.SUCCEEDED, result.error
        ingest.commit(self.ledger, self.spec, key, result, [], actor="test")
        return dict(self.ledger.get("dataset:orders", "validated", key).payload)
