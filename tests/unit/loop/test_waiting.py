"""The decisions behind every wait: pure, so that any listing can be put to them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.exceptions import DeclarationError
from retrain.loop.waiting import AssetEvent, Known, Wanted, WantedEvent, arrivals, asset_events, pause, summary


@dataclass(frozen=True)
class One:
    partition: str
    token: str = "1"
    size: int = 10

    @property
    def uri(self) -> str:
        return f"file:///feed/{self.partition}.parquet"


def listing(tokens: dict[str, str]) -> list[One]:
    return [One(partition, token) for partition, token in tokens.items()]


def names(news) -> list[str]:
    return [one.partition for one in news.fresh]


LISTINGS = st.dictionaries(st.sampled_from([f"2024-{month:02}" for month in range(1, 9)]), st.sampled_from("123"))
WANTED = st.one_of(
    st.just(Wanted()),
    st.builds(Wanted, partition=st.sampled_from(["2024-01", "2024-05"])),
    st.builds(Wanted, after=st.sampled_from(["2023-12", "2024-04"]), count=st.integers(1, 3)),
)


def test_what_was_not_there_and_what_has_another_token_is_fresh() -> None:
    first = arrivals(listing({"a": "1", "b": "1"}), Known())
    assert names(first) == ["a", "b"]
    second = arrivals(listing({"a": "2", "b": "1", "c": "1"}), first.known)
    assert names(second) == ["a", "c"]
    assert not arrivals(listing({"a": "2", "b": "1", "c": "1"}), second.known).arrived


def test_what_has_gone_is_fresh_when_it_comes_back() -> None:
    first = arrivals(listing({"a": "1", "b": "1"}), Known())
    without = arrivals(listing({"b": "1"}), first.known)
    assert not without.arrived
    assert names(arrivals(listing({"a": "1", "b": "1"}), without.known)) == ["a"]


def test_a_named_partition_is_waited_for_and_no_other() -> None:
    wanted = Wanted("2024-02")
    assert not arrivals(listing({"2024-01": "1", "2024-03": "1"}), Known(), wanted).arrived
    assert names(arrivals(listing({"2024-01": "1", "2024-02": "1"}), Known(), wanted)) == ["2024-02"]


def test_a_named_partition_whose_token_is_known_counts_when_it_has_changed() -> None:
    wanted, known = Wanted("2024-02"), Known({"2024-02": "1"})
    assert not arrivals(listing({"2024-02": "1"}), known, wanted).arrived
    assert arrivals(listing({"2024-02": "2"}), known, wanted).arrived


def test_partitions_after_a_key_are_counted() -> None:
    wanted = Wanted(after="2024-02", count=2)
    assert not arrivals(listing({"2024-01": "1", "2024-02": "1", "2024-03": "1"}), Known(), wanted).arrived
    assert names(arrivals(listing({"2024-03": "1", "2024-04": "1"}), Known(), wanted)) == ["2024-03", "2024-04"]


def test_fewer_than_wanted_stay_fresh_until_they_are_enough() -> None:
    wanted = Wanted(count=2)
    first = arrivals(listing({"a": "1"}), Known(), wanted)
    assert not first.arrived
    second = arrivals(listing({"a": "1", "b": "1"}), first.known, wanted)
    assert second.arrived
    assert names(second) == ["a", "b"]
    assert not arrivals(listing({"a": "1", "b": "1"}), second.known, wanted).fresh


@given(LISTINGS, LISTINGS, WANTED)
def test_a_listing_is_split_into_fresh_and_dealt_with_and_forgets_the_rest(before, now, wanted) -> None:
    news = arrivals(listing(now), Known(before), wanted)
    fresh = set(names(news))
    expected = {name for name in now if wanted.covers(name) and before.get(name) != now[name]}
    assert fresh == expected
    assert news.arrived == (len(fresh) >= wanted.count)
    assert set(news.known.tokens) == (set(now) if news.arrived else set(now) - fresh)
    assert all(now[name] == token for name, token in news.known.tokens.items())


@given(st.lists(LISTINGS, min_size=1, max_size=6), WANTED)
def test_over_any_history_nothing_is_told_twice_and_nothing_that_stays_is_lost(history, wanted) -> None:
    known, told = Known(), []
    for tokens in history:
        news = arrivals(listing(tokens), known, wanted)
        known = news.known
        if news.arrived:
            told.append({one.partition: one.token for one in news.fresh})
    last = history[-1]
    again = arrivals(listing(last), known, wanted)
    if not again.arrived:
        # All that lies there at the end was told of with these very bytes, or is too little yet.
        untold = {n for n in last if wanted.covers(n) and not any(one.get(n) == last[n] for one in told)}
        assert untold <= set(names(again))
        assert len(again.fresh) < wanted.count
    else:
        assert wanted.count > 1 or not again.fresh


@given(LISTINGS)
def test_the_order_of_a_listing_makes_no_difference(tokens) -> None:
    forwards, backwards = listing(tokens), listing(tokens)[::-1]
    assert arrivals(forwards, Known()) == arrivals(backwards, Known())
    assert Known(tokens).digest == Known(dict(reversed(tokens.items()))).digest


@given(LISTINGS, LISTINGS)
def test_equal_digests_are_equal_listings(one, other) -> None:
    assert (Known(one).digest == Known(other).digest) == (one == other)


@pytest.mark.parametrize(
    "fields",
    [
        {"partition": "a", "after": "b"},
        {"partition": "a", "count": 2},
        {"count": 0},
        {"count": True},
        {"partition": ""},
        {"after": "  "},
        {"partition": 3},
    ],
)
def test_a_wait_that_contradicts_itself_or_rendered_to_nothing_is_refused(fields) -> None:
    with pytest.raises(DeclarationError, match="Expected"):
        Wanted(**fields)


def test_a_summary_is_of_the_newest_and_stays_small() -> None:
    told = summary([One(f"{number:04}", str(number)) for number in range(500)])
    assert (told["partition"], told["token"], told["count"]) == ("0499", "499", 500)
    assert told["partitions"] == [f"{number:04}" for number in range(100)]


NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def event(number: int, minutes: int, **extra) -> AssetEvent:
    return AssetEvent(number, NOON + timedelta(minutes=minutes), extra)


def test_events_after_a_time_count_and_one_at_that_time_does_not() -> None:
    events = [event(3, 1), event(2, 0), event(1, -1)]
    assert [one.id for one in asset_events(events, WantedEvent(NOON))] == [3]
    assert [one.id for one in asset_events(events, WantedEvent())] == [1, 2, 3]


def test_events_count_whose_extra_holds_all_that_is_wanted() -> None:
    events = [event(1, 1, day="mon", rows=1), event(2, 2, day="tue"), event(3, 3, day="mon")]
    assert [one.id for one in asset_events(events, WantedEvent(extra={"day": "mon"}))] == [1, 3]
    assert [one.id for one in asset_events(events, WantedEvent(extra={"day": "mon", "rows": 1}))] == [1]
    assert asset_events(events, WantedEvent(extra={"absent": None})) == ()


def test_events_that_were_told_of_do_not_count() -> None:
    assert [one.id for one in asset_events([event(1, 1), event(2, 2)], WantedEvent(after_id=1))] == [2]


@given(st.floats(0.01, 3600), st.floats(0, 1, exclude_max=True))
def test_pauses_are_scattered_by_a_tenth_and_the_first_over_its_whole_length(seconds, chance) -> None:
    assert 0.9 * seconds <= pause(seconds, chance) <= 1.1 * seconds * (1 + 1e-9)
    assert 0 <= pause(seconds, chance, first=True) <= seconds
