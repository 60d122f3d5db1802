"""Which past partitions tell what is ordinary, where the declaration names a season."""

import functools
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from retrain import drift
from retrain.loop.past import MOST, past_profiles
from retrain.loop.season import middle, same_season
from retrain.records import DriftStatus
from tests.unit.loop.conftest import declared


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("2013-02", datetime(2013, 2, 15)),
        ("201302", datetime(2013, 2, 15)),
        ("year=2013/month=02", datetime(2013, 2, 15)),
        ("flights_2013-02_v2", datetime(2013, 2, 15)),
        ("2013-Q4", datetime(2013, 11, 15)),
        ("2013-W07", datetime(2013, 2, 14, 12)),
        ("2013-02-14", datetime(2013, 2, 14, 12)),
        ("20130214", datetime(2013, 2, 14, 12)),
        ("2013/02/14", datetime(2013, 2, 14, 12)),
        ("2013-02-14T05", datetime(2013, 2, 14, 5, 30)),
        ("2013-02-14-05", datetime(2013, 2, 14, 5, 30)),
        ("year=2013/month=02/day=14/hour=05", datetime(2013, 2, 14, 5, 30)),
        ("2013-02-30", None),
        ("2013-W60", None),
        ("2013", None),
        ("batch-17", None),
        ("part-00201312345", None),
    ],
)
def test_the_time_of_a_partition_is_told_by_its_name(name: str, time: datetime | None) -> None:
    assert middle(name) == time


def months(first: int, last: int) -> list[str]:
    return [f"{2010 + number // 12}-{number % 12 + 1:02d}" for number in range(first, last)]


def test_the_same_month_of_past_years_comes_first_and_then_its_neighbours() -> None:
    assert same_season("2013-12", months(0, 47), "year", 3) == ["2010-12", "2011-12", "2012-12"]
    assert same_season("2013-12", months(0, 47), "year", 12) == [
        "2010-01", "2010-11", "2010-12", "2011-01", "2011-11", "2011-12", "2012-01", "2012-11", "2012-12", "2013-01",
        "2013-11",
    ]  # fmt: skip


def test_nothing_is_matched_before_a_season_has_gone_round_or_without_times() -> None:
    assert same_season("2010-09", months(0, 8), "year", 12) is None
    assert same_season("2010-02", months(0, 1), "year", 12) is None
    assert same_season("batch-9", ["batch-7", "batch-8"], "year", 12) is None


def test_days_of_the_week_and_hours_of_the_day_are_matched() -> None:
    days = [str(day.date()) for day in pd.date_range("2024-01-01", "2024-01-28")]
    assert same_season("2024-01-29", days, "week", 12) == ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22"]
    hours = [f"{hour:%Y-%m-%dT%H}" for hour in pd.date_range("2024-01-01", "2024-01-02T05", freq="h")]
    found = same_season("2024-01-02T06", hours, "day", 12)
    assert found == ["2024-01-01T05", "2024-01-01T06", "2024-01-01T07", "2024-01-02T05"]


def test_later_partitions_are_no_past() -> None:
    assert same_season("2012-12", months(0, 60), "year", 12)[-1] == "2012-11"


def accepted(names: list[str]) -> list:
    return [
        SimpleNamespace(key=f"{name}@v1", ref=SimpleNamespace(partition=name), profile_uri=f"p/{name}")
        for name in names
    ]


def test_a_declared_season_chooses_the_past_and_without_one_it_is_the_latest() -> None:
    known = accepted(months(0, 36))
    assert past_profiles(known, "2012-12@v1", declared()) == [f"p/{name}" for name in months(23, 35)]
    chosen = past_profiles(known, "2012-12@v1", declared(season="year"))
    assert {"p/2010-12", "p/2011-12"} < set(chosen)
    assert "p/2012-06" not in chosen
    assert past_profiles(known[:3], "2010-03@v1", declared(season="year")) == ["p/2010-01", "p/2010-02"]
    assert len(chosen) <= MOST


def sales(week: int, shift: float = 0.0, seed: int = 0) -> drift.Profile:
    """A week; those before the new year are out of the ordinary, every year."""
    rng = np.random.default_rng([seed, week])
    level = shift + rng.normal(0, 0.05) + (1.5 if week % 52 >= 50 else 0.0)
    return drift.profile(pd.DataFrame({"sales": rng.normal(level, 1, 300)}))


def test_a_season_that_comes_every_year_is_no_alarm_and_a_shift_within_it_is_one() -> None:
    names = [f"{year}-W{week:02d}" for year in range(2010, 2014) for week in range(1, 53)]
    profiles = [sales(week) for week in range(len(names))]
    trained = functools.reduce(drift.Profile.merge, profiles[:52])

    def alarms(season: str | None, week: int, current: drift.Profile) -> bool:
        uris = past_profiles(accepted(names[:week]), f"{names[week]}@v1", declared(season=season))
        history = [profiles[names.index(uri.removeprefix("p/"))] for uri in uris]
        return drift.compare(trained, current, history=history).status is DriftStatus.DRIFT

    peaks = [first + week for first in (104, 156) for week in (50, 51)]
    weeks = [*range(108, 156, 8), *range(160, 206, 8), *peaks]
    plain = [week for week in weeks if alarms(None, week, profiles[week])]
    matched = [week for week in weeks if alarms("year", week, profiles[week])]
    # The second peak week has the first among the twelve before it.
    assert [week for week in plain if week in peaks] == [154, 206]
    assert matched == []
    shifted = [week for week in weeks if week not in peaks]
    assert all(alarms("year", week, sales(week, shift=0.8, seed=1)) for week in shifted)
