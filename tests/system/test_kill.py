"""SIGKILL at every stage; then retries, the next run or the sweep: one promotion, an intact chain, nothing lost.

The workers are killed by `sabotage/sitecustomize.py`, at the points that are armed here. All models run at once in the
same Airflow; each test looks at one of them.
"""

from collections import Counter
from pathlib import Path

import pytest

from retrain.ledger import ClaimState
from retrain.loop.streams import Kind
from tests.system.world import PARTITIONS, World, assert_whole

# For each stage the points at which its task is killed, one after another, each in a try of its own.
STAGES = {
    "discover": ["discover: one of two files registered"],
    "ingest": [
        "ingest: claimed",
        "ingest: in the job",
        "ingest: before the commit",
        "ingest: after the commit",
    ],
    "orphan": ["orphan in the job"],
    "decide": ["decide: before the decision", "decide: decided, not told"],
    "plan": ["plan: claimed", "plan: planned"],
    "train": [
        "train: in fit",
        "train: model logged",
        "train: before the registration",
        "train: registered",
        "train: committed",
    ],
    "serving": ["serving: begun", "serving: the model runs", "serving: judged"],
    "promote": ["promote: before the ledger", "promote: between ledger and alias", "promote: promoted"],
}
# Without retries the whole run is dead, and another run has to go on.
DEAD_RUNS = {
    "run": ["ingest: before the commit", "train: registered", "promote: between ledger and alias"],
    "sweep": ["plan: claimed", "promote: before the ledger"],
}
# A worker that dies between the answer of a person and its record has to ask again: Airflow keeps it for one try only.
APPROVE = ["approve: about to ask", "approve: answered, not recorded", "approve: recorded"]
ASKED = ["approve: about to ask", "promote: before the ledger"]
ROLLBACK = ["rollback: before the ledger", "rollback: between ledger and alias", "rollback: shown in MLflow"]


def arm(world: World, model: str, points: list[str]) -> None:
    """Let the model's workers be killed at these points."""
    (world.folder / "armed" / model).write_text("\n".join(points))


def sprung(world: World, model: str) -> list[str]:
    """Return the points at which the model's workers were killed."""
    path = world.folder / "sprung" / model
    return path.read_text().splitlines() if path.exists() else []


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def battlefield(world: World) -> World:
    """All models of the stages and of the dead runs, started, killed, and left until they have ended."""
    for stage, points in {**STAGES, **DEAD_RUNS}.items():
        arm(world, f"kill-{stage}", points)
    world.begin(*(f"kill-{model}" for model in (*DEAD_RUNS, *STAGES)))
    return world


@pytest.fixture(scope="module")
def released(world: World) -> World:
    """Models whose workers die while a person is asked, and while one is rolled back."""
    arm(world, "kill-approve", APPROVE)
    arm(world, "kill-asked", ASKED)
    world.begin("kill-approve", "kill-asked", "kill-rollback")
    return world


def answer(world: World, model: str) -> bool:
    """Approve what is asked in the latest run of the model's training, if something is."""
    dag = f"{model}.train"
    for run in world.airflow.runs(dag):
        if world.question(dag, run["dag_run_id"]) is not None:
            world.answer(dag, run["dag_run_id"], "Approve", by=world.second, comment="fine")
            return True
    return False


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_that_is_killed_at_any_point_of_a_stage_is_made_up_for(battlefield: World, stage: str) -> None:
    world, model = battlefield, f"kill-{stage}"
    world.wait(f"{model} to be promoted", lambda: world.finished(model))
    assert sprung(world, model) == STAGES[stage]
    assert_whole(world, model)
    assert len(world.versions(model)) == 1
    states = {run["state"] for kind in ("data", "train") for run in world.airflow.runs(f"{model}.{kind}")}
    assert "failed" not in states


