"""Arrivals of rows in a table: copied into the store when they are registered, because a version keeps its bytes."""

import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from retrain.data import read
from retrain.exceptions import DeclarationError
from retrain.loop import register_arrivals
from retrain.loop.arrival import latest_arrivals
from retrain.records import DataRef

BY_DAY = "sql://warehouse/orders?day={partition}&changed=updated"
GROWING = "sql://warehouse/orders?id>{partition}&width=6"


@pytest.fixture
def table(tmp_path: Path, monkeypatch):
    """A table of orders, and what writes into it."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("RETRAIN_SQL_WAREHOUSE", f"sqlite:///{path}")

    def execute(statement: str, *rows: tuple) -> None:
        with sqlite3.connect(path) as connection:
            connection.executemany(statement, rows or [()])

    execute("create table orders (id integer primary key, day text, amount real, updated integer)")
    return execute


@pytest.fixture
def arrive(ledger, tmp_path: Path):
    def register(template: str) -> list[str]:
        found = register_arrivals(ledger, "orders", template, store=f"{tmp_path}/store")
        return [f"{one['partition']}@v{one['version']}" for one in found]

    return register


def rows(ledger, key: str) -> pd.DataFrame:
    payload = latest_arrivals(ledger, "orders")[key]
    return read(DataRef(payload["uri"], payload["format"], digest=payload["digest"]))


INSERT = "insert into orders values (?, ?, ?, ?)"


def test_each_value_of_the_partition_column_arrives_once(ledger, table, arrive) -> None:
    table(INSERT, (1, "2024-01-01", 5.0, 1), (2, "2024-01-02", 6.0, 1), (3, "2024-01-01", 7.0, 1))
    assert arrive(BY_DAY) == ["2024-01-01@v1", "2024-01-02@v1"]
    assert arrive(BY_DAY) == []
    assert rows(ledger, "2024-01-01@v1")["id"].tolist() == [1, 3]


def test_corrected_rows_are_a_new_version_and_the_old_one_keeps_its_bytes(ledger, table, arrive) -> None:
    table(INSERT, (1, "2024-01-01", 5.0, 1))
    arrive(BY_DAY)
    before = latest_arrivals(ledger, "orders")["2024-01-01@v1"]
    table("update orders set amount = 50, updated = 2 where id = ?", (1,))
    assert arrive(BY_DAY) == ["2024-01-01@v2"]
    assert rows(ledger, "2024-01-01@v2")["amount"].tolist() == [50.0]
    assert read(DataRef(before["uri"], before["format"], digest=before["digest"]))["amount"].tolist() == [5.0]


def test_rows_touched_without_a_change_are_no_new_version(ledger, table, arrive) -> None:
    table(INSERT, (1, "2024-01-01", 5.0, 1))
    template = BY_DAY.replace("&changed=updated", "")
    assert arrive(template) == ["2024-01-01@v1"]
    table("delete from orders where id = ?", (1,))
    table(INSERT, (1, "2024-01-01", 5.0, 1), (2, "2024-01-01", 5.0, 1))
    table("delete from orders where id = ?", (2,))
    assert arrive(template) == []


def test_what_came_after_the_last_partition_of_a_growing_column_is_the_next(ledger, table, arrive) -> None:
    table(INSERT, *((number, "d", 1.0, 1) for number in range(1, 6)))
    assert arrive(GROWING) == ["000005@v1"]
    assert arrive(GROWING) == []
    table(INSERT, *((number, "d", 1.0, 1) for number in range(6, 9)))
    assert arrive(GROWING) == ["000008@v1"]
    assert rows(ledger, "000008@v1")["id"].tolist() == [6, 7, 8]
    assert [len(rows(ledger, key)) for key in latest_arrivals(ledger, "orders")] == [5, 3]


def test_a_table_needs_a_store(ledger, table) -> None:
    table(INSERT, (1, "2024-01-01", 5.0, 1))
    with pytest.raises(DeclarationError, match="store"):
        register_arrivals(ledger, "orders", BY_DAY)


def test_a_partition_value_is_a_value_and_never_a_path_or_a_statement(ledger, table, arrive, tmp_path: Path) -> None:
    for number, day in enumerate(["../../x", "a'; drop table orders; --", "ok"]):
        table(INSERT, (number, day, 1.0, 1))
    found = arrive(BY_DAY)
    assert "ok@v1" in found
    assert not any("/" in key for key in found)
    store = (tmp_path / "store").resolve()
    assert all(
        Path(one["uri"].removeprefix("file://")).resolve().is_relative_to(store)
        for one in latest_arrivals(ledger, "orders").values()
    )
    assert arrive(BY_DAY) == []
