"""Engines behind Airflow connections."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from retrain.exceptions import ConnectionConfigError
from retrain.hooks import sql
from retrain.hooks.sql import forget_engines, sql_engine
from tests.support.airflow_tasks import connect


@pytest.fixture(autouse=True)
def forgotten():
    forget_engines()
    yield
    forget_engines()


def test_an_sqlite_connection_needs_no_provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connect(monkeypatch, "shop", conn_type="sqlite", host=str(tmp_path / "shop.db"))
    with sql_engine("shop").connect() as connection:
        assert connection.execute(sa.text("select 1")).scalar() == 1
    assert (tmp_path / "shop.db").exists()


def test_a_postgresql_connection_keeps_signs_in_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(
        monkeypatch, "shop", conn_type="postgres", host="db", port=5433, schema="shop", login="ann", password="a/b@c:d",
        extra={"sslmode": "require"},
    )  # fmt: skip
    url = sql_engine("shop").url
    assert (url.drivername, url.host, url.port, url.database) == ("postgresql+psycopg2", "db", 5433, "shop")
    assert (url.username, url.password, url.query["sslmode"]) == ("ann", "a/b@c:d", "require")
    assert "a/b" not in repr(sql_engine("shop"))


def test_no_database_connection_is_kept_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connect(monkeypatch, "shop", conn_type="sqlite", host=str(tmp_path / "shop.db"))
    assert isinstance(sql_engine("shop").pool, sa.NullPool)


def test_airflow_is_not_asked_for_the_same_connection_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connect(monkeypatch, "shop", conn_type="sqlite", host=str(tmp_path / "one.db"))
    first = sql_engine("shop")
    connect(monkeypatch, "shop", conn_type="sqlite", host=str(tmp_path / "other.db"))
    assert sql_engine("shop") is first
    monkeypatch.setattr(sql, "KEEP_SECONDS", 0.0)
    assert str(sql_engine("shop").url).endswith("other.db")


def test_a_connection_that_is_not_there_is_named() -> None:
    with pytest.raises(ConnectionConfigError, match="absent"):
        sql_engine("absent")


@pytest.mark.parametrize("conn_type", ["snowflake", "mlflow", "retrain_ledger"])
def test_a_connection_to_something_else_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch, conn_type) -> None:
    connect(monkeypatch, "shop", conn_type=conn_type, host="somewhere")
    with pytest.raises(ConnectionConfigError, match=r"provider|SQL database"):
        sql_engine("shop")
