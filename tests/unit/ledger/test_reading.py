import pytest

from retrain.exceptions import ContractError
from retrain.ledger import Entry, reading


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(reading, "PAGE", 3)


@pytest.fixture
def rounds(ledger):
    for number in range(1, 6):
        entries = [Entry(stream, kind, str(number), {}) for stream in ("s:a", "s:b") for kind in ("x", "y")]
        ledger.append_all(entries)
    return ledger


def numbers(events):
    return [(event.stream, event.sequence) for event in events]


def test_a_stream_is_read_in_order_whatever_the_size_of_a_page(rounds):
    assert numbers(rounds.events("s:a")) == [("s:a", number) for number in range(1, 11)]
    assert numbers(rounds.events("s:a", after=7)) == [("s:a", 8), ("s:a", 9), ("s:a", 10)]
    assert numbers(rounds.events("s:a", limit=4)) == [("s:a", number) for number in (1, 2, 3, 4)]
    assert numbers(rounds.events("s:a", limit=4, newest_first=True)) == [("s:a", number) for number in (10, 9, 8, 7)]
    assert numbers(rounds.events("s:a", after=6, newest_first=True)) == [("s:a", number) for number in (10, 9, 8, 7)]
    assert numbers(rounds.events("s:none")) == []
    assert numbers(rounds.events(limit=0)) == []


def test_all_streams_are_read_as_they_were_written(rounds):
    one_round = [("s:a", 1), ("s:a", 2), ("s:b", 1), ("s:b", 2)]

    assert numbers(rounds.events())[:4] == one_round
    assert len(numbers(rounds.events())) == 20
    assert numbers(rounds.events(newest_first=True, limit=20)) == numbers(rounds.events())[::-1]


def test_events_are_chosen_by_kind_and_key(rounds):
    assert [event.key for event in rounds.events("s:a", kinds=["x"])] == ["1", "2", "3", "4", "5"]
    assert [event.key for event in rounds.events("s:a", kinds="x", after=6)] == ["4", "5"]
    assert numbers(rounds.events(kinds={"x", "y"}, key="2")) == [("s:a", 3), ("s:a", 4), ("s:b", 3), ("s:b", 4)]
    assert numbers(rounds.events(kinds=[])) == []


def test_events_that_come_while_reading_are_read_too(rounds):
    reader = rounds.events("s:a", after=8)
    next(reader)
    rounds.append("s:a", "x", "6", {})
    next(reader)

    assert numbers(rounds.events("s:a", after=10)) == [("s:a", 11)]


def test_one_event_is_found_by_number_by_identity_and_as_the_last(rounds):
    assert rounds.at("s:b", 3) == rounds.get("s:b", "x", "2")
    assert rounds.last("s:b", "x") == rounds.at("s:b", 9)
    assert rounds.last("s:b") == rounds.at("s:b", 10)
    assert rounds.at("s:b", 11) is None
    assert rounds.get("s:b", "x", "7") is None
    assert rounds.last("s:b", "z") is None


def test_streams_are_listed(rounds):
    assert rounds.streams() == ("s:a", "s:b")


def test_after_needs_a_stream(ledger):
    with pytest.raises(ContractError, match="after=3 without a stream"):
        ledger.events(after=3)
