"""Drift in a real scheduler: who waits for it, who is told, and what the task links to."""

from retrain.loop.streams import Kind
from tests.system.world import PARTITIONS, World, sample


def returned(world: World, dag_id: str, run_id: str, task_id: str):
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value?deserialize=true"
    return world.airflow.call("GET", path)["value"]


def test_a_drift_ends_a_deferred_wait_and_wakes_the_dag_that_is_scheduled_on_it(world: World) -> None:
    model = "drifting"
    world.begin(model)
    world.wait("the first champion", lambda: world.finished(model))
    world.airflow.unpause("told_of_drift", "waits_for_drift", watchers=False)
    waiting = world.airflow.trigger("waits_for_drift")
    state = lambda: world.tasks("waits_for_drift", waiting).get("wait", {}).get("state")  # noqa: E731
    world.wait("the sensor to leave its worker", lambda: state() == "deferred")

    world.land(model, "2024-03")
    world.run(f"{model}.data")
    assert world.events(model, Kind.WATCHED)[-1].payload["drift"]["status"] == "ok"
    assert state() == "deferred"
    assert not world.airflow.runs("told_of_drift")

    moved = sample("2024-04")
    world.land(model, "2024-04", frame=moved.assign(x=moved["x"] + 2))
    run = world.run(f"{model}.data")
    payload = world.events(model, Kind.WATCHED)[-1].payload
    assert (payload["partition"], payload["drift"]["status"]) == ("2024-04", "drift")

    assert world.ended("waits_for_drift", waiting) == "success"
    found = returned(world, "waits_for_drift", waiting, "wait")
    world.wait("a run that is told", lambda: world.airflow.runs("told_of_drift"))
    (told,) = world.airflow.runs("told_of_drift")
    assert world.ended("told_of_drift", told["dag_run_id"]) == "success"
    (event,) = returned(world, "told_of_drift", told["dag_run_id"], "tell")["told"]
    assert event == {name: value for name, value in found.items() if name != "recorded_at"}
    assert (event["model"], event["partition"], event["status"]) == (model, "2024-04", "drift")
    assert (event["drivers"], event["verdict_uri"]) == (["x"], payload["drift"]["verdict_uri"])
    assert "feature" in event["kinds"]

    path = f"/dags/{model}.data/dagRuns/{run}/taskInstances/ingest/links?map_index=0"
    links = world.airflow.call("GET", path)["extra_links"]
    assert (
        links["Drift summary"]
        == f"retrain/pages/{model}.data/{run.replace(':', '%3A').replace('+', '%2B')}/ingest/0/summary"
    )
    assert links["Drift report"] is None or not links["Drift report"]
    assert len(PARTITIONS) + 2 == len(world.events(model, Kind.WATCHED))
    assert world.ledger.verify().ok
