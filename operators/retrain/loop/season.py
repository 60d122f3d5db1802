"""Partitions of the same season: the time of a partition is read from its name, as `2013-02` or `2013-02-14T05`."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

# How long the season takes to come back, and how far from the same place in it a partition may lie: a month and a half
# of a year, so that the neighbouring months are in it; the same day of the week; an hour more or less of a day.
SEASONS = {
    "year": (timedelta(days=365.2425), timedelta(days=46)),
    "week": (timedelta(days=7), timedelta(hours=12)),
    "day": (timedelta(days=1), timedelta(hours=1, minutes=30)),
}
# Fewer of them tell nothing about what is ordinary.
FEWEST = 2

_KEYS = re.compile(r"\b[A-Za-z_]+=")
_TIME = re.compile(
    r"(?<!\d)(?P<year>(19|20)\d\d)"
    r"(?:[-_/]?W(?P<week>\d\d)"
    r"|[-_/]?Q(?P<quarter>[1-4])"
    r"|[-_/]?(?P<month>0[1-9]|1[0-2])(?:[-_/]?(?P<day>0[1-9]|[12]\d|3[01])(?:[-_/T ]?(?P<hour>[01]\d|2[0-3]))?)?)"
    r"(?![0-9])"
)


def middle(partition: str) -> datetime | None:
    """Return the middle of the time that a partition covers by its name; None where the name tells none.

    Years with a month, quarter or ISO week, days and hours, with or without separators: `2013-02`, `20130214`,
    `2013-W07`, `2013-Q1`, `2013-02-14T05`, `year=2013/month=02`; also within a longer name.
    """
    found = _TIME.search(_KEYS.sub("", partition))
    if found is None:
        return None
    year = int(found["year"])
    try:
        if found["week"]:
            return _midday(date.fromisocalendar(year, int(found["week"]), 4))
        if found["quarter"]:
            return datetime(year, 3 * int(found["quarter"]) - 1, 15)
        if not found["day"]:
            return datetime(year, int(found["month"]), 15)
        start = datetime(year, int(found["month"]), int(found["day"]))
    except ValueError:  # 2013-02-30
        return None
    return start + (timedelta(hours=int(found["hour"]), minutes=30) if found["hour"] else timedelta(hours=12))


def same_season(partition: str, earlier: Iterable[str], season: str, most: int) -> Sequence[str] | None:
    """Return those of the earlier partitions that lie nearest in the season, the oldest first, `most` at most.

    None where there is nothing to match by: the names tell no time, or no season has gone round yet.
    """
    now = middle(partition)
    if now is None:
        return None
    period, width = SEASONS[season]
    times = {name: then for name in earlier if (then := middle(name)) is not None and then < now}
    near = {name: apart for name, then in times.items() if (apart := _apart(now - then, period)) <= width}
    if len(near) < FEWEST or all(now - times[name] < period - width for name in near):
        return None
    # In steps of a fifth of the width: of those that are about as near the latest.
    ranked = sorted(near, key=lambda name: (near[name] // (width / 5), now - times[name]))
    return sorted(ranked[:most], key=lambda name: times[name])


def _apart(ago: timedelta, period: timedelta) -> timedelta:
    rest = ago % period
    return min(rest, period - rest)


def _midday(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12)
