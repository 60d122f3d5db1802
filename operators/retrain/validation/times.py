"""Moments and lengths of time as people write them in a suite; without a zone they are UTC."""

import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

PARTITION_END = "partition_end"
"""As `as_of` of a freshness check: the end of the period that the partition's key names (`2013-01`, `2013-01-31`)."""

_LONGEST_PERIOD = len("2013-01-31")


def duration(text: str) -> float:
    """Return a length of time in seconds: "36h", "7 days", ISO 8601 ("P1D"); ValueError for anything else."""
    import pandas as pd

    try:
        seconds = pd.Timedelta(text).total_seconds()
    except ValueError:
        seconds = -1.0
    # What is not a time compares false with everything.
    if not seconds >= 0:
        raise ValueError(f"{text!r} is no length of time such as '36h' or '7 days'")
    return seconds


def now() -> "pd.Timestamp":
    """Return the time now."""
    import pandas as pd

    return pd.Timestamp(dt.datetime.now(dt.UTC)).tz_localize(None)


def end_of(text: str) -> "pd.Timestamp":
    """Return the end of a period ("2013-01", "2013Q1", "2013-01-31"), or a moment as it is.

    The end of January is the first moment of February. ValueError for anything else.
    """
    import pandas as pd

    try:
        moment = (pd.Period(text) + 1).start_time if len(text) <= _LONGEST_PERIOD else utc(pd.Timestamp(text))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{text!r} is no period such as '2013-01' and no time such as '2013-01-31T06:00'") from error
    if moment is None or pd.isna(moment):
        raise ValueError(f"{text!r} is no time")
    return moment


def utc(value: Any) -> "pd.Timestamp | None":
    """Return a time of a column in UTC, None for null; TypeError for what is no time, such as a number."""
    import pandas as pd

    if value is None or value is pd.NaT or value != value:
        return None
    if not isinstance(value, str) and not hasattr(value, "isoformat"):
        raise TypeError(f"a column of times is needed, and this one holds {type(value).__name__}")
    try:
        moment = pd.Timestamp(value)
    except ValueError as error:
        raise TypeError("a column of times is needed, and this one holds text that is none") from error
    return moment.tz_convert("UTC").tz_localize(None) if moment.tzinfo else moment


def written(seconds: float) -> str:
    """Return a length of time in words: "25 minutes", "3.5 hours", "12.0 days"."""
    hours = seconds / 3600
    if hours >= 48:
        return f"{hours / 24:,.1f} days"
    return f"{hours:.1f} hours" if hours >= 2 else f"{seconds / 60:.0f} minutes"
