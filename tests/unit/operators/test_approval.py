"""Asking a person: what is shown, what counts as an answer, and what is asked again. The ledger is a real one."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput
from airflow.sdk.execution_time import task_runner

from retrain import Approval
from retrain.data import storage
from retrain.ledger import Ledger
from retrain.operators import ModelApproveOperator
from tests.support.airflow_tasks import connect, connect_ledger, context

STREAM, DAG = "model:returns", "returns.train"
JUDGED = {"register": {"version": "2"}}


class Supervisor:
    """Airflow's side of a task: keeps the questions it is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, msg: Any) -> None:
        if type(msg).__name__ == "CreateHITLDetailPayload":
            self.sent.append(msg)


class Desk:
    """A ledger with a verdict, and the operator that asks about it."""

    def __init__(self, root: Path, supervisor: Supervisor) -> None:
        self.ledger = Ledger.open(f"sqlite:///{root}/ledger.db", migrate=True)
        self.supervisor = supervisor
        self.root = root

    def judge(self, status: str = "pass", run: str = "run", actor: str = "dag:x", **more: Any) -> None:
        verdict = {"status": status, "metric": "roc_auc", "rule": "r", "reasons": ["said"], "rows": 10}
        payload = {"version": "2", "champion": None, "verdict": verdict, "requests": [], "run_id": "abc", **more}
        self.ledger.append(STREAM, "judged", f"{DAG}/{run}", payload, actor=actor)

    def operator(self, judged: Any = JUDGED, **approval: Any) -> ModelApproveOperator:
        spec = {
            "model": "returns", "dataset": "orders", "data": "f/{partition}.parquet", "target": "y", "train": "a:fit",
            "metric": "roc_auc", "project_root": "/p", "approval": Approval(**{"when": "always", **approval}).to_dict(),
        }  # fmt: skip
        return ModelApproveOperator(task_id="approve", judged=judged, spec=spec, store=self.root.as_uri())

    def ask(self, task: ModelApproveOperator, run: str = "run") -> TaskAwaitingInput:
        with pytest.raises(TaskAwaitingInput) as waiting:
            task.execute(context("approve", dag_id=DAG, run_id=run))
        return waiting.value

    def answer(self, task: ModelApproveOperator, chosen: str = "Approve", user: str | None = "bo", **more: Any) -> Any:
        event = {
            "chosen_options": [chosen],
            "params_input": {"comment": "fine"},
            "responded_at": datetime.now(UTC),
            "responded_by_user": {"id": user, "name": user} if user else None,
            "timedout": user is None,
        }
        return task.execute_complete(
            context("approve", dag_id=DAG, run_id="run"), event={**event, **more}, key=f"{DAG}/run"
        )

    def kinds(self) -> list[str]:
        return [event.kind for event in self.ledger.events(STREAM)]


class NoModels(BaseHTTPRequestHandler):
    """An MLflow that holds no models, as its REST API says it."""

    def do_GET(self) -> None:
        body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}'
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def empty_mlflow() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), NoModels) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch, empty_mlflow: str):
    connect_ledger(monkeypatch, tmp_path / "ledger.db")
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host=empty_mlflow)
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    made = Desk(tmp_path, supervisor)
    yield made
    made.ledger.close()


def test_a_person_is_asked_with_the_evidence_and_no_worker_waits(desk) -> None:
    desk.judge()
    waiting = desk.ask(desk.operator(timeout_hours=2, approvers=("bo",)))
    (detail,) = desk.supervisor.sent
    assert detail.options == ["Approve", "Reject"]
    assert detail.defaults == ["Reject"]
    assert [user.id for user in detail.assigned_users] == ["bo"]
    assert "version 2 of returns" in detail.subject
    assert "/#/models/returns/versions/2)" in detail.body
    assert detail.params["comment"]["schema"]["maxLength"] == 2000
    assert (waiting.method_name, waiting.kwargs) == ("execute_complete", {"key": f"{DAG}/run"})
    assert timedelta(hours=1.9) < waiting.timeout <= timedelta(hours=2)
    assert desk.kinds() == ["judged", "asked"]


