"""One declaration, the DAGs of a model."""

import json
import subprocess
import sys
from typing import Any

import pytest
from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable
from airflow.serialization.serialized_objects import DagSerialization
from jsonschema import ValidationError

from retrain import (
    Approval,
    ContinuousTraining,
    Decay,
    Drift,
    Every,
    ExternalPython,
    KubernetesPod,
    NewData,
    RollbackOn,
)
from retrain.evaluation import Compared, Custom, DataAge, FairnessGap, Latency, Slices, conditions_from_dicts
from retrain.exceptions import DeclarationError
from retrain.serving import Limits, Serving


def declare(**changes: Any) -> ContinuousTraining:
    fields: dict[str, Any] = {
        "model": "returns", "data": "s3://shop/{partition}.parquet", "target": "returned", "train": "shop.train:fit",
        "metric": "roc_auc", "retrain": [NewData(every=3), Drift(), Decay(drop=0.02), Every("@monthly")],
    }  # fmt: skip
    return ContinuousTraining(**{**fields, **changes})


def dags(declared: ContinuousTraining) -> list:
    return [declared.data_dag, declared.backfill_dag, declared.train_dag, declared.rollback_dag]


def edges(dag) -> dict[str, set[str]]:
    return {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}


def test_a_declaration_makes_a_dag_for_each_permission() -> None:
    data, backfill, train, rollback = found = dags(declare())
    assert [dag.dag_id for dag in found] == [f"returns.{kind}" for kind in ("data", "backfill", "train", "rollback")]
    assert edges(backfill) == {"replay": {"ingest"}, "ingest": {"decide"}, "decide": set()}
    assert edges(data) == {"discover": {"ingest"}, "ingest": {"decide"}, "decide": set()}
    assert edges(train) == {"plan": {"train"}, "train": {"promote"}, "promote": set()}
    assert edges(rollback) == {"rollback": set()}


def test_a_run_at_a_time_and_none_for_the_past() -> None:
    for dag in dags(declare()):
        assert dag.max_active_runs == 1
        assert not dag.catchup
        assert {"retrain", "returns"} <= set(dag.tags)


def test_data_wakes_the_data_dag_and_a_wish_the_training_and_both_are_swept() -> None:
    declared = declare(sweep="5 4 * * *")
    for dag, asset in ((declared.data_dag, "retrain.arrivals.returns"), (declared.train_dag, "retrain.wanted.returns")):
        assert isinstance(dag.timetable, AssetOrTimeSchedule)
        assert dag.timetable.asset_condition.name == asset
        assert dag.timetable.timetable.expression == "5 4 * * *"
    assert declared.rollback_dag.schedule is None


def test_without_watching_only_the_sweep_looks_for_data() -> None:
    declared = declare(watch=False)
    assert isinstance(declared.data_dag.timetable, CronTriggerTimetable)
    assert declared.arrivals.watchers == []


def test_the_watcher_lists_what_is_declared() -> None:
    [watcher] = declare().arrivals.watchers
    assert (watcher.trigger.data, watcher.trigger.poll_interval_seconds) == ("s3://shop/{partition}.parquet", None)


def test_models_that_share_a_dataset_share_its_arrivals() -> None:
    first, second = declare(dataset="orders"), declare(model="refunds", dataset="orders")
    assert first.arrivals.uri == second.arrivals.uri == "retrain://arrivals/orders"
    assert first.wanted.uri != second.wanted.uri


def test_only_a_yes_emits_the_wish_and_a_promotion_its_asset() -> None:
    declared = declare()
    assert [alias.name for alias in declared.data_dag.get_task("decide").outlets] == ["retrain.wanted.returns"]
    assert [asset.uri for asset in declared.train_dag.get_task("promote").outlets] == ["retrain://champion/returns"]


def test_partitions_are_taken_in_one_after_another() -> None:
    assert declare().data_dag.get_task("ingest").partial_kwargs["max_active_tis_per_dagrun"] == 1


def test_a_person_is_asked_between_training_and_promotion_where_that_is_declared() -> None:
    for approval in ("always", "when_inconclusive", Approval("always", approvers=("bo",))):
        dag = declare(approval=approval).train_dag
        assert edges(dag) == {
            "plan": {"train"}, "train": {"approve", "promote"}, "approve": {"promote"}, "promote": set()
        }  # fmt: skip
        # Also where nothing was trained: a dead run may have left a question.
        assert dag.get_task("approve").trigger_rule == "none_failed"
    assert dag.get_task("approve").assigned_users == [{"id": "bo", "name": "bo"}]
    assert declare(approval="never").spec.approval is None


