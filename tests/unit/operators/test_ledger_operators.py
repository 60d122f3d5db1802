"""Operators that only talk to the ledger and the feed: discover, decide, plan. The ledger is a real one."""

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from retrain import Decay, Every, NewData
from retrain.data import storage
from retrain.exceptions import LedgerUnavailableError
from retrain.ledger import ClaimState, Ledger
from retrain.loop.streams import train_work
from retrain.operators import PartitionDiscoverOperator, RetrainDecideOperator, TrainingPlanOperator
from tests.support.airflow_tasks import connect, connect_ledger, context


class Deployment:
    """A ledger, a feed and a store, and the operators on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.feed = root / "feed"
        self.feed.mkdir()
        self.ledger = Ledger.open(f"sqlite:///{root}/ledger.db", migrate=True)
        self.common = {
            "spec": {
                "model": "returns", "dataset": "orders", "data": f"{self.feed}/{{partition}}.parquet",
                "target": "returned", "train": "a:fit", "metric": "roc_auc", "project_root": str(root),
            },
            "store": (root / "store").as_uri(),
        }  # fmt: skip

    def land(self, *names: str) -> None:
        for name in names:
            (self.feed / f"{name}.parquet").write_text(f"rows of {name}")

    def discover(self, **options: Any) -> list[dict[str, Any]]:
        return PartitionDiscoverOperator(task_id="discover", **self.common, **options).execute(context("discover"))

    def accept(self, *names: str) -> None:
        """Land, discover and record a verdict of pass."""
        self.land(*names)
        self.discover()
        for name in names:
            ref = {
                "uri": f"{self.feed}/{name}.parquet",
                "format": "parquet",
                "partition": name,
                "version": 1,
                "rows": 5,
            }
            self.ledger.append(
                "dataset:orders", "validated", f"{name}@v1", {"accepted": ref, "profile_uri": f"p/{name}"}
            )
            payload = {"partition": name, "drift": None, "performance": None}
            self.ledger.append("model:returns", "watched", f"{name}@v1", payload)

    def decide(self, *rules, run_id: str = "scheduled__1", wakes=None, task: Any = None) -> dict[str, Any]:
        operator = RetrainDecideOperator(task_id="decide", rules=list(rules), wakes=wakes, **self.common)
        return operator.execute(task or context("decide", run_id=run_id))

    def plan(self, run_id: str = "scheduled__1", run_type: str = "scheduled", user=None, **options) -> dict[str, Any]:
        operator = TrainingPlanOperator(task_id="plan", **self.common, **options)
        task = context("plan", dag_id="returns.train", run_id=run_id, run_type=run_type, user=user)
        return json.loads(json.dumps(operator.execute(task)))  # what XCom does


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch):
    made = Deployment(tmp_path)
    connect_ledger(monkeypatch, tmp_path / "ledger.db")
    yield made
    made.ledger.close()


def test_discovering_lists_what_the_model_has_not_seen_in_order(deployment) -> None:
    deployment.land("2024-02", "2024-01")
    expected = [{"partition": "2024-01", "version": 1}, {"partition": "2024-02", "version": 1}]
    assert deployment.discover() == expected
    assert deployment.discover() == expected
    assert deployment.discover(limit=1) == expected[:1]


def test_an_unknown_ledger_connection_fails_at_once_and_says_how_to_add_it(deployment) -> None:
    with pytest.raises(AirflowFailException, match=r"no connection 'elsewhere'.*AIRFLOW_CONN_ELSEWHERE"):
        deployment.discover(ledger_conn_id="elsewhere")


def test_a_ledger_that_does_not_answer_is_tried_again_and_named(deployment, monkeypatch) -> None:
    connect(
        monkeypatch, "retrain_ledger", conn_type="retrain_ledger", host="127.0.0.1", port=9, schema="ledger",
        login="me", password="hidden-word",
    )  # fmt: skip
    with pytest.raises(LedgerUnavailableError, match=r"127\.0\.0\.1:9") as error:
        deployment.discover()
    assert "hidden-word" not in str(error.value)


def test_a_ledger_that_was_never_migrated_fails_at_once_with_the_command(deployment, monkeypatch, tmp_path) -> None:
    connect_ledger(monkeypatch, tmp_path / "other.db")
    with pytest.raises(AirflowFailException, match="retrain ledger migrate"):
        deployment.discover()
    assert not (tmp_path / "other.db").exists()


def test_a_template_without_placeholder_fails_at_once(deployment) -> None:
    deployment.common["spec"]["data"] = str(deployment.feed)
    with pytest.raises(AirflowFailException, match="is not a template of partitions"):
        deployment.discover()


def test_a_no_is_written_down_with_its_reasons(deployment) -> None:
    deployment.accept("2024-01")
    answer = deployment.decide(NewData(every=3), Decay(drop=0.1))
    assert answer["retrain"] is False
    event = deployment.ledger.last("model:returns", "decided")
    assert event.payload["reasons"] == answer["reasons"]
    assert event.payload["history"]["available"] == 1
    assert event.actor == "dag:returns.data"


WAKES = (Asset(name="wanted", uri="retrain://wanted/returns"), AssetAlias("retrain.wanted.returns"))


class Outlet:
    """Stands for what Airflow collects of a task's asset events."""

    def __init__(self) -> None:
        self.added: list[tuple[str, dict]] = []

    def add(self, asset: Asset, extra: dict) -> None:
        self.added.append((asset.uri, extra))


