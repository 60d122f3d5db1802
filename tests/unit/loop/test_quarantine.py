"""Release and drop: every source row is accepted, set aside, on its way in or given up, and never two of them."""

import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrain.data import read, storage
from retrain.data.writers import to_table
from retrain.exceptions import DataError, LedgerError
from retrain.ledger import Ledger
from retrain.loop import pending_partitions, register_arrivals
from retrain.loop.quarantine import Quarantined, State, find, quarantined
from retrain.loop.streams import partition_key
from retrain.validation.quarantine import read_quarantined, write_quarantined
from tests.support.feed import Feed


@pytest.fixture
def feed(tmp_path: Path, ledger: Ledger) -> Feed:
    return Feed(tmp_path, ledger)


def ids(one: Quarantined) -> list[int]:
    return list(read_quarantined(str(one.uri)).table.column("id").to_pylist())


def test_what_is_set_aside_is_listed_until_somebody_decides(feed: Feed) -> None:
    feed.land("01")
    feed.land("02")
    feed.validate({1})
    (first, second) = quarantined(feed.ledger)
    assert (first.key, first.state, first.status) == ("01@v1", State.OPEN, "warn")
    assert (first.rows, first.quarantined_rows, ids(first)) == (4, 1, [1])
    feed.release("01@v1")
    feed.drop("02@v1")
    assert quarantined(feed.ledger) == []
    first, second = quarantined(feed.ledger, "orders", everything=True)
    assert (first.state, first.released_as, first.by, first.reason) == (
        State.RELEASED,
        "01@v2",
        "ana",
        "checked by hand",
    )
    assert (second.state, second.by, second.reason, second.erased) == (State.DROPPED, "ana", "test orders", False)
    assert first.to_dict()["state"] == "released"


def test_a_corrected_version_supersedes_what_was_set_aside(feed: Feed) -> None:
    feed.land("01")
    feed.validate({1})
    feed.land("01")
    assert feed.open() == []
    assert [one.state for one in quarantined(feed.ledger, everything=True)] == [State.SUPERSEDED]
    with pytest.raises(LedgerError, match=r"01@v1 of orders cannot be released: a newer version .* has arrived"):
        feed.release("01@v1")
    assert feed.drop("01@v1", erase=True)["erased"]


def test_released_rows_come_back_in_their_places_as_a_new_version(feed: Feed) -> None:
    feed.land("01", 6)
    before = read(f"{feed.folder}/01.parquet")
    feed.validate({0, 3})
    assert feed.accepted() == {"01@v1": [1, 2, 4, 5]}
    done = feed.release("01@v1")
    assert (done["released_as"], done["rows"], done["quarantined_rows"], done["created"]) == ("01@v2", 6, 2, True)
    assert done["uri"].startswith(storage.join(feed.store, "released", "orders", "01"))
    pd.testing.assert_frame_equal(read(done["uri"]), before)
    # Until the new version is taken in, training gets neither.
    assert feed.accepted() == {}
    assert [partition_key(one["partition"], one["version"]) for one in pending_partitions(feed.ledger, feed.spec)] == [
        "01@v2"
    ]
    feed.validate({0, 3})
    assert feed.accepted() == {"01@v2": [0, 1, 2, 3, 4, 5]}
    assert feed.open() == []


def test_a_partition_that_was_set_aside_whole_is_released_whole(feed: Feed) -> None:
    feed.land("01")
    feed.validate({0, 1, 2})
    assert find(feed.ledger, "orders", "01").status == "fail"
    assert feed.accepted() == {}
    feed.release("01")
    feed.validate()
    assert feed.accepted() == {"01@v2": [0, 1, 2, 3]}


def test_the_arrival_of_a_release_says_what_it_is_made_of(feed: Feed) -> None:
    feed.land("01")
    feed.validate({1})
    feed.release("01@v1")
    source, arrived = (feed.ledger.get("dataset:orders", "arrived", f"01@v{version}").payload for version in (1, 2))
    assert arrived["released"] == {
        "of": "01@v1",
        "reason": "checked by hand",
        "by": "ana",
        "source_digest": source["digest"],
    }
    assert set(source) | {"released"} == set(arrived)
    assert arrived["digest"] == storage.digest_of(storage.read_bytes(arrived["uri"]))
    assert arrived["bytes"] == len(storage.read_bytes(arrived["uri"]))
    released = feed.ledger.get("dataset:orders", "released", "01@v1")
    assert (released.payload["released_as"], released.actor) == ("01@v2", "ana")


def test_a_source_that_is_written_once_more_after_a_release_is_no_news(feed: Feed) -> None:
    feed.land("01")
    feed.validate({1})
    feed.release("01@v1")
    path = feed.folder / "01.parquet"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert register_arrivals(feed.ledger, "orders", feed.spec.data) == []
    feed.land("01")
    assert [partition_key(one["partition"], one["version"]) for one in pending_partitions(feed.ledger, feed.spec)] == [
        "01@v3"
    ]


