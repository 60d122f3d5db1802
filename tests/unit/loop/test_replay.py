"""Replays: past partitions become new versions with the same bytes, in order, once for each demand."""

import pytest

from retrain.exceptions import DeclarationError
from retrain.loop import accepted_partitions, history, pending_partitions, replay
from retrain.loop.replay import batches, lanes
from tests.unit.loop.test_facts_and_ingest import JUDGED, result

MONTHS = ("2024-01", "2024-02", "2024-03")


@pytest.fixture
def taken_in(feed, ledger, spec):
    """Three months that the model has looked at."""
    from retrain.loop import ingest

    def take(key: str, digest: str = "sha256:same") -> None:
        answer = result(key)
        answer.outputs["validate"]["accepted"]["digest"] = digest
        ingest.commit(ledger, spec, key, answer, [], actor="test")

    for name in MONTHS:
        feed.land(name)
    feed.discover()
    for name in MONTHS:
        take(f"{name}@v1")
    return take


def again(ledger, spec, **options):
    return replay(
        ledger, spec, **{"first": None, "last": None, "key": "b/1", "reason": "new suite", "actor": "ann"} | options
    )


def test_a_range_is_taken_in_once_more_as_new_versions(ledger, spec, taken_in) -> None:
    assert again(ledger, spec, first="2024-02") == [
        {"partition": "2024-02", "version": 2},
        {"partition": "2024-03", "version": 2},
    ]
    assert pending_partitions(ledger, spec) == again(ledger, spec, first="2024-02")
    event = ledger.get("dataset:orders", "arrived", "2024-02@v2")
    assert (event.actor, event.payload["reason"], event.payload["replays"]) == ("ann", "new suite", "2024-02@v1")
    assert event.payload["digest"] == ledger.get("dataset:orders", "arrived", "2024-02@v1").payload["digest"]


def test_the_same_demand_again_changes_nothing(ledger, spec, taken_in) -> None:
    first = again(ledger, spec)
    head = ledger.last("dataset:orders").sequence
    assert again(ledger, spec) == first
    assert ledger.last("dataset:orders").sequence == head
    taken_in("2024-01@v2")
    assert again(ledger, spec) == first
    assert again(ledger, spec, key="b/2")[0] == {"partition": "2024-01", "version": 3}


def test_what_was_not_looked_at_yet_is_taken_as_it_is(feed, ledger, spec, taken_in) -> None:
    feed.land("2024-04")
    feed.discover()
    assert again(ledger, spec, first="2024-03") == [
        {"partition": "2024-03", "version": 2},
        {"partition": "2024-04", "version": 1},
    ]


def test_a_replayed_file_is_no_news_to_the_discovery(feed, ledger, spec, taken_in) -> None:
    again(ledger, spec)
    assert feed.discover() == []
    feed.land("2024-01", "corrected")
    assert feed.discover() == ["2024-01@v3"]


def test_rows_that_are_the_same_after_all_are_not_new_to_the_training(ledger, spec, taken_in) -> None:
    known = [f"{name}@v1" for name in MONTHS]
    ledger.append("model:returns", "judged", "run-1", {**JUDGED, "known": known})
    again(ledger, spec)
    for name in MONTHS[:2]:
        taken_in(f"{name}@v2")
    taken_in("2024-03@v2", digest="sha256:other")
    assert [one.replays for one in accepted_partitions(ledger, "orders")] == ["2024-01@v1", "2024-02@v1", None]
    assert history(ledger, spec).new_partitions == ("2024-03",)


def test_an_empty_range_says_what_there_is(ledger, spec, taken_in) -> None:
    with pytest.raises(DeclarationError, match="2024-01 to 2024-03"):
        again(ledger, spec, first="2025-01")


def test_lanes_are_each_in_order_and_hold_everything_once() -> None:
    items = [{"partition": f"{number:02}", "version": 1} for number in range(7)]
    dealt = lanes(items, 3)
    assert [[one["partition"] for one in lane["partitions"]] for lane in dealt] == [
        ["00", "03", "06"],
        ["01", "04"],
        ["02", "05"],
    ]
    assert lanes(items[:2], 5) == items[:2]


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (20, [1] * 20), (21, [2] * 10 + [1]), (500, [25] * 20)]
)
def test_a_backlog_is_cut_into_runs_of_neighbours(count: int, sizes: list[int]) -> None:
    items = [{"partition": f"{number:03}", "version": 1} for number in range(count)]
    found = batches(items, 20)
    assert [len(one.get("partitions", [one])) for one in found] == sizes
    assert [item for one in found for item in one.get("partitions", [one])] == items