def test_the_evidence_is_kept_before_a_person_is_asked_and_linked_in_the_question(desk, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/team/")
    desk.judge()
    asked = context("approve", dag_id=DAG, run_id="run")
    with pytest.raises(TaskAwaitingInput):
        desk.operator().execute(asked)
    (detail,) = desk.supervisor.sent
    address = "https://airflow.example/team/retrain/pages/returns.train/run/approve/-1/evidence"
    assert f"[All evidence]({address})" in detail.body
    page = storage.read_bytes(asked["ti"].pushed["retrain_pages"]["evidence"]).decode()
    assert "returns, version 2" in page
    assert "without an answer within 72 hours: reject" in page


def test_a_store_that_is_down_hinders_no_question(desk) -> None:
    (desk.root / "no-store").write_text("a file, and no folder")
    desk.judge()
    task = desk.operator()
    task.store = (desk.root / "no-store").as_uri()
    desk.ask(task)
    (detail,) = desk.supervisor.sent
    assert "All evidence" not in detail.body
    assert "[Version in MLflow]" in detail.body


def test_the_answer_the_person_and_the_comment_are_recorded(desk) -> None:
    desk.judge()
    task = desk.operator()
    desk.ask(task)
    assert desk.answer(task) == {"approved": True, "by": "bo", "comment": "fine", "note": ""}
    event = desk.ledger.last(STREAM, "approved")
    assert (event.actor, event.key, event.payload["by"]) == ("bo", f"{DAG}/run", "bo")
    assert desk.operator().execute(context("approve", dag_id=DAG, run_id="run"))["approved"] is True


def test_a_no_is_an_answer_and_the_task_succeeds(desk) -> None:
    desk.judge()
    assert desk.answer(desk.operator(), "Reject")["approved"] is False
    assert desk.kinds()[-1] == "rejected"


@pytest.mark.parametrize(
    "broken",
    [
        {"params_input": {"comment": 7}},
        {"params_input": {"comment": "x" * 2001}},
        {"params_input": {"remark": "fine"}},
        {"params_input": {"comment": "fine", "more": 1}},
        {"chosen_options": ["Maybe"]},
        {"chosen_options": []},
        {"chosen_options": ["Approve", "Reject"]},
        {"params_input": ["comment"]},
    ],
)
def test_an_answer_that_breaks_its_form_is_asked_again_and_not_fatal(desk, broken) -> None:
    desk.judge()
    task = desk.operator()
    with pytest.raises(TaskAwaitingInput):
        desk.answer(task, **broken)
    assert desk.kinds() == ["judged", "asked"]
    assert desk.answer(task, params_input={})["comment"] == ""


def test_the_one_who_asked_for_the_training_may_not_approve_it_but_may_reject_it(desk) -> None:
    desk.judge(actor="ada")
    task = desk.operator()
    with pytest.raises(TaskAwaitingInput):
        desk.answer(task, user="ada")
    assert desk.ledger.last(STREAM, "approved") is None
    assert "Not to be answered by ada" in desk.supervisor.sent[-1].body
    assert desk.answer(task, "Reject", user="ada")["approved"] is False


def test_four_eyes_can_be_declared_away(desk) -> None:
    desk.judge(actor="ada")
    assert desk.answer(desk.operator(four_eyes=False), user="ada")["approved"] is True


def test_without_a_login_nobody_can_be_told_apart_and_the_record_says_so(desk, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    desk.judge(actor="Anonymous")
    answered = desk.answer(desk.operator(approvers=("bo",)), user="Anonymous")
    assert answered["approved"] is True
    assert answered["note"].startswith("no login")


def test_only_a_declared_approver_answers(desk) -> None:
    desk.judge()
    task = desk.operator(approvers=("bo", "cleo"))
    with pytest.raises(TaskAwaitingInput):
        desk.answer(task, user="eve")
    assert desk.answer(task, user="cleo")["by"] == "cleo"


@pytest.mark.parametrize("default", ["reject", "approve"])
def test_nobodys_answer_is_the_declared_one(desk, default) -> None:
    desk.judge()
    answered = desk.answer(desk.operator(on_timeout=default), user=None, chosen_options=["Approve"])
    assert (answered["approved"], answered["by"]) == (default == "approve", None)
    assert "nobody answered" in answered["note"]


def test_a_retry_keeps_the_deadline_and_answers_for_nobody_when_it_has_passed(desk) -> None:
    desk.judge()
    task = desk.operator(timeout_hours=1e-7)
    assert desk.operator(timeout_hours=1e-7).execute(context("approve", dag_id=DAG, run_id="run"))["approved"] is False
    assert task.execute(context("approve", dag_id=DAG, run_id="run"))["note"].startswith("nobody answered")
    assert desk.kinds() == ["judged", "asked", "rejected"]


@pytest.mark.parametrize(("when", "status"), [("when_inconclusive", "pass"), ("always", "fail"), ("never", "pass")])
def test_where_nothing_has_to_be_asked_the_task_skips(desk, when, status) -> None:
    desk.judge(status)
    with pytest.raises(AirflowSkipException):
        desk.operator(when=when).execute(context("approve", dag_id=DAG, run_id="run"))
    assert desk.kinds() == ["judged"]


def test_what_a_dead_run_has_not_asked_is_asked_by_the_next_for_the_run_that_judged(desk) -> None:
    with pytest.raises(AirflowSkipException, match="No version of returns waits"):
        desk.operator(judged=None).execute(context("approve", dag_id=DAG, run_id="sweep"))
    desk.judge(run="dead", actor="ada")
    task = desk.operator(judged=None)
    assert desk.ask(task, run="sweep").kwargs == {"key": f"{DAG}/dead"}
    event = {"chosen_options": ["Approve"], "params_input": {}, "responded_by_user": {"id": "bo", "name": "bo"}}
    task.execute_complete(context("approve", dag_id=DAG, run_id="sweep"), event=event, key=f"{DAG}/dead")
    assert desk.ledger.last(STREAM, "approved").key == f"{DAG}/dead"


def test_an_answer_to_a_question_that_is_none_any_more_is_dropped(desk) -> None:
    desk.judge()
    task = desk.operator()
    desk.ask(task)
    desk.ledger.append(STREAM, "retired", "2", {"version": "2", "reason": "bad"}, actor="bo")
    with pytest.raises(AirflowSkipException, match="retired: bad"):
        desk.answer(task, chosen_options=[])


def test_a_verdict_that_is_not_in_the_ledger_fails_at_once(desk) -> None:
    with pytest.raises(AirflowFailException, match="holds no verdict"):
        desk.operator().execute(context("approve", dag_id=DAG, run_id="another"))


def test_a_person_is_asked_also_while_mlflow_is_down(desk, monkeypatch) -> None:
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host="http://127.0.0.1:9")
    desk.judge()
    desk.ask(desk.operator())
    assert len(desk.supervisor.sent) == 1