def woken(deployment, *rules, **options) -> tuple[dict, list]:
    task = context("decide", **options)
    task["outlet_events"][WAKES[1]] = outlet = Outlet()
    return deployment.decide(*rules, wakes=WAKES, task=task), outlet.added


def test_a_yes_wakes_the_training_and_a_no_does_not(deployment) -> None:
    deployment.accept("2024-01")
    assert woken(deployment, NewData(every=3))[1] == []
    deployment.accept("2024-02")
    answer, events = woken(deployment, NewData(every=3), run_id="scheduled__2")
    assert (answer["retrain"], answer["trigger"]) == (True, "cold_start")
    assert events == [("retrain://wanted/returns", {"model": "returns", "trigger": "cold_start"})]


def test_a_retry_gives_the_first_answer_and_wakes_again(deployment) -> None:
    deployment.accept("2024-01", "2024-02")
    first, _ = woken(deployment, Every("@daily"))
    again, events = woken(deployment, Every("@daily"))
    assert again == first
    assert len(events) == 1
    assert len(list(deployment.ledger.events("model:returns", kinds=["decided"]))) == 1


def test_a_wish_that_waits_is_not_doubled_but_woken_for_again(deployment) -> None:
    deployment.accept("2024-01", "2024-02")
    woken(deployment, run_id="scheduled__1")
    answer, events = woken(deployment, run_id="scheduled__2")
    assert answer["retrain"] is False
    assert "wanted already" in answer["reasons"][0]
    assert len(events) == 1


def test_rules_travel_as_json(deployment) -> None:
    operator = RetrainDecideOperator(
        task_id="a", rules=[NewData(every=3), {"rule": "every", "schedule": "@daily"}], **deployment.common
    )
    assert (
        json.loads(json.dumps(operator.rules))
        == operator.rules
        == [NewData(every=3).to_dict(), Every("@daily").to_dict()]
    )


def test_nothing_wanted_skips(deployment) -> None:
    deployment.accept("2024-01", "2024-02")
    with pytest.raises(AirflowSkipException, match="Nothing asks for a retraining of returns"):
        deployment.plan()
    assert deployment.ledger.last("model:returns", "skipped") is None


