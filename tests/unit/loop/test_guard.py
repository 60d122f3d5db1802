"""When a promotion is taken back by itself, and that it never ping-pongs."""

import pytest

from retrain.loop.guard import ALARM, finish, guarded, note_alarm, note_serves, wants_serving_check
from retrain.records import Alarm, RollbackOn
from tests.unit.loop.conftest import declared

STREAM = "model:returns"
SPEC = declared(rollback_on=RollbackOn(partitions=2))
SERVING = declared(rollback_on=RollbackOn((Alarm.SERVING,), 2))


def release(ledger, version: str, previous: str | None, kind: str = "promoted", **more) -> None:
    number = sum(1 for _ in ledger.events(STREAM))
    key = more.pop("key", f"{version}#{number}")
    ledger.append(STREAM, kind, key, {"version": version, "previous": previous, **more})


def watch(ledger, partition: str, champion: str, status: str = "ok", key: str | None = None) -> None:
    performance = {"status": status, "champion": champion, "reason": f"{status} by 0.1"}
    payload = {"partition": partition, "drift": {"champion": champion}, "performance": performance}
    ledger.append(STREAM, "watched", key or f"{partition}@v1", payload)


@pytest.fixture
def promoted(ledger):
    release(ledger, "1", None)
    watch(ledger, "01", "1", "decay")
    release(ledger, "2", "1")
    return ledger


def test_nothing_is_guarded_unless_it_is_declared_and_there_is_a_way_back(ledger) -> None:
    assert guarded(ledger, SPEC) is None
    release(ledger, "1", None)
    assert guarded(ledger, SPEC) is None
    release(ledger, "2", "1")
    assert guarded(ledger, declared()) is None
    found = guarded(ledger, SPEC)
    assert (found.champion.version, found.target.version, found.decay) == ("2", "1", None)


def test_decay_of_the_new_champion_on_one_of_the_first_partitions_is_an_alarm(promoted) -> None:
    watch(promoted, "02", "2")
    assert guarded(promoted, SPEC).decay is None
    watch(promoted, "03", "2", "decay")
    assert guarded(promoted, SPEC).decay == "decay on 03@v1: decay by 0.1"


def test_decay_before_the_promotion_of_another_champion_or_too_late_is_none(promoted) -> None:
    watch(promoted, "02", "1", "decay")
    watch(promoted, "03", "2")
    watch(promoted, "04", "2")
    watch(promoted, "05", "2", "decay")
    assert guarded(promoted, SPEC).decay is None


def test_labels_that_come_late_for_one_of_the_first_partitions_count(promoted) -> None:
    for partition in ("02", "03", "04"):
        watch(promoted, partition, "2")
    watch(promoted, "02", "2", "decay", key="02@v1+l1")
    assert guarded(promoted, SPEC).decay.startswith("decay on 02@v1+l1")


def test_an_alarm_goes_off_once_for_each_promotion(promoted) -> None:
    watch(promoted, "02", "2", "decay")
    found = guarded(promoted, SPEC)
    note_alarm(promoted, "returns", found, Alarm.DECAY, actor="x", reason="r", refused="it does not load")
    assert guarded(promoted, SPEC) is None
    release(promoted, "3", "2")
    assert guarded(promoted, SPEC).champion.version == "3"


def test_what_a_rollback_made_champion_is_not_gone_back_from(promoted) -> None:
    watch(promoted, "02", "2", "decay")
    release(promoted, "1", "2", "rolled_back")
    watch(promoted, "03", "1", "decay")
    assert guarded(promoted, SPEC) is None


def test_the_champion_is_loaded_once_for_each_of_the_first_partitions(promoted) -> None:
    found = guarded(promoted, SERVING)
    assert not wants_serving_check(promoted, SERVING, found)
    for number, partition in enumerate(("02", "03", "04")):
        watch(promoted, partition, "2", "decay")
        found = guarded(promoted, SERVING)
        assert found.decay is None
        assert wants_serving_check(promoted, SERVING, found) is (number < 2)
        assert not wants_serving_check(promoted, SPEC, found)
        note_serves(promoted, "returns", found, actor="x", reason="it loads")
        assert not wants_serving_check(promoted, SERVING, found)


def test_a_rollback_whose_task_died_is_finished_once(promoted) -> None:
    watch(promoted, "02", "2", "decay")
    key = guarded(promoted, SPEC).key
    assert finish(promoted, "returns", actor="x") is None
    release(promoted, "1", "2", "rolled_back", key=f"{ALARM}{key}", alarm="decay", reason="decay on 02@v1")
    assert finish(promoted, "returns", actor="x") == {"version": "1", "previous": "2", "created": False}
    (noted,) = promoted.events(STREAM, kinds=["guarded"])
    assert (noted.key, noted.payload["alarm"], noted.payload["version"]) == (key, "decay", "2")
    assert finish(promoted, "returns", actor="x") is None


def test_a_rollback_by_a_person_is_no_alarm(promoted) -> None:
    release(promoted, "1", "2", "rolled_back", alarm=None)
    assert finish(promoted, "returns", actor="x") is None
