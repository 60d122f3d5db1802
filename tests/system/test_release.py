"""People release: asked by a real scheduler, answered through the real API, undone by a form, told to the outside."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from retrain.loop.streams import Kind
from scripts.services.airflow import Airflow, RefusedError
from tests.support.receiver import Receiver, running_receiver
from tests.system.test_bad_input import connection
from tests.system.world import PARTITIONS, World, sample


@pytest.fixture(scope="module")
def receiver(world: World) -> Iterator[Receiver]:
    """A deployer outside, behind a connection that was added in the UI."""
    with running_receiver() as running:
        connection(world, "deployer", conn_type="http", host=f"http://127.0.0.1:{running.port}/models")
        yield running


def take_in(world: World, model: str, *partitions: str) -> None:
    world.land(model, *partitions)
    world.run(f"{model}.data")


def prepare(world: World, model: str) -> None:
    """Let the sweep of the training DAG go by while there is no data, and pause it; then take the data in."""
    dag = f"{model}.train"
    world.airflow.unpause(dag, watchers=False)
    world.wait(f"the first sweep of {dag}", lambda: world.airflow.runs(dag) and world.idle(model))
    world.airflow.call("PATCH", f"/dags/{dag}", {"is_paused": True})
    take_in(world, model, *PARTITIONS)


def ask(world: World, model: str) -> str:
    """Trigger a training by hand, as admin, and wait until somebody is asked about what came of it."""
    # Asked for while the DAG is paused the first time: this run goes before the one that the cold start wakes.
    run = world.airflow.trigger(f"{model}.train", {"reason": "new labels"})
    world.airflow.unpause(f"{model}.train", watchers=False)
    world.wait(f"the question of {model}", lambda: world.question(f"{model}.train", run))
    return run


def refused(world: World, dag: str, run: str, by: Airflow, why: str, **form: Any) -> None:
    """Give an answer that does not count: it is asked again, and the log says why."""
    for _ in range(3):  # a task that was taken for lost asks again too, and says nothing
        world.answer(dag, run, "Approve", by=by, **form)
        world.wait("the question to come again", lambda: world.question(dag, run))
        if why in world.log(dag, run, "approve"):
            return
    raise AssertionError(f"the log never said: {why}")


def test_a_person_approves_and_who_it_was_stays_known(world: World, receiver: Receiver) -> None:
    model, dag = "asked", "asked.train"
    prepare(world, model)
    run = ask(world, model)
    question = world.question(dag, run)
    assert question["options"] == ["Approve", "Reject"]
    for shown in (
        "| roc_auc on | rows |",
        "/#/models/asked/versions/1",
        f"/dags/{dag}/runs/{run}",
        "Not to be answered by admin",
    ):
        assert shown in question["body"], shown
    assert world.aliases(model) == {"challenger": "1"}
    assert world.tasks(dag, run)["promote"]["state"] in (None, "scheduled", "no_status")

    path = f"/dags/{dag}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
    with pytest.raises(RefusedError) as denied:
        world.viewer.call("PATCH", path, {"chosen_options": ["Approve"], "params_input": {}})
    assert denied.value.status == 403

    # Four eyes: the one who asked for the training may not approve it; an answer that breaks its form is no answer.
    refused(world, dag, run, world.airflow, "may not approve what came of it", comment="my own work")
    refused(world, dag, run, world.second, "breaks its form", comment=7)
    assert not world.events(model, Kind.APPROVED, Kind.REJECTED, Kind.PROMOTED)

    assert world.settle(dag, run, "Approve", by=world.second, comment="looked at the slices") == "success"
    (asked,) = world.events(model, Kind.ASKED)
    (approved,) = world.events(model, Kind.APPROVED)
    (promoted,) = world.events(model, Kind.PROMOTED)
    assert (approved.actor, approved.payload["comment"]) == ("second", "looked at the slices")
    assert asked.key == approved.key == f"{dag}/{run}"
    assert (promoted.payload["approved_by"], promoted.actor) == ("second", "admin")
    assert world.aliases(model) == {"champion": "1"}
    assert world.versions(model)[0]["tags"]["retrain.champion.approved_by"] == "second"
    assert receiver.keys == [f"model:{model}#{promoted.sequence}"]
    assert receiver.calls[0][2]["approved_by"] == "second"


def test_the_asset_says_what_was_promoted_and_why(world: World, receiver: Receiver) -> None:
    found = world.airflow.call("GET", "/assets?uri_pattern=retrain%3A%2F%2Fchampion%2Fasked")["assets"]
    (asset,) = [one for one in found if one["uri"] == "retrain://champion/asked"]
    (event,) = world.airflow.call("GET", f"/assets/events?asset_id={asset['id']}")["asset_events"]
    (promoted,) = world.events("asked", Kind.PROMOTED)
    assert {name: event["extra"][name] for name in ("version", "previous", "kind", "by", "id")} == {
        "version": "1", "previous": None, "kind": "promoted", "by": "admin", "id": f"model:asked#{promoted.sequence}",
    }  # fmt: skip
    assert "looked at the slices" in event["extra"]["reason"]


def test_a_no_leaves_the_champion_and_a_later_run_does_not_ask_again(world: World, receiver: Receiver) -> None:
    model, dag = "asked", "asked.train"
    take_in(world, model, "2024-03")
    run = ask(world, model)
    assert world.settle(dag, run, "Reject", by=world.second, comment="too soon") == "success"
    assert world.tasks(dag, run)["promote"]["state"] == "skipped"
    assert world.aliases(model) == {"champion": "1"}
    assert world.events(model, Kind.REJECTED)[0].payload["comment"] == "too soon"
    before = len(world.airflow.runs(dag))
    world.wake(model)
    world.wait("a later run", lambda: len(world.airflow.runs(dag)) > before and world.idle(model))
    assert len(world.events(model, Kind.ASKED)) == 2
    assert len(receiver.calls) == 1


def test_a_rollback_by_the_form_takes_less_than_a_minute_check_included(world: World, receiver: Receiver) -> None:
    model = "asked"
    take_in(world, model, "2024-04")
    run = ask(world, model)
    assert world.settle(f"{model}.train", run, "Approve", by=world.second, comment="now") == "success"
    champion = world.aliases(model)["champion"]
    assert champion != "1"

    receiver.answers = [503, 500]  # the deployer is down: the rollback stands, and it is told until it listens
    start = time.monotonic()
    back = world.run(f"{model}.rollback", {"reason": "wrong prices", "retire": True})
    seconds = time.monotonic() - start
    tasks = world.tasks(f"{model}.rollback", back)
    spent = _seconds(tasks["rollback"])
    print(f"\nrollback: {spent:.1f} s in its task, {seconds:.1f} s from the form to the end with two failed notices")
    assert tasks["rollback"]["state"] == tasks["notify"]["state"] == "success"
    assert spent < 60
    (event,) = world.events(model, Kind.ROLLED_BACK)
    assert (event.actor, event.payload["reason"], event.payload["check"]["status"]) == ("admin", "wrong prices", "pass")
    assert world.aliases(model) == {"champion": "1", "previous": champion}
    assert receiver.keys[-3:] == [f"model:{model}#{event.sequence}"] * 3
    assert [one.payload["version"] for one in world.events(model, Kind.RETIRED)] == [champion]

    again = world.run(f"{model}.rollback", {"reason": "back once more", "version": champion})
    assert world.state(f"{model}.rollback", again) == "failed"
    assert "was retired by admin: wrong prices" in world.log(f"{model}.rollback", again, "rollback")
    assert world.aliases(model)["champion"] == "1"
    assert world.ledger.verify().ok


def test_nobody_answers_and_the_declared_answer_counts(world: World) -> None:
    model, dag = "asked-late", "asked-late.train"
    prepare(world, model)
    run = world.airflow.trigger(dag, {"reason": "new labels"})
    world.airflow.unpause(dag, watchers=False)
    assert world.ended(dag, run) == "success"
    (rejected,) = world.events(model, Kind.REJECTED)
    assert (rejected.payload["by"], rejected.actor) == (None, "admin")
    assert rejected.payload["note"].startswith("nobody answered within")
    assert world.tasks(dag, run)["promote"]["state"] == "skipped"
    assert not world.events(model, Kind.PROMOTED)


def test_who_is_no_approver_is_refused_by_airflow(world: World) -> None:
    model, dag = "asked-one", "asked-one.train"
    prepare(world, model)
    run = ask(world, model)
    with pytest.raises(RefusedError) as denied:
        world.answer(dag, run, "Approve", by=world.airflow)
    assert denied.value.status == 403
    assert world.settle(dag, run, "Approve", by=world.second) == "success"
    assert world.aliases(model) == {"champion": "1"}


def arrive(world: World, model: str, partition: str, *, turned: bool = False) -> str:
    """Land a partition and touch nothing else; returns the id of the run that its arrival started and that took it in.

    In a partition that is `turned`, what was bought before is not bought any more, and the other way round.
    """
    rows, before = sample(partition), len(world.events(model, Kind.WATCHED))
    world.land(model, partition, frame=rows.assign(bought=1 - rows["bought"]) if turned else rows)
    world.wait(
        f"{partition} to be watched", lambda: len(world.events(model, Kind.WATCHED)) > before and world.quiet(model)
    )
    for run in world.airflow.runs(f"{model}.data"):
        tasks = world.tasks(f"{model}.data", run["dag_run_id"])
        if any(one["rendered_map_index"] == partition for one in tasks.values()):
            assert (run["run_type"], run["triggering_user_name"], run["state"]) == ("asset_triggered", None, "success")
            return str(run["dag_run_id"])
    raise AssertionError(f"no run took {partition} in")


def test_decay_after_a_promotion_takes_it_back_with_nobody_there_and_once(world: World, receiver: Receiver) -> None:
    model, dag = "guarded", "guarded.data"
    world.begin(model, watchers=True)
    world.wait("the first champion", lambda: world.finished(model))
    run = arrive(world, model, "2024-03", turned=True)
    assert world.events(model, Kind.WATCHED)[-1].payload["performance"]["status"] == "decay"
    assert world.tasks(dag, run)["guard"]["state"] == "skipped", "no version was champion before"
    arrive(world, model, "2024-03")  # corrected
    world.run(f"{model}.train", {"reason": "a corrected month"})
    assert world.aliases(model) == {"champion": "2", "previous": "1"}

    run = arrive(world, model, "2024-04", turned=True)
    tasks = world.tasks(dag, run)
    print(f"\nrollback by the guard: {_seconds(tasks['guard']):.1f} s in its task")
    assert {tasks[name]["state"] for name in ("guard", "notify", "decide")} == {"success"}
    (back,) = world.events(model, Kind.ROLLED_BACK)
    assert (back.actor, back.payload["alarm"], back.payload["check"]["status"]) == (f"dag:{dag}", "decay", "pass")
    assert (back.payload["version"], back.payload["previous"]) == ("1", "2")
    assert back.payload["reason"].startswith("decay on 2024-04@v1: ")
    (guarded,) = world.events(model, Kind.GUARDED)
    assert (guarded.payload["version"], guarded.payload["target"], guarded.payload["refused"]) == ("2", "1", None)
    assert [one.payload["version"] for one in world.events(model, Kind.RETIRED)] == ["2"]
    assert world.aliases(model) == {"champion": "1", "previous": "2"}
    assert receiver.keys[-1] == f"model:{model}#{back.sequence}"

    # It decays too, and is what a rollback made champion.
    run = arrive(world, model, "2024-05", turned=True)
    watched = world.events(model, Kind.WATCHED)[-1].payload["performance"]
    assert (watched["champion"], watched["status"]) == ("1", "decay")
    assert world.tasks(dag, run)["guard"]["state"] == "skipped"
    assert len(world.events(model, Kind.ROLLED_BACK)) == 1
    assert world.aliases(model) == {"champion": "1", "previous": "2"}
    assert world.ledger.verify().ok


def _seconds(task: dict) -> float:
    start, end = (datetime.fromisoformat(str(task[name]).replace("Z", "+00:00")) for name in ("start_date", "end_date"))
    return (end - start).total_seconds()
