"""Who was champion at a moment, by the ledger's order and clock."""

from datetime import UTC, datetime, timedelta

import pytest

from retrain.audit.asof import in_production, moment, serving_at, tenures
from retrain.exceptions import ContractError
from retrain.registry.champions import Champion

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def change(version: str, minutes: float, sequence: int = 0, kind: str = "promoted") -> Champion:
    return Champion(version, sequence, kind, (NOON + timedelta(minutes=minutes)).isoformat())


CHANGES = [change("1", 0, 1), change("2", 10, 2), change("1", 20, 3, "rolled_back")]


@pytest.mark.parametrize(
    ("minutes", "version"), [(-0.001, None), (0, "1"), (9.999, "1"), (10, "2"), (19, "2"), (20, "1"), (9999, "1")]
)
def test_a_moment_belongs_to_the_change_before_it_and_its_first_instant_to_the_new_champion(minutes, version) -> None:
    found = serving_at(tenures(CHANGES), NOON + timedelta(minutes=minutes))
    assert (found.champion.version if found else None) == version


def test_a_time_ends_with_the_next_change_and_the_last_has_not_ended() -> None:
    first, second, third = tenures(CHANGES)
    assert (first.until, first.successor) == (second.since, CHANGES[1])
    assert second.successor is not None
    assert (second.successor.kind, third.until, third.successor) == ("rolled_back", None, None)
    assert third.to_dict()["until"] is None


def test_a_clock_that_went_back_does_not_turn_the_order_of_the_ledger_round() -> None:
    times = tenures([change("1", 0), change("2", -30), change("3", 5)])
    assert [one.champion.version for one in times] == ["1", "2", "3"]
    assert all(one.until is None or one.since <= one.until for one in times)
    assert serving_at(times, NOON).champion.version == "2"
    assert serving_at(times, NOON - timedelta(minutes=1)) is None


def test_no_change_no_champion(story) -> None:
    assert tenures([]) == []
    assert in_production(story.ledger, "nobody", NOON) is None


def test_the_ledger_is_asked(told) -> None:
    found = in_production(told.ledger, "returns", datetime.now(UTC))
    assert (found.champion.version, found.champion.kind, found.champion.actor) == ("1", "rolled_back", "ana")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01", datetime(2024, 5, 1, tzinfo=UTC)),
        ("2024-05-01T12:00", NOON),
        ("2024-05-01 14:00+02:00", NOON),
        ("2024-05-01T12:00:00Z", NOON),
        (" NOW ", NOON + timedelta(days=1)),
    ],
)
def test_a_moment_is_read_and_without_a_zone_it_is_utc(text: str, expected: datetime) -> None:
    assert moment(text, now=NOON + timedelta(days=1)) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "2024-13-01", "12:00"])
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ContractError, match="Expected such as 2026-11-21"):
        moment(text, now=NOON)


def test_the_future_is_refused() -> None:
    with pytest.raises(ContractError, match=r"has not come yet.*add yours"):
        moment("2024-05-01T12:01", now=NOON)
