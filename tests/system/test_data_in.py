"""A backfill and labels that arrive apart, in a real scheduler."""

from retrain.loop.streams import Kind
from tests.system.world import PARTITIONS, World, sample


def test_a_backfill_takes_a_range_in_once_more_side_by_side(world: World) -> None:
    model = "replayed"
    world.begin(model)
    world.wait("the first champion", lambda: world.finished(model))
    trainings = len(world.events(model, Kind.JUDGED))
    form = {"first": PARTITIONS[0], "last": PARTITIONS[-1], "concurrency": 2, "reason": "a stricter suite"}
    run = world.run(f"{model}.backfill", form)
    assert world.state(f"{model}.backfill", run) == "success"
    assert {"ingest[0]", "ingest[1]"} <= set(world.tasks(f"{model}.backfill", run))
    for partition in PARTITIONS:
        arrived = world.ledger.get(f"dataset:{model}", Kind.ARRIVED, f"{partition}@v2")
        assert (arrived.payload["replays"], arrived.payload["reason"]) == (f"{partition}@v1", "a stricter suite")
        assert world.ledger.get(f"dataset:{model}", Kind.VALIDATED, f"{partition}@v2").payload["status"] == "pass"
        assert world.ledger.get(f"model:{model}", Kind.WATCHED, f"{partition}@v2") is not None
    # The rows are the same: no reason to retrain.
    assert not world.events(model, Kind.DECIDED)[-1].payload["retrain"]
    assert len(world.events(model, Kind.JUDGED)) == trainings
    assert world.ledger.verify().ok


def test_labels_that_arrive_later_start_the_training(world: World) -> None:
    model = "labelled"
    frames = {partition: sample(partition) for partition in PARTITIONS}
    # A key names one row of all partitions: what a model was trained on is not judged by.
    frames = {
        name: frame.assign(number=[f"{name}/{row}" for row in range(len(frame))]) for name, frame in frames.items()
    }
    for name, frame in frames.items():
        world.land(model, name, frame=frame.drop(columns="bought"))
    world.airflow.unpause(f"{model}.train", f"{model}.data", watchers=False)
    world.wait("the data", lambda: len(world.events(model, Kind.WATCHED)) == len(PARTITIONS) and world.quiet(model))
    assert not world.events(model, Kind.JUDGED)
    for name, frame in frames.items():
        world.land(f"{model}-labels", name, frame=frame[["number", "bought"]].sample(frac=0.9, random_state=0))
    world.run(f"{model}.data")
    world.wait("the promotion", lambda: world.finished(model))
    (judged,) = world.events(model, Kind.JUDGED)
    assert judged.payload["known"] == [f"{name}@v1+l1" for name in PARTITIONS]
    assert judged.payload["holdout"] == [f"{PARTITIONS[-1]}@v1+l1"]
    assert world.ledger.verify().ok