def test_a_release_that_was_set_aside_again_is_released_again(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    feed.land("01")
    digest = feed.ledger.last("dataset:orders", "arrived").payload["digest"]
    feed.validate({1})
    feed.release("01")
    whole = feed.judge
    # What stops a released version is no expectation; here it is the test.
    monkeypatch.setattr(feed, "judge", lambda ref, _, broken, limit: whole(ref, False, broken, limit))
    feed.validate({2})
    assert feed.open() == ["01@v2"]
    feed.release("01")
    monkeypatch.undo()
    feed.validate()
    assert feed.ledger.last("dataset:orders", "arrived").payload["released"]["source_digest"] == digest
    assert feed.accepted() == {"01@v3": [0, 1, 2, 3]}


def test_dropped_rows_stay_out_and_their_bytes_stay(feed: Feed) -> None:
    feed.land("01")
    feed.validate({1})
    assert feed.drop("01@v1") == {"key": "01@v1", "quarantined_rows": 1, "erased": False, "created": True}
    assert feed.accepted() == {"01@v1": [0, 2, 3]}
    assert ids(find(feed.ledger, "orders", "01@v1")) == [1]
    assert pending_partitions(feed.ledger, feed.spec) == []


def test_erasing_deletes_the_rows_and_says_so(feed: Feed) -> None:
    feed.land("01")
    feed.validate({1})
    uri = str(find(feed.ledger, "orders", "01").uri)
    assert feed.drop("01", erase=True)["erased"]
    assert not storage.exists(uri)
    assert find(feed.ledger, "orders", "01").erased
    assert feed.accepted() == {"01@v1": [0, 2, 3]}


def test_a_deletion_that_was_interrupted_ends_when_it_is_demanded_again(feed: Feed) -> None:
    feed.land("01")
    feed.validate({1})
    uri = str(find(feed.ledger, "orders", "01").uri)
    content = storage.read_bytes(uri)
    feed.drop("01", erase=True)
    storage.write_bytes(uri, content)
    again = feed.drop("01", erase=True)
    assert (again["created"], again["erased"]) == (False, True)
    assert not storage.exists(uri)


def test_the_same_demand_again_changes_nothing(feed: Feed) -> None:
    feed.land("01")
    feed.land("02")
    feed.validate({1})
    first, again = feed.release("01@v1"), feed.release("01@v1")
    assert {**first, "created": False} == again
    feed.drop("02")
    events = len(list(feed.ledger.events()))
    assert feed.drop("02")["created"] is False
    assert len(list(feed.ledger.events())) == events


@pytest.mark.parametrize("second", ["release", "drop"])
@pytest.mark.parametrize("first", ["release", "drop"])
def test_what_was_decided_is_refused_with_who_and_when(feed: Feed, first: str, second: str) -> None:
    feed.land("01")
    feed.validate({1})
    getattr(feed, first)("01@v1")
    told = rf"01@v1 of orders cannot be {second}.*: ana has {first}.* it at 20\d\d-\d\d-\d\d \d\d:\d\d UTC, because: "
    with pytest.raises(LedgerError, match=told):
        getattr(feed, second)("01@v1", actor="bo", reason="another one")
    assert len([one for one in feed.ledger.events("dataset:orders") if one.kind in ("released", "dropped")]) == 1


def test_content_that_could_not_be_parsed_has_no_rows_to_release_but_can_be_given_up(feed: Feed) -> None:
    feed.land("01")
    feed.refuse()
    assert feed.open() == ["01@v1"]
    with pytest.raises(DataError, match=r"no rows of 01@v1 to release: its content was refused unread \(it is trunc"):
        feed.release("01@v1")
    assert feed.drop("01@v1", erase=True) == {
        "key": "01@v1",
        "quarantined_rows": 0,
        "erased": False,
        "created": True,
    }
    assert feed.open() == []


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("01@v1", "nothing of 01@v1 of orders is set aside: validation accepted it whole"),
        ("02@v1", "02@v1 of orders is not validated yet"),
        ("03@v1", "orders has no partition version 03@v1"),
        ("03", "orders has no partition version 03"),
    ],
)
def test_what_is_not_set_aside_is_told_apart(feed: Feed, key: str, told: str) -> None:
    feed.land("01")
    feed.validate()
    feed.land("02")
    for act in (feed.release, feed.drop):
        with pytest.raises(DataError, match=told):
            act(key)


def test_a_quarantine_object_that_is_not_what_was_judged_is_refused(feed: Feed) -> None:
    feed.land("01")
    feed.validate({1, 2})
    uri = str(find(feed.ledger, "orders", "01").uri)
    table = to_table(read(f"{feed.folder}/01.parquet"))
    write_quarantined(table, {1: ["x"]}, uri, whole=False)
    with pytest.raises(DataError, match="holds 1 rows, which makes 3 with the accepted ones"):
        feed.release("01")
    write_quarantined(table, {1: ["x"], 3: ["x"]}, uri, whole=False)
    assert feed.release("01")["rows"] == 4