def test_a_guard_stands_between_the_data_and_the_decision_where_that_is_declared() -> None:
    for rollback_on in ("decay", ["decay", "serving"], RollbackOn(partitions=5)):
        declared = declare(rollback_on=rollback_on)
        assert edges(declared.data_dag) == {
            "discover": {"ingest"}, "ingest": {"guard"}, "guard": {"decide"}, "decide": set()
        }  # fmt: skip
        assert edges(declared.backfill_dag)["ingest"] == {"decide"}


def test_a_webhook_is_told_after_every_way_to_change_the_champion() -> None:
    declared = declare(webhook_conn_id="deployer", rollback_on="decay")
    for dag, release in (
        (declared.train_dag, "promote"),
        (declared.data_dag, "guard"),
        (declared.rollback_dag, "rollback"),
    ):
        assert "notify" in edges(dag)[release]
        assert dag.get_task("notify").webhook_conn_id == "deployer"
        assert [asset.uri for asset in dag.get_task(release).outlets] == ["retrain://champion/returns"]
    assert edges(declared.data_dag)["guard"] == {"decide", "notify"}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"approval": "often"}, "approval='often'"),
        ({"approval": None}, "approval=None"),
        ({"rollback_on": ["rain"]}, "rain"),
        ({"rollback_on": []}, "an alarm or more"),
    ],
)
def test_a_wrong_release_is_refused_with_what_is_allowed(wrong: dict, named: str) -> None:
    with pytest.raises(DeclarationError, match=named):
        declare(**wrong)


def names(condition) -> set[str]:
    return {asset.name for asset in condition.objects} if hasattr(condition, "objects") else {condition.name}


def test_labels_that_arrive_apart_and_assets_of_others_wake_the_loop_too() -> None:
    declared = declare(labels="s3://shop/labels/{partition}.csv", key=["id"], wake_on=[Asset("warehouse.loaded")])
    condition = declared.data_dag.timetable.asset_condition
    assert names(condition) == {"warehouse.loaded", "retrain.arrivals.returns", "retrain.arrivals.returns.labels"}
    [watcher] = next(one for one in condition.objects if one.name == "retrain.arrivals.returns.labels").watchers
    assert watcher.trigger.data == "s3://shop/labels/{partition}.csv"


def test_assets_of_others_wake_the_loop_without_a_watcher() -> None:
    declared = declare(watch=False, wake_on=[Asset("warehouse.loaded")])
    assert names(declared.data_dag.timetable.asset_condition) == {"warehouse.loaded"}


def test_what_makes_a_file_complete_reaches_the_watcher_and_the_discovery() -> None:
    declared = declare(complete={"age_seconds": 60})
    assert declared.arrivals.watchers[0].trigger.complete == {"age_seconds": 60}
    assert declared.data_dag.get_task("discover").spec["complete"] == {"age_seconds": 60}


def test_a_backfill_chooses_range_and_concurrency() -> None:
    dag = declare().backfill_dag
    assert dag.schedule is None
    assert dag.get_task("ingest").partial_kwargs["max_active_tis_per_dagrun"] == 16
    form = dag.params
    assert form.get_param("concurrency").resolve(4) == 4
    assert form.get_param("first").resolve(None) is None
    for name, wrong in {"concurrency": 0, "reason": "", "last": 3}.items():
        with pytest.raises((ValidationError, ValueError)):
            form.get_param(name).resolve(wrong)


def test_settings_reach_every_task() -> None:
    runtime = ExternalPython("/opt/jobs/bin/python")
    declared = declare(
        runtime=runtime, store="s3://store", ledger_conn_id="ledger", mlflow_conn_id="ml", retries=5, margin=0.02
    )
    for dag in dags(declared):
        for task in dag.tasks:
            given = task.partial_kwargs if task.task_id == "ingest" else vars(task)
            assert given["runtime"] == runtime.to_dict()
            assert (given["store"], given["ledger_conn_id"], given["mlflow_conn_id"]) == ("s3://store", "ledger", "ml")
            assert given["spec"]["margin"] == 0.02
            assert task.retries == 5


def test_the_form_of_a_retraining_asks_for_reason_and_parameters() -> None:
    form = declare().train_dag.params
    assert form.dump() == {"reason": None, "params": {}, "benchmark": None}
    form.update({"reason": "new labels", "params": {"depth": 3}})
    form.validate()
    with pytest.raises(Exception, match="params"):
        form.update({"params": "deep"})
    assert form.get_param("benchmark").resolve("3, 12") == "3, 12"
    with pytest.raises((ValidationError, ValueError)):
        form.get_param("benchmark").resolve("champion")