def test_a_training_that_was_logged_is_not_paid_for_twice(battlefield: World) -> None:
    world, model = battlefield, "kill-train"
    world.wait(f"{model} to be promoted", lambda: world.finished(model))
    (judged,) = world.events(model, Kind.JUDGED)
    found = world.mlflow("experiments/get-by-name?experiment_name=" + model)["experiment"]
    runs = world.mlflow("runs/search", {"experiment_ids": [found["experiment_id"]]})["runs"]
    # Killed in fit, killed before the run was complete, then found complete by all later tries.
    assert Counter(run["info"]["status"] for run in runs) == {"KILLED": 2, "FINISHED": 1}
    assert [run["info"]["run_id"] for run in runs if run["info"]["status"] == "FINISHED"] == [judged.payload["run_id"]]


def test_a_model_under_check_dies_with_its_worker_and_is_checked_again_without_another_training(
    battlefield: World,
) -> None:
    world, model = battlefield, "kill-serving"
    world.wait(f"{model} to be promoted", lambda: world.finished(model))
    (judged,) = world.events(model, Kind.JUDGED)
    assert judged.payload["serving"]["status"] == "pass"
    assert judged.payload["serving"]["digest"] == judged.payload["artifact_digest"]
    found = world.mlflow("experiments/get-by-name?experiment_name=" + model)["experiment"]
    runs = world.mlflow("runs/search", {"experiment_ids": [found["experiment_id"]]})["runs"]
    assert [run["info"]["status"] for run in runs] == ["FINISHED"]
    world.wait("no probe to be without the process that started it", lambda: not orphans(), seconds=10)