def test_an_object_that_another_version_needs_is_not_erased(feed: Feed) -> None:
    feed.land("01")
    feed.validate({1})
    uri = str(find(feed.ledger, "orders", "01").uri)
    judged = feed.ledger.get("dataset:orders", "validated", "01@v1").payload
    arrived = feed.ledger.get("dataset:orders", "arrived", "01@v1").payload
    feed.ledger.append("dataset:orders", "arrived", "01@v2", {**arrived, "version": 2})
    feed.ledger.append("dataset:orders", "validated", "01@v2", {**judged, "version": 2})
    with pytest.raises(LedgerError, match="01@v1 cannot be erased: 01@v2 holds the very same object"):
        feed.drop("01@v1", erase=True)
    assert storage.exists(uri)
    assert feed.drop("01@v2", erase=True)["erased"]


@pytest.mark.parametrize("rivals", [("release", "release"), ("release", "drop")])
def test_of_two_who_decide_at_once_one_wins(feed: Feed, rivals: tuple[str, str]) -> None:
    feed.land("01")
    feed.validate({1})
    outcomes: list[Any] = []
    together = threading.Barrier(4)

    def decide(number: int) -> None:
        together.wait()
        try:
            outcomes.append(getattr(feed, rivals[number % 2])("01@v1", actor=f"user {number}"))
        except LedgerError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [one for one in outcomes if not isinstance(one, Exception)]
    assert len(won) == 1
    assert won[0]["created"]
    assert all("cannot be" in str(one) for one in outcomes if one is not won[0])
    kinds = [one.kind for one in feed.ledger.events("dataset:orders")]
    assert kinds.count("released") + kinds.count("dropped") == 1
    assert kinds.count("arrived") == 1 + kinds.count("released")


def test_the_very_same_decision_gives_the_very_same_bytes(tmp_path: Path, ledger: Ledger) -> None:
    digests = set()
    for name in ("a", "b"):
        feed = Feed(tmp_path / name, ledger, dataset="orders" + name)
        feed.land("01")
        feed.validate({1})
        digests.add(storage.digest_of(storage.read_bytes(feed.release("01")["uri"])))
    assert len(digests) == 1


def account(feed: Feed, key: str, one: Quarantined | None, accepted: list[int]) -> dict[str, list[int]]:
    """Where the rows of a partition's newest version are, by what the ledger and the store say."""
    if feed.ledger.get(f"dataset:{feed.dataset}", "validated", key) is None:
        assert accepted == []
        payload = feed.ledger.get(f"dataset:{feed.dataset}", "arrived", key).payload
        return {"released" if payload.get("released") else "arrived": list(read(payload["uri"])["id"])}
    # What was released is not the newest version any more.
    assert one is None or one.state in (State.OPEN, State.DROPPED)
    aside = {one.state.value: ids(one)} if one is not None else {}
    return {"accepted": accepted, **aside}


OPERATIONS = st.one_of(
    st.tuples(st.just("land"), st.sampled_from("ab"), st.integers(1, 5)),
    st.tuples(st.just("validate"), st.sets(st.integers(0, 5)), st.sampled_from([0.3, 1.0])),
    st.tuples(st.just("release"), st.sampled_from("ab")),
    st.tuples(st.just("drop"), st.sampled_from("ab")),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATIONS, min_size=3, max_size=12))
def test_every_row_is_at_any_time_in_one_place(
    tmp_path_factory: pytest.TempPathFactory, ledger: Ledger, operations: list[tuple]
) -> None:
    folder = tmp_path_factory.mktemp("feed")
    feed = Feed(folder, ledger, dataset=folder.name)
    for number, (name, *arguments) in enumerate(operations):
        if name in ("release", "drop"):
            decide(feed, name, *arguments, reason=f"decision {number}")
        else:
            getattr(feed, name)(*arguments)
        check_accounts(feed)


def decide(feed: Feed, name: str, partition: str, *, reason: str) -> None:
    """What waits for a decision can be decided upon; of anything else it is refused, and nothing changes."""
    waits = partition in {one.key.partition("@")[0] for one in quarantined(feed.ledger, feed.dataset)}
    before = list(feed.ledger.events(f"dataset:{feed.dataset}"))
    if waits:
        assert getattr(feed, name)(partition, reason=reason)["created"]
        return
    with pytest.raises((LedgerError, DataError)):
        getattr(feed, name)(partition, reason=reason)
    assert list(feed.ledger.events(f"dataset:{feed.dataset}")) == before


def check_accounts(feed: Feed) -> None:
    accepted = feed.accepted()
    newest: dict[str, str] = {}
    for event in feed.ledger.events(f"dataset:{feed.dataset}", kinds=["arrived"]):
        newest[event.payload["partition"]] = event.key
    aside = {one.key: one for one in quarantined(feed.ledger, feed.dataset, everything=True)}
    assert set(accepted) <= set(newest.values())
    for partition, key in newest.items():
        places = account(feed, key, aside.get(key), accepted.get(key, []))
        everywhere = [number for numbers in places.values() for number in numbers]
        assert sorted(everywhere) == feed.rows[partition], places
    used = [number for numbers in accepted.values() for number in numbers]
    assert len(used) == len(set(used))