@pytest.mark.parametrize(
    "wrong", [{"reason": None}, {"reason": "x"}, {"reason": "good", "version": "champion"}, {"reason": "g" * 501}]
)
def test_the_form_of_a_rollback_wants_a_reason_and_a_number(wrong: dict) -> None:
    for name, value in wrong.items():
        param = declare().rollback_dag.params.get_param(name)
        if value == "good":
            continue
        with pytest.raises((ValidationError, ValueError)):
            param.resolve(value)


def test_the_form_of_a_rollback_takes_a_reason_alone() -> None:
    form = declare().rollback_dag.params
    assert form.get_param("reason").resolve("wrong prices") == "wrong prices"
    assert form.get_param("version").resolve(None) is None
    assert form.get_param("version").resolve("12") == "12"
    assert form.get_param("retire").resolve(True) is True


def test_the_documentation_says_what_was_declared_and_when_it_retrains() -> None:
    for dag in dags(declare(margin=0.02)):
        assert "| `margin` | `0.02` |" in dag.doc_md
        assert "'rule': 'new_data'" in dag.doc_md


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"watch": False},
        {"draw_report": True, "params": {"depth": 3}, "pii": ["name"]},
        {"approval": Approval("always", 2, "approve", ("bo",)), "rollback_on": "decay", "webhook_conn_id": "deployer"},
    ],
)
def test_the_dags_survive_airflows_serialization(options: dict) -> None:
    for dag in dags(declare(**options)):
        stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
        again = DagSerialization.from_dict(stored)
        assert again.dag_id == dag.dag_id
        assert {task.task_id: set(task.downstream_task_ids) for task in again.tasks} == edges(dag)
        assert DagSerialization.to_dict(dag) == DagSerialization.to_dict(dag)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(DeclarationError) as error:
        declare(
            model="re turns", data="s3://shop/all.parquet", labels="s3://labels", complete={"age": 1},
            target="", train="shop.train", prepare="shop/x.py:f",
            margin=-1, minimum=float("nan"), confidence=95,
            quarantine_limit=2, holdout=0, window=0, rule="better", retrain=["weekly"],
        )  # fmt: skip
    message = str(error.value)
    for named in (
        "model='re turns'", "data='s3://shop/all.parquet'", "labels='s3://labels'", "labels without key", "complete=",
        "target is empty", "train='shop.train'",
        "prepare='shop/x.py:f'", "margin=-1.0", "minimum=nan", "confidence=95.0",
        "quarantine_limit=2.0", "holdout=0", "window=0",
        "rule='better'", "retrain='weekly'", "has 17 problems",
    ):  # fmt: skip
        assert named in message, named


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"windows": 3}, r"'returns' does not fit: ModelSpec has unknown fields \['windows'\]"),
        ({"window": "3"}, "ModelSpec.window is '3'"),
        ({"columns": "carrier"}, "ModelSpec.columns is 'carrier' .*Expected a list"),
        ({"target": None}, "ModelSpec.target is None"),
        ({"retrain": NewData(every=3)}, "must be a list of rules"),
        ({"retrain": "weekly"}, "must be a list of rules"),
        ({"train": "shop.train:fit()"}, "package.module:function"),
        ({"model": "a/b"}, "letters, digits"),
    ],
)
def test_a_wrong_declaration_is_one_kind_of_error(wrong: dict, named: str) -> None:
    with pytest.raises(DeclarationError, match=named):
        declare(**wrong)


def test_rules_may_be_none_at_all() -> None:
    assert declare(retrain=[]).rules == ()


def test_a_serving_check_that_runs_somewhere_else_is_a_task_of_its_own() -> None:
    pod = KubernetesPod(image="registry/serving:1")
    train = declare(runtime=ExternalPython("/opt/jobs/bin/python"), serving_runtime=pod).train_dag
    assert edges(train) == {
        "plan": {"train"}, "train": {"serving"}, "serving": {"judge"}, "judge": {"promote"}, "promote": set()
    }  # fmt: skip
    assert [train.get_task(name).steps for name in ("train", "serving", "judge")] == [
        ("train",), ("serving",), ("evaluate", "gate", "register")
    ]  # fmt: skip
    assert train.get_task("serving").runtime == pod.to_dict()
    assert train.get_task("judge").runtime["python"] == "/opt/jobs/bin/python"