def orphans() -> list[str]:
    """Return the processes of serving checks whose starter, which their last argument names, is gone."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")[:-1]
        except OSError:
            continue
        if any(part.endswith(b"/_probe.py") for part in command) and not is_alive(int(command[-1])):
            found.append(b" ".join(command).decode())
    return found


def test_the_next_run_finishes_what_dead_runs_have_begun(battlefield: World) -> None:
    world, model = battlefield, "kill-run"
    for deaths, dag in enumerate(("data", "train", "train"), start=1):
        world.wait(f"{model} to be killed", lambda deaths=deaths: len(sprung(world, model)) == deaths)
        world.wait("the dead run to end", lambda: world.idle(model))
        assert world.airflow.runs(f"{model}.{dag}")[0]["state"] == "failed"
        assert world.aliases(model) == {} if deaths > 1 else not world.events(model, Kind.DECIDED)
        if dag == "data":
            world.run(f"{model}.data")
        else:
            world.wake(model)
    world.wait(f"{model} to be promoted", lambda: world.finished(model))
    assert sprung(world, model) == DEAD_RUNS["run"]
    assert_whole(world, model)
    assert len(world.versions(model)) == 1


def test_the_sweep_finishes_what_dead_runs_have_begun(battlefield: World) -> None:
    world, model = battlefield, "kill-sweep"
    world.wait(f"{model} to be promoted", lambda: world.finished(model))
    assert sprung(world, model) == DEAD_RUNS["sweep"]
    assert_whole(world, model)


def test_what_a_dead_run_holds_is_taken_over_when_its_lease_ends(battlefield: World) -> None:
    world = battlefield
    arm(world, "kill-holder", ["ingest: before the commit"])
    world.begin("kill-holder", dataset="kill-shared")
    world.wait("the holder to be killed", lambda: sprung(world, "kill-holder"))
    held = world.ledger.get_claim("dataset:kill-shared/validate/2024-01@v1")
    assert held.owner.startswith("kill-holder.data/")
    world.airflow.unpause("kill-waiter.train", "kill-waiter.data", watchers=False)
    world.wait("the waiter to be promoted", lambda: world.finished("kill-waiter"))
    taken = world.ledger.get_claim(held.work)
    assert taken.owner.startswith("kill-waiter.data/")
    assert (taken.epoch, taken.state) == (held.epoch + 1, ClaimState.DONE)
    assert_whole(world, "kill-waiter", "kill-shared")


def test_killing_the_triggerer_loses_no_file(battlefield: World) -> None:
    world, model = battlefield, "kill-triggerer"
    world.land(model, PARTITIONS[0])
    world.airflow.unpause(f"{model}.train", f"{model}.data")
    first = world.wait("the first file to be watched", lambda: world.events(model, Kind.WATCHED))
    assert first[0].payload["partition"] == PARTITIONS[0]
    world.component("triggerer").kill()
    world.land(model, PARTITIONS[1])
    world.airflow.start("triggerer")
    world.wait(f"{model} to be promoted", lambda: world.finished(model))
    assert_whole(world, model)


def test_killing_the_scheduler_and_its_workers_promotes_once(battlefield: World) -> None:
    """The task's own process outlives its worker: it trains on beside the retry, and both finish at once.

    Then MLflow may get two versions, each with the verdict on it. The ledger takes the first and knows no other.
    """
    world, model = battlefield, "kill-scheduler"
    (world.folder / "hold" / model).touch()
    world.begin(model)
    held = world.folder / "held" / model
    world.wait("the training to run", held.exists)
    world.component("scheduler").kill()
    world.airflow.start("scheduler")
    world.wait("the training to run once more", lambda: len(held.read_text().splitlines()) == 2)
    (world.folder / "hold" / model).unlink()
    world.wait(f"{model} to be promoted", lambda: world.finished(model))
    world.wait("both trainings to end", lambda: not any(map(is_alive, map(int, held.read_text().split()))))
    assert_whole(world, model)


def test_a_worker_that_dies_around_a_question_neither_loses_nor_doubles_the_answer(released: World) -> None:
    world, model = released, "kill-approve"
    world.wait(f"{model} to be promoted", lambda: (answer(world, model), world.finished(model))[1], pause=1)
    assert sprung(world, model) == APPROVE
    (asked,) = world.events(model, Kind.ASKED)
    (approved,) = world.events(model, Kind.APPROVED)
    (promoted,) = world.events(model, Kind.PROMOTED)
    assert approved.key == asked.key
    assert (approved.actor, promoted.payload["approved_by"]) == ("second", "second")
    assert_whole(world, model)


def test_the_next_runs_ask_and_promote_what_dead_runs_have_left(released: World) -> None:
    world, model = released, "kill-asked"

    def push() -> bool:
        """Answer what is asked; wake the next run where the last one is dead."""
        if not answer(world, model) and world.idle(model) and sprung(world, model) and not world.finished(model):
            world.wake(model)
        return world.finished(model)

    world.wait(f"{model} to be promoted", push, pause=2)
    assert sprung(world, model) == ASKED
    assert Counter(run["state"] for run in world.airflow.runs(f"{model}.train"))["failed"] == 2
    (judged,) = world.events(model, Kind.JUDGED)
    (approved,) = world.events(model, Kind.APPROVED)
    assert approved.key == judged.key
    assert_whole(world, model)


def test_a_worker_that_dies_during_a_rollback_ends_in_one(released: World) -> None:
    world, model = released, "kill-rollback"
    world.wait(f"{model} to be promoted", lambda: world.finished(model))
    world.land(model, "2024-03")
    world.run(f"{model}.data")
    world.wait("the second version", lambda: len(world.events(model, Kind.PROMOTED)) == 2 and world.finished(model))
    assert world.aliases(model) == {"champion": "2", "previous": "1"}
    arm(world, model, ROLLBACK)
    run = world.run(f"{model}.rollback", {"reason": "wrong prices"})
    assert world.state(f"{model}.rollback", run) == "success"
    assert sprung(world, model) == ROLLBACK
    (event,) = world.events(model, Kind.ROLLED_BACK)
    assert (event.payload["version"], event.payload["previous"]) == ("1", "2")
    assert world.aliases(model) == {"champion": "1", "previous": "2"}
    assert world.ledger.verify().ok
