"""Profiles of tables, on SQLite and on a real PostgreSQL, beside those of the same rows in a file."""

import json

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from retrain import drift
from retrain.data import sql
from retrain.drift import Kind, Profile, sql_engine, tables

pytestmark = pytest.mark.integration

ROWS = 3000


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    url = f"sqlite:///{tmp_path}/shop.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_database")
    made = sa.create_engine(url, poolclass=sa.NullPool)
    with sql.connections({"shop": made}.__getitem__):
        yield made


def frame(rows=ROWS):
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "amount": np.where(generator.random(rows) < 0.1, np.nan, generator.lognormal(size=rows)),
            "number": generator.poisson(3, rows),
            "flag": generator.random(rows) < 0.3,
            "level": generator.choice([f"v{level}" for level in range(12)], rows),
            "at": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows), "h"),
            "part": np.where(np.arange(rows) % 2, "odd", "even"),
        }
    )


def store(engine, table, name="orders"):
    types = {"flag": sa.Boolean(), "number": sa.Integer(), "amount": sa.Double(), "at": sa.DateTime()}
    columns = [sa.Column(one, types.get(one, sa.String(40))) for one in table.columns if one != "id"]
    made = sa.Table(
        name, sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False), *columns
    )
    made.create(engine)
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    if rows:
        with engine.begin() as connection:
            connection.execute(made.insert(), rows)


def test_a_table_has_the_profile_of_the_same_rows_in_a_file(engine, tmp_path):
    store(engine, frame())
    frame().to_parquet(tmp_path / "orders.parquet")
    options = {"categorical": ["number"], "target": "flag", "pii": ["part"]}
    by_sql = drift.profile("sql://shop/orders", **options)
    by_file = drift.profile(tmp_path / "orders.parquet", **options)
    assert list(by_sql.columns) == list(by_file.columns)
    for name, column in by_file.columns.items():
        found = by_sql.columns[name]
        for fact in ("kind", "family", "rows", "nulls", "infinite", "minimum", "maximum", "counts", "other", "sketch"):
            assert getattr(found, fact) == getattr(column, fact), (name, fact)
        if column.kind is not Kind.DATETIME:
            assert (found.distinct, found.distinct_exact) == (column.distinct, column.distinct_exact)
        if column.mean is not None:
            assert (found.mean, found.std) == pytest.approx((column.mean, column.std))
    assert by_sql.duplicates == by_file.duplicates
    assert {len(values) for values in by_sql.sample.values()} == {tables.SAMPLE_ROWS}
    assert "part" not in by_sql.sample
    assert drift.compare(by_file, by_sql).status == "ok"
    assert Profile.from_dict(json.loads(json.dumps(by_sql.to_dict(), allow_nan=False))) == by_sql


def test_some_of_a_tables_rows_are_profiled(engine):
    store(engine, frame())
    found = drift.profile("sql://shop/orders?part=odd", columns=["amount", "gone"])
    expected = drift.profile(frame().query("part == 'odd'"), columns=["amount"])
    assert (found.rows, found.absent) == (ROWS / 2, ("gone",))
    assert found.columns["amount"].sketch == expected.columns["amount"].sketch


def test_a_large_table_is_drawn_from(engine, monkeypatch):
    for module in (tables, sql_engine):
        monkeypatch.setattr(module, "SKETCH_ROWS", 500)
    store(engine, frame())
    found, again = (drift.profile("sql://shop/orders?part=odd") for _ in range(2))
    assert found == again
    amount, expected = found.columns["amount"], frame().query("part == 'odd'")["amount"].dropna()
    assert 350 < amount.sketched < 750
    assert (amount.values, amount.maximum) == (len(expected), expected.max())
    assert (amount.mean, amount.std) == pytest.approx((expected.mean(), expected.std(ddof=0)))
    grid = expected.quantile(np.linspace(0.1, 0.9, 9)).to_numpy()
    assert np.abs(amount.sketch.cumulative(grid)[1] / len(expected) - np.linspace(0.1, 0.9, 9)).max() < 0.08
    assert sum(found.columns["level"].counts.values()) == ROWS / 2
    assert found.duplicates is None
    assert drift.compare(drift.profile(frame()), found).columns["amount"].status == "ok"


def test_infinite_numbers_and_empty_tables(engine):
    table = frame(20)
    table.loc[:4, "amount"] = np.inf
    store(engine, table)
    store(engine, table.iloc[:0], name="no_orders")
    found = drift.profile("sql://shop/orders").columns["amount"]
    expected = drift.profile(table).columns["amount"]
    assert (found.infinite, found.nulls, found.maximum, found.sketch) == (
        expected.infinite, expected.nulls, expected.maximum, expected.sketch,
    )  # fmt: skip
    assert drift.profile("sql://shop/no_orders").rows == 0
    assert drift.compare(drift.profile(table), drift.profile("sql://shop/no_orders")).checks[0].name == "empty_batch"