def test_conditions_and_the_serving_check_reach_the_training_as_json() -> None:
    conditions = [
        Slices(0.02, by=("carrier",), where={"late": "hour > 18"}, found=3), Latency(p99_ms=50),
        FairnessGap("origin", 0.1).to_dict(), DataAge(60), Custom("mine", "shop.gates:fair"),
    ]  # fmt: skip
    declared = declare(
        conditions=conditions, event_time="at", weight="n", serving=Serving(limits=Limits(p99_ms=80, parity="exact"))
    )
    spec = json.loads(json.dumps(declared.train_dag.get_task("train").spec))
    assert [one["kind"] for one in spec["conditions"]] == ["slices", "latency", "fairness_gap", "data_age", "custom"]
    assert (spec["serving"]["mode"], spec["serving"]["limits"]["p99_ms"]) == ("process", 80)
    assert conditions_from_dicts(spec["conditions"])[0] == conditions[0]
    assert declare().spec.serving == {}
    assert declare(serving=None).spec.serving is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"conditions": [{"kind": "speed"}]}, "the condition is 'speed'"),
        ({"conditions": [{"kind": "slices", "margin": "wide"}]}, "Slices.margin is 'wide'"),
        ({"conditions": [Slices(0.1)]}, "must name slices"),
        ({"conditions": [Slices(-1, by=("a",))]}, "margin must be 0 or more"),
        ({"conditions": [Slices(0.1, by=("a",), confidence=95)]}, "confidence must lie between"),
        ({"conditions": [Slices(0.1, where={"x": "age > 3"})], "pii": ["age"]}, r"\['age'\] are private"),
        ({"conditions": [FairnessGap("sex", 0.1)], "pii": ["sex"]}, r"\['sex'\] are private"),
        ({"conditions": [FairnessGap("sex", 0.1, metric="luck")]}, "unknown metric 'luck'"),
        ({"conditions": [Compared("accuracy", 0.1, rule="better")]}, "rule must be"),
        ({"conditions": [Latency()]}, "must name a limit"),
        ({"conditions": [Latency(p99_ms=3)], "serving": None}, "serving=None turns off"),
        ({"conditions": [DataAge(3)]}, "needs event_time="),
        ({"conditions": [Custom("mine", "shop/gates.py")]}, "must name a function as package.module:function"),
        ({"conditions": [Custom("mine", print)]}, "holds a function itself"),
        ({"conditions": "slices"}, "ModelSpec.conditions is 'slices'"),
        ({"metric": "shop.gates:cost"}, "takes"),
        ({"metric": "rocauc"}, "unknown metric 'rocauc'"),
        ({"metric": "ndcg@10"}, "name their column, query="),
        ({"metric": "ndcg@0", "query": "session"}, "the metric is 'ndcg@0'"),
        ({"metric": "roc_auc", "query": "session"}, "roc_auc is no metric of queries"),
        ({"metric": "ndcg", "query": "session", "weight": "n"}, "rows have no weights"),
        ({"metric": "ndcg", "query": "session", "conditions": [Slices(0.1, by=("a",))]}, "is not asked of queries"),
        ({"metric": "shop.gates:hit", "query": "session"}, "takes"),
        ({"serving": {"mode": "ftp"}}, "Serving.mode is 'ftp'"),
        ({"serving": {"limits": {"p99_ms": -1}}}, r"\['p99_ms'\] are not above 0"),
        ({"serving": {"rows": 0}}, "serving.rows is 0"),
    ],
)
def test_wrong_conditions_are_found_when_the_dag_is_parsed(wrong: dict, named: str) -> None:
    with pytest.raises(DeclarationError, match=named):
        declare(**wrong)


def test_declaring_conditions_loads_no_library() -> None:
    code = """
import sys
from retrain.evaluation import Slices, FairnessGap, Compared
from retrain.serving import Serving
from retrain.templates.declaration import checked, declared
fields = dict(model="m", dataset="d", data="x/{partition}", target="y", train="a:b", metric="roc_auc", project_root="")
spec = declared({**fields, "conditions": [Slices(0.1, by=("a",)), FairnessGap("a", 0.1), Compared("log_loss", 0.1)],
                 "serving": Serving()})
checked(spec, [])
checked(declared({**fields, "metric": "ndcg@10[score]", "query": "q"}), [])
checked(declared({**fields, "metric": "shop.metrics:hit_first[value]", "query": "q"}), [])
print([name for name in ("numpy", "pandas", "scipy", "sklearn", "mlflow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