def test_a_decision_becomes_a_plan_in_the_store(deployment) -> None:
    deployment.accept("2024-01", "2024-02", "2024-03")
    deployment.decide()
    made = deployment.plan()
    assert (made["partitions"], made["rows"], made["holdout"], made["champion"]) == (2, 10, ["2024-03"], None)
    document = storage.read_json(made["plan_uri"])
    assert document["profiles"] == {"2024-01": "p/2024-01", "2024-02": "p/2024-02"}
    assert storage.exists(document["snapshot_uri"])
    assert len(json.dumps(made)) < 5_000
    again = deployment.plan()
    assert again["plan_uri"] == made["plan_uri"]
    assert [claim["epoch"] for claim in again["claims"]] == [claim["epoch"] for claim in made["claims"]]


def test_a_person_asks_once_however_often_the_task_is_tried(deployment) -> None:
    deployment.accept("2024-01", "2024-02")
    for _ in range(2):
        made = deployment.plan("manual__1", "manual", "ada", reason="a new label", overrides={"depth": 3})
    [event] = deployment.ledger.events("model:returns", kinds=["requested"])
    assert (event.actor, event.payload) == ("ada", {"reason": "a new label", "params": {"depth": 3}})
    assert made["requests"][0]["trigger"] == "on_demand"
    assert storage.read_json(made["plan_uri"])["params"] == {"depth": 3}


def test_the_declared_parameters_hold_where_a_person_changes_none(deployment) -> None:
    deployment.common["spec"]["params"] = {"depth": 5, "rate": 0.1}
    deployment.accept("2024-01", "2024-02")
    made = deployment.plan("manual__1", "manual", "ada", reason="why not", overrides={"depth": 3})
    assert storage.read_json(made["plan_uri"])["params"] == {"depth": 3, "rate": 0.1}


def test_overrides_come_as_json_from_the_form(deployment) -> None:
    deployment.accept("2024-01", "2024-02")
    made = deployment.plan("manual__1", "manual", "ada", reason="why not", overrides='{"depth": 3}')
    assert storage.read_json(made["plan_uri"])["params"] == {"depth": 3}


@pytest.mark.parametrize("overrides", ["{'depth': 3}", "[1]", "deeper"])
def test_overrides_that_are_no_dictionary_are_refused_and_not_dropped(deployment, overrides) -> None:
    deployment.accept("2024-01", "2024-02")
    with pytest.raises(AirflowFailException, match="tojson"):
        deployment.plan("manual__1", "manual", "ada", reason="why not", overrides=overrides)


@pytest.mark.parametrize("kind", [DagRunType.MANUAL, DagRunType.OPERATOR_TRIGGERED])
def test_a_run_that_a_person_or_another_dag_asks_for_is_a_request(deployment, kind) -> None:
    deployment.accept("2024-01", "2024-02")
    made = deployment.plan("asked__1", kind, "ada", reason="because")
    assert made["requests"][0]["reason"] == "because"


def test_too_little_data_answers_the_wish_with_its_reason(deployment) -> None:
    deployment.accept("2024-01")
    with pytest.raises(AirflowSkipException, match="1 accepted partitions; at least 2 are needed"):
        deployment.plan("manual__1", "manual", "ada", reason="now")
    event = deployment.ledger.last("model:returns", "skipped")
    assert "at least 2 are needed" in event.payload["reason"]
    assert event.payload["requests"][0]["actor"] == "ada"
    claim = deployment.ledger.get_claim(train_work("returns", "returns.train/manual__1"))
    assert claim.state is ClaimState.DONE


def test_a_store_that_is_down_leaves_the_wish_open_for_the_next_try(deployment) -> None:
    deployment.accept("2024-01", "2024-02")
    deployment.decide()
    store = deployment.root / "store"
    store.write_text("a file where the folder should be")
    with pytest.raises(Exception, match="could not be written"):
        deployment.plan()
    store.unlink()
    assert deployment.plan()["requests"][0]["trigger"] == "cold_start"
