"""The operators one after another, on real files, a real ledger, a real suite and a real MLflow; only Airflow's
database is missing."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from retrain import NewData
from retrain.data import storage, write_parquet
from retrain.exceptions import JobFailedError, RegistryUnavailableError
from retrain.ledger import ClaimState
from retrain.loop.streams import watch_work
from retrain.operators import (
    DataValidateOperator,
    DriftCheckOperator,
    ModelEvaluateOperator,
    ModelGateOperator,
    ModelPromoteOperator,
    ModelRegisterOperator,
    ModelServingCheckOperator,
    ModelTrainOperator,
    PartitionDiscoverOperator,
    RetrainDecideOperator,
    RollbackModelOperator,
    TrainingPlanOperator,
)
from retrain.records import ModelSpec
from retrain.registry import RegistryClient, credentials
from scripts.services.mlflow import MlflowServer
from tests.support.airflow_tasks import connect, context
from tests.support.project import orders
from tests.support.shop import SUITE, Shop

pytestmark = [
    pytest.mark.integration,
    # MLflow warns about type hints of its own when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
JANUARY = {"partition": "2024-01", "version": 1}


def test_good_data_is_accepted_once_and_a_repeat_changes_nothing(shop: Shop) -> None:
    shop.land("2024-01")
    assert shop.discover() == [JANUARY]
    first = shop.ingest(JANUARY)
    assert (first["validation"], first["rows"], first["drift"]) == ("pass", 300, None)
    assert shop.claims("2024-01@v1") == [ClaimState.DONE, ClaimState.DONE]
    assert shop.ingest(JANUARY) == first
    assert shop.discover() == []
    assert shop.ledger.verify().ok


def test_broken_rows_are_set_aside(shop: Shop) -> None:
    frame = orders(300)
    frame.loc[:9, "items"] = -1
    shop.land("2024-01", frame)
    shop.discover()
    answer = shop.ingest(JANUARY)
    assert (answer["validation"], answer["rows"], answer["quarantined_rows"]) == ("warn", 300, 10)
    accepted = shop.ledger.get("dataset:orders", "validated", "2024-01@v1").payload["accepted"]
    assert accepted["rows"] == 290


@pytest.mark.parametrize(
    ("content", "check"),
    [
        (b"this is no parquet file", "readable"),
        (b"PAR1 truncated", "readable"),
        (b"", "not_empty"),
        (orders(10).head(0), "not_empty"),
        (orders(300).drop(columns=["shop"]), "expect_column_to_exist"),
        (orders(300).assign(items=-1), "expect_column_values_to_be_between"),
    ],
    ids=["garbage", "truncated", "zero bytes", "no rows", "column missing", "all rows broken"],
)
def test_a_bad_batch_is_a_verdict_with_a_named_check_and_never_an_exception(shop: Shop, content, check: str) -> None:
    shop.land("2024-01", content)
    shop.discover()
    assert shop.ingest(JANUARY)["validation"] == "fail"
    verdict = shop.ledger.get("dataset:orders", "validated", "2024-01@v1").payload
    assert verdict["accepted"] is None
    assert check in {failure["expectation"] for failure in verdict["failures"]}
    assert shop.discover() == []


def test_what_one_model_saw_refused_another_does_not_run_again(shop: Shop) -> None:
    shop.land("2024-01", b"this is no parquet file")
    shop.discover()
    shop.ingest(JANUARY)
    other = ModelSpec.from_dict({**shop.spec.to_dict(), "model": "other"})
    answer = shop.ingest(JANUARY, spec=other)
    assert (answer["validation"], answer["drift"]) == ("fail", None)
    assert shop.run(PartitionDiscoverOperator, "discover", spec=other) == []


def test_a_file_that_is_gone_is_refused_and_arrives_again_when_it_is_back(shop: Shop) -> None:
    shop.land("2024-01")
    shop.discover()
    (shop.feed / "2024-01.parquet").unlink()
    assert shop.ingest(JANUARY)["validation"] == "fail"
    assert shop.claims("2024-01@v1") == [ClaimState.DONE, ClaimState.DONE]
    (failure,) = shop.ledger.last("dataset:orders", "validated").payload["failures"]
    assert failure["expectation"] == "readable"
    assert "2024-01.parquet is not there" in failure["reason"]
    assert shop.discover() == []
    shop.land("2024-01")
    assert shop.discover() == [{"partition": "2024-01", "version": 2}]
    assert shop.ingest({"partition": "2024-01", "version": 2})["validation"] == "pass"


def test_a_file_that_changed_after_it_was_discovered_is_not_judged_under_the_old_digest(shop: Shop) -> None:
    shop.land("2024-01")
    shop.discover()
    shop.land("2024-01", seed=5)
    assert shop.ingest(JANUARY)["validation"] == "fail"
    (failure,) = shop.ledger.last("dataset:orders", "validated").payload["failures"]
    assert "holds other bytes than were recorded" in failure["reason"]
    assert shop.discover() == [{"partition": "2024-01", "version": 2}]
    assert shop.ingest({"partition": "2024-01", "version": 2})["validation"] == "pass"


@pytest.mark.parametrize(
    "content", ["{ not json", '{"expectations": []}', '{"expectations": [{"type": "expect_luck"}]}']
)
def test_a_suite_that_does_not_parse_fails_at_once_names_the_file_and_can_be_corrected(
    shop: Shop, content: str
) -> None:
    shop.land("2024-01")
    shop.discover()
    shop.suite.write_text(content)
    with pytest.raises(AirflowFailException, match=r"SuiteError: validate: .*suite\.json"):
        shop.ingest(JANUARY)
    assert shop.claims("2024-01@v1") == [ClaimState.FREE, ClaimState.FREE]
    assert shop.ledger.last("dataset:orders", "validated") is None
    shop.suite.write_text(json.dumps(SUITE))
    assert shop.ingest(JANUARY)["validation"] == "pass"


def test_a_partition_that_somebody_works_on_is_tried_again_and_names_them(shop: Shop) -> None:
    shop.land("2024-01")
    shop.discover()
    shop.ledger.claim(watch_work(shop.spec.model, "2024-01@v1"), "another/run/ingest[0]", lease_seconds=60)
    with pytest.raises(JobFailedError, match=r"is claimed by another/run/ingest\[0\]"):
        shop.ingest(JANUARY)


def test_a_store_that_cannot_be_written_is_tried_again(shop: Shop) -> None:
    shop.land("2024-01")
    shop.discover()
    (shop.root / "store").write_text("a file where the folder should be")
    with pytest.raises(JobFailedError, match=r"StoreUnavailableError: validate: .*could not be written"):
        shop.ingest(JANUARY)
    assert shop.claims("2024-01@v1") == [ClaimState.FREE, ClaimState.FREE]


def with_champion(shop: Shop) -> None:
    """A champion in the ledger, whose model MLflow would have to give."""
    losses = write_parquet(pd.DataFrame({"loss": [0.1] * 50}), storage.join(shop.store, "losses.parquet"))
    evidence = {"losses_uri": losses.uri, "metric": 0.7, "partitions": ["2023-12"]}
    payload = {"version": "1", "previous": None, "model_uri": "models:/m/1", "evidence": evidence}
    shop.ledger.append(f"model:{shop.spec.model}", "promoted", "1@0", payload)


def test_mlflow_down_is_tried_again_and_the_partition_stays_claimable(shop: Shop) -> None:
    shop.land("2024-01")
    shop.discover()
    with_champion(shop)
    with pytest.raises(JobFailedError, match=r"RegistryUnavailableError: performance: .*127\.0\.0\.1:9"):
        shop.ingest(JANUARY)
    assert shop.claims("2024-01@v1") == [ClaimState.FREE, ClaimState.FREE]
    assert shop.ledger.last("dataset:orders", "validated") is None


def test_an_unknown_mlflow_connection_fails_at_once(shop: Shop, monkeypatch) -> None:
    shop.land("2024-01")
    shop.discover()
    monkeypatch.delenv("AIRFLOW_CONN_MLFLOW_DEFAULT")
    with pytest.raises(AirflowFailException, match=r"no connection 'mlflow_default'.*AIRFLOW_CONN_MLFLOW_DEFAULT"):
        shop.ingest(JANUARY)
    assert shop.claims("2024-01@v1") == [ClaimState.FREE, ClaimState.FREE]


def test_mlflow_down_at_the_promotion_is_tried_again(shop: Shop) -> None:
    payload = {"version": "1", "champion": None, "verdict": {"status": "pass", "metric": "roc_auc", "rule": "r",
               "reasons": [], "rows": 10}}  # fmt: skip
    task = context("promote", dag_id=f"{shop.spec.model}.train")
    shop.ledger.append(f"model:{shop.spec.model}", "judged", f"{shop.spec.model}.train/scheduled__1", payload)
    with pytest.raises(RegistryUnavailableError, match=r"127\.0\.0\.1:9"):
        shop.run(ModelPromoteOperator, "promote", task, judged={"register": {"version": "1"}})
    assert shop.ledger.last(f"model:{shop.spec.model}", "promoted") is None


def test_single_checks_need_neither_mlflow_nor_a_ledger(shop: Shop, monkeypatch, tmp_path: Path) -> None:
    for name in ("AIRFLOW_CONN_MLFLOW_DEFAULT", "AIRFLOW_CONN_RETRAIN_LEDGER"):
        monkeypatch.delenv(name)
    shop.land("2024-01")
    shop.land("2024-02", orders(300, seed=1).assign(amount=99.0))
    data = [str(shop.feed / f"2024-0{month}.parquet") for month in (1, 2)]
    check = DataValidateOperator(task_id="a", data=data[0], expectations=str(shop.suite), store=shop.store)
    assert check.execute(context())["status"] == "pass"
    drift = DriftCheckOperator(task_id="a", reference=data[0], current=data[1], store=shop.store)
    assert drift.execute(context())["status"] == "drift"
    drift = DriftCheckOperator(task_id="a", reference=data[0], current=data[1], store=shop.store, fail_on_drift=True)
    with pytest.raises(AirflowFailException, match="drifted from"):
        drift.execute(context())
    shop.land("2024-03", orders(300).assign(items=-1))
    data_uri = str(shop.feed / "2024-03.parquet")
    check = DataValidateOperator(task_id="a", data=data_uri, expectations=str(shop.suite), store=shop.store)
    with pytest.raises(AirflowFailException, match=r"breaks .*expect_column_values_to_be_between"):
        check.execute(context())


@pytest.fixture
def running(shop: Shop, mlflow_server: MlflowServer, monkeypatch) -> Shop:
    """The shop with the real MLflow behind its connection."""
    connect(
        monkeypatch, "mlflow_default", conn_type="mlflow", host=mlflow_server.uri, login=mlflow_server.username,
        password=mlflow_server.password,
    )  # fmt: skip
    return shop


def take_in(shop: Shop, *names: str) -> list[dict[str, Any]]:
    for name in names:
        shop.land(name, seed=int(name[-2:]) - 1)
    return [shop.ingest(partition) for partition in shop.discover()]


def retrain(shop: Shop, run_id: str, steps: bool = False) -> dict[str, Any]:
    """Run the training DAG by hand, as a person; `steps`: each step in a task of its own."""

    def task(task_id: str) -> dict[str, Any]:
        return context(task_id, dag_id=f"{shop.spec.model}.train", run_id=run_id, run_type="manual", user="ada")

    state = shop.run(TrainingPlanOperator, "plan", task("plan"), reason="because")
    if steps:
        state = shop.run(ModelTrainOperator, "train", task("train"), plan=state, steps=("train",))
        for kind in (ModelServingCheckOperator, ModelEvaluateOperator, ModelGateOperator, ModelRegisterOperator):
            state = shop.run(kind, kind.__name__, task(kind.__name__), plan=state)
    else:
        training = task("train")
        state = shop.run(ModelTrainOperator, "train", training, plan=state)
        place = training["ti"].pushed["mlflow"]
        assert (place["version"], place["run_id"]) == (state["register"]["version"], state["train"]["run_id"])
    again = shop.run(ModelPromoteOperator, "promote", task("promote"), judged=state)
    return {**again, "state": state}


def test_the_whole_loop_by_its_operators(running: Shop, mlflow_server: MlflowServer) -> None:
    shop, model = running, running.spec.model
    take_in(shop, "2024-01", "2024-02")
    decided = shop.run(RetrainDecideOperator, "decide", rules=[NewData(every=1)])
    assert (decided["retrain"], decided["trigger"]) == (True, "cold_start")

    first = retrain(shop, "manual__1")
    assert (first["version"], first["previous"], first["created"]) == ("1", None, True)
    assert [wish["trigger"] for wish in first["state"]["requests"]] == ["cold_start", "on_demand"]

    [seen] = take_in(shop, "2024-03")
    assert seen["drift"] in ("ok", "drift", "inconclusive")
    assert seen["performance"] in ("ok", "decay", "inconclusive")
    assert 0.5 < seen["metric"] <= 1

    second = retrain(shop, "manual__2", steps=True)
    assert (second["version"], second["previous"]) == ("2", "1")
    assert second["state"]["evaluate"]["holdout"] == ["2024-03@v1"]

    with credentials(mlflow_server.username, mlflow_server.password):
        client = RegistryClient(mlflow_server.uri)
        assert client.aliases(model) == {"champion": "2", "previous": "1"}
        back = context("rollback", dag_id=f"{model}.rollback", run_id="manual__1", run_type="manual", user="bo")
        undone = shop.run(RollbackModelOperator, "rollback", back, reason="wrong prices")
        assert (undone["version"], undone["previous"], undone["created"]) == ("1", "2", True)
        assert client.aliases(model) == {"champion": "1", "previous": "2"}
        assert shop.run(RollbackModelOperator, "rollback", back, reason="wrong prices")["created"] is False
        again = context("rollback", dag_id=f"{model}.rollback", run_id="manual__2", run_type="manual", user="bo")
        with pytest.raises(AirflowFailException, match=r"cannot be rolled back to version 9.*champion is 1"):
            shop.run(RollbackModelOperator, "rollback", again, reason="wrong prices", version="9")
        with pytest.raises(AirflowFailException, match="cannot be rolled back to version 1"):
            shop.run(RollbackModelOperator, "rollback", again, reason="wrong prices", version="1")
        named = shop.run(RollbackModelOperator, "rollback", again, reason="better after all", version=2)
        assert (named["version"], client.aliases(model)["champion"]) == ("2", "2")
    changes = shop.ledger.events(f"model:{model}", kinds=["promoted", "rolled_back"])
    assert [(event.kind, event.payload["version"], event.actor) for event in changes] == [
        ("promoted", "1", "ada"), ("promoted", "2", "ada"), ("rolled_back", "1", "bo"), ("rolled_back", "2", "bo"),
    ]  # fmt: skip
    assert shop.ledger.verify().ok


def test_a_retry_after_every_step_ends_in_one_version_and_one_promotion(running: Shop) -> None:
    shop = running
    take_in(shop, "2024-01", "2024-02")
    state = retrain(shop, "manual__1")["state"]
    task = context("train", dag_id=f"{shop.spec.model}.train", run_id="manual__1", run_type="manual", user="ada")
    plan = {
        name: value for name, value in state.items() if name not in ("train", "serving", "evaluate", "gate", "register")
    }
    again = shop.run(ModelTrainOperator, "train", task, plan=plan)
    assert again["train"]["run_id"] == state["train"]["run_id"]
    assert again["register"] == state["register"]
    promoted = shop.run(ModelPromoteOperator, "promote", task, judged=again)
    assert (promoted["version"], promoted["created"]) == ("1", False)
    for kind in ("judged", "promoted"):
        assert len(list(shop.ledger.events(f"model:{shop.spec.model}", kinds=[kind]))) == 1
    with pytest.raises(AirflowSkipException, match="Nothing asks"):
        shop.run(
            TrainingPlanOperator, "plan", context("plan", dag_id=f"{shop.spec.model}.train", run_id="scheduled__9")
        )


def test_a_missing_target_stops_the_training_with_its_name_and_promotes_nothing(running: Shop) -> None:
    shop = running
    for seed, name in enumerate(("2024-01", "2024-02")):
        shop.land(name, orders(300, seed).drop(columns=["returned"]))
    assert [shop.ingest(partition)["validation"] for partition in shop.discover()] == ["pass", "pass"]
    with pytest.raises(AirflowFailException, match=r"MissingColumnError.*'returned'"):
        retrain(shop, "manual__1")
    assert shop.ledger.last(f"model:{shop.spec.model}", "promoted") is None


def test_code_of_the_user_that_raises_is_shown_with_its_line(running: Shop) -> None:
    shop = running
    take_in(shop, "2024-01", "2024-02")
    shop.project.write("orders/train.py", "def fit(data, params):\n    raise ValueError('no luck today')\n")
    with pytest.raises(AirflowFailException, match="UserCodeError") as error:
        retrain(shop, "manual__1")
    assert "no luck today" in str(error.value)
    assert "train.py" in str(error.value)
    # It is answered: no sweep tries it again, and the policy knows when it is worth another try.
    failed = shop.ledger.last(f"model:{shop.spec.model}", "failed")
    assert "no luck today" in failed.payload["reason"]
    with pytest.raises(AirflowSkipException, match="Nothing asks"):
        shop.run(TrainingPlanOperator, "plan", context("plan", dag_id=f"{shop.spec.model}.train", run_id="sweep"))
    decided = shop.run(RetrainDecideOperator, "decide", rules=[NewData(every=1)])
    assert not decided["retrain"]
    assert "the last training failed at" in decided["reasons"][-1]


def test_wrong_credentials_fail_at_once_and_name_the_server(running: Shop, mlflow_server, monkeypatch) -> None:
    shop = running
    take_in(shop, "2024-01", "2024-02")
    connect(
        monkeypatch, "mlflow_default", conn_type="mlflow", host=mlflow_server.uri, login="admin", password="wrong-word"
    )
    with pytest.raises(AirflowFailException, match=r"ConnectionConfigError.*127.0.0.1") as error:
        retrain(shop, "manual__1")
    assert "wrong-word" not in str(error.value)
