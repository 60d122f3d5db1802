"""The ledger behind a connection, and claims that are held while somebody works."""

import contextlib
import logging
import time
from pathlib import Path

import pytest

from retrain.exceptions import ConnectionConfigError, LedgerUnavailableError
from retrain.hooks import ledger as hooks
from retrain.hooks.ledger import LedgerHook, claimed
from retrain.ledger import ClaimState, Ledger
from tests.support.airflow_tasks import connect, connect_ledger


def test_an_unknown_connection_is_answered_with_how_to_add_it() -> None:
    with pytest.raises(ConnectionConfigError) as error:
        LedgerHook("elsewhere").get_url()
    assert "there is no connection 'elsewhere'" in str(error.value)
    assert "AIRFLOW_CONN_ELSEWHERE" in str(error.value)


def test_a_connection_becomes_a_url(monkeypatch) -> None:
    connect(
        monkeypatch, "retrain_ledger", conn_type="retrain_ledger", host="db", port=5433, schema="ledger",
        login="me", password="p@ss/word", extra={"sslmode": "require"},
    )  # fmt: skip
    assert LedgerHook().get_url() == "postgresql://me:p%40ss%2Fword@db:5433/ledger?sslmode=require"


def test_without_a_host_it_is_a_file(monkeypatch, tmp_path: Path) -> None:
    connect(monkeypatch, "retrain_ledger", conn_type="retrain_ledger", schema=str(tmp_path / "ledger.db"))
    assert LedgerHook().get_url() == f"sqlite:///{tmp_path}/ledger.db"


def test_a_connection_without_a_database_says_which_field_is_missing(monkeypatch) -> None:
    connect(monkeypatch, "retrain_ledger", conn_type="retrain_ledger", host="db")
    with pytest.raises(ConnectionConfigError, match=r"names no database\. Expected its Database field"):
        LedgerHook().get_url()


@pytest.mark.parametrize("executor", ["CeleryExecutor", "LocalExecutor,CeleryExecutor", "a.b.KubernetesExecutor"])
def test_a_file_is_refused_where_tasks_run_on_several_hosts(monkeypatch, tmp_path: Path, executor: str) -> None:
    connect_ledger(monkeypatch, tmp_path / "ledger.db")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with pytest.raises(ConnectionConfigError, match="Point the connection at a PostgreSQL database"):
        LedgerHook().get_url()


def test_the_test_button_tells_a_migrated_ledger_from_an_empty_place(monkeypatch, tmp_path: Path) -> None:
    connect_ledger(monkeypatch, tmp_path / "ledger.db")
    ok, message = LedgerHook().test_connection()
    assert not ok
    assert "ledger.db" in message
    Ledger.open(f"sqlite:///{tmp_path}/ledger.db", migrate=True).close()
    assert LedgerHook().test_connection() == (True, "The ledger holds 0 streams")


def test_a_dead_database_is_named_without_its_password(monkeypatch) -> None:
    connect(
        monkeypatch, "retrain_ledger", conn_type="retrain_ledger", host="127.0.0.1", port=9, schema="ledger",
        login="me", password="hidden-word",
    )  # fmt: skip
    with pytest.raises(LedgerUnavailableError, match=r"127\.0\.0\.1") as error:
        LedgerHook().get_conn()
    assert "hidden-word" not in str(error.value)


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db", migrate=True) as opened:
        yield opened


def test_work_is_held_while_the_block_runs_and_somebody_else_is_told(ledger) -> None:
    with claimed(ledger, "work", "one") as claim:
        assert claim.owner == "one"
        with claimed(ledger, "work", "two") as other:
            assert other is None
        assert ledger.get_claim("work").owner == "one"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_work_is_given_back_whatever_the_block_fails_with(ledger, error) -> None:
    with pytest.raises(error), claimed(ledger, "work", "one"):
        raise error
    assert ledger.get_claim("work").state is ClaimState.FREE
    with claimed(ledger, "work", "two") as claim:
        assert claim.owner == "two"


def test_completed_work_stays_done(ledger) -> None:
    with claimed(ledger, "work", "one") as claim:
        ledger.append_all([], claims=[claim])
    assert ledger.get_claim("work").state is ClaimState.DONE
    with claimed(ledger, "work", "two") as other:
        assert other is None


def _until(holds, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert holds()


def test_a_claim_is_renewed_while_the_work_takes_longer_than_its_lease(ledger, monkeypatch) -> None:
    monkeypatch.setattr(hooks, "LEASE_SECONDS", 0.3)
    with claimed(ledger, "work", "one") as claim:
        _until(lambda: ledger.get_claim("work").expires_at > claim.expires_at)
        assert ledger.get_claim("work").epoch == claim.epoch


def test_a_claim_that_was_taken_over_is_reported_and_not_given_back(ledger, monkeypatch, caplog) -> None:
    monkeypatch.setattr(hooks, "LEASE_SECONDS", 0.3)
    caplog.set_level(logging.WARNING, hooks.__name__)
    with contextlib.suppress(ValueError), claimed(ledger, "work", "one"):
        ledger.claim("work", "two", lease_seconds=60, take_over=True)
        _until(lambda: "could not be renewed" in caplog.text)
        raise ValueError
    held = ledger.get_claim("work")
    assert (held.owner, held.state) == ("two", ClaimState.HELD)
