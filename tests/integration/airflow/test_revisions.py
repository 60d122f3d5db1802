"""Waiting for a new DVC revision: a real git repository with a real local remote, the triggers as Airflow has them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.exceptions import TaskDeferred

from retrain.sensors import PartitionArrivalSensor
from retrain.triggers.arrival import PartitionArrivalTrigger

pytest.importorskip("dvc", reason="the extra dvc is not installed")
pytestmark = [
    pytest.mark.integration,
    # pygtrie, of the way in which DVC uses it.
    pytest.mark.filterwarnings("ignore:_NoneStep.value will soon:DeprecationWarning"),
]


@pytest.fixture
def repository(tmp_path: Path):
    from tests.support.dvc import Repository

    made = Repository.init(tmp_path / "repository", tmp_path / "remote")
    made.put("data/2013-01.parquet", pd.DataFrame({"late": [0, 1]}))
    made.commit("v1")
    return made


def corrected(repository, *late: int) -> None:
    repository.put("data/2013-01.parquet", pd.DataFrame({"late": list(late)}))
    repository.commit(f"v{len(late)}-{late}".replace(" ", "").replace("(", "").replace(")", "").replace(",", "."))


async def following(events: AsyncIterator, act: Callable[[], Any]) -> Any:
    """Return the next event, which must not come before `act` is done."""
    waiting = asyncio.ensure_future(anext(events))
    done, _ = await asyncio.wait([waiting], timeout=2)
    assert not done
    await asyncio.to_thread(act)
    return (await asyncio.wait_for(waiting, 60)).payload


def test_a_watcher_fires_on_a_revision_that_changes_the_data_and_on_no_other(repository) -> None:
    async def story() -> None:
        events = PartitionArrivalTrigger(f"dvc://{repository.path}@main//data/{{partition}}.parquet", 0.1).run()
        assert (await asyncio.wait_for(anext(events), 60)).payload["partitions"] == ["2013-01"]

        def revise() -> None:
            (repository.path / "notes.txt").write_text("x")
            repository.commit("notes")
            corrected(repository, 1, 1, 1)

        assert (await following(events, revise))["partitions"] == ["2013-01"]
        await events.aclose()

    asyncio.run(story())


def test_a_deferred_sensor_waits_for_a_partitions_next_revision(repository) -> None:
    data = f"dvc://{repository.path}@main//data/{{partition}}.parquet"
    first = PartitionArrivalSensor(task_id="wait", data=data, partition="2013-01").poke({}).xcom_value
    sensor = PartitionArrivalSensor(
        task_id="wait",
        data=data,
        partition="2013-01",
        unlike={"2013-01": first["token"]},
        poke_interval=0.1,
        deferrable=True,
    )
    with pytest.raises(TaskDeferred) as deferred:
        sensor.poke({})
    path, arguments = deferred.value.trigger.serialize()
    event = asyncio.run(following(import_string(path)(**arguments).run(), lambda: corrected(repository, 1, 1, 1, 1)))
    assert event["partition"] == "2013-01"
    assert event["token"] != first["token"]
    assert event["uri"] == first["uri"]
