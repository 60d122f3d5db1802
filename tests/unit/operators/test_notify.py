"""A real receiver on loopback is told of each release at least once, and its absence undoes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from retrain.exceptions import UnavailableError
from retrain.ledger import Ledger
from retrain.operators import ReleaseNotifyOperator
from tests.support.airflow_tasks import connect, connect_ledger, context
from tests.support.receiver import Receiver, running_receiver

STREAM = "model:returns"
SPEC = {
    "model": "returns", "dataset": "orders", "data": "f/{partition}.parquet", "target": "y", "train": "a:fit",
    "metric": "roc_auc", "project_root": "/p",
}  # fmt: skip


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch, receiver) -> Iterator[Ledger]:
    connect_ledger(monkeypatch, tmp_path / "ledger.db")
    connect(monkeypatch, "deployer", conn_type="http", host=f"http://127.0.0.1:{receiver.port}/hooks/models")
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db", migrate=True) as opened:
        yield opened


def release(ledger: Ledger, version: str, kind: str = "promoted") -> None:
    ledger.append(
        STREAM, kind, f"{version}:{kind}", {"version": version, "previous": None, "reason": "why"}, actor="bo"
    )


def notify() -> Any:
    task = ReleaseNotifyOperator(task_id="notify", webhook_conn_id="deployer", spec=SPEC)
    return task.execute(context("notify", dag_id="returns.train"))


def test_each_release_is_told_once_when_the_receiver_confirms_it(ledger, receiver) -> None:
    with pytest.raises(AirflowSkipException):
        notify()
    release(ledger, "1")
    assert notify() == ["model:returns#1"]
    with pytest.raises(AirflowSkipException):
        notify()
    release(ledger, "2")
    release(ledger, "1", "rolled_back")
    assert notify() == ["model:returns#3", "model:returns#4"]
    path, headers, document = receiver.calls[-1]
    assert (path, headers["Idempotency-Key"]) == ("/hooks/models", "model:returns#4")
    assert (document["kind"], document["version"], document["by"], document["reason"]) == (
        "rolled_back",
        "1",
        "bo",
        "why",
    )
    assert receiver.keys == ["model:returns#1", "model:returns#3", "model:returns#4"]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_receiver_that_is_not_able_is_told_again_with_the_same_key(ledger, receiver, status) -> None:
    release(ledger, "1")
    receiver.answers = [status]
    with pytest.raises(UnavailableError, match=rf"answered {status}.*the promotion stands"):
        notify()
    assert notify() == ["model:returns#1"]
    assert receiver.keys == ["model:returns#1"] * 2
    assert [event.kind for event in ledger.events(STREAM)] == ["promoted", "notified"]


def test_a_receiver_that_is_down_is_told_again(ledger, receiver, monkeypatch) -> None:
    release(ledger, "1")
    connect(monkeypatch, "deployer", conn_type="http", host="http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="did not answer"):
        notify()
    assert ledger.last(STREAM).kind == "promoted"


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_a_receiver_that_refuses_fails_at_once_and_names_the_connection(ledger, receiver, status) -> None:
    release(ledger, "1")
    receiver.answers = [status]
    with pytest.raises(AirflowFailException, match=rf"refuses the notice: {status}.*'deployer'"):
        notify()


def test_what_comes_before_a_failure_stays_told(ledger, receiver) -> None:
    release(ledger, "1")
    notify()
    for version in ("2", "3"):
        release(ledger, version)
    receiver.answers = [200, 500]
    with pytest.raises(UnavailableError):
        notify()
    notify()
    assert receiver.keys == ["model:returns#1", "model:returns#3", "model:returns#4", "model:returns#4"]


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ({"login": "me", "password": "word"}, ("Authorization", "Basic bWU6d29yZA==")),
        ({"password": "token"}, ("Authorization", "Bearer token")),
        ({"extra": {"headers": {"X-Team": "shop"}}}, ("X-Team", "shop")),
    ],
)
def test_credentials_come_from_the_connection(ledger, receiver, monkeypatch, fields, header) -> None:
    connect(monkeypatch, "deployer", conn_type="http", host="127.0.0.1", port=receiver.port, schema="http", **fields)
    release(ledger, "1")
    notify()
    assert receiver.calls[0][1][header[0]] == header[1]


def test_a_connection_that_is_not_there_is_named(ledger, monkeypatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_DEPLOYER")
    release(ledger, "1")
    with pytest.raises(AirflowFailException, match="no connection 'deployer'"):
        notify()
