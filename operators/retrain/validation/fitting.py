"""Bring limits and columns into types that Great Expectations can compare, and compare fast.

GX reads a limit such as "2013-01-01" as a date, which pandas compares with no column of times; it compares nothing but
64-bit numbers and nanoseconds as a whole, and everything else value by value in Python. What is changed here is the
type and never the meaning: a date is its midnight, a limit without a zone is UTC beside a column with one.
"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_BETWEEN = "expect_column_values_to_be_between"
LIMITED = (_BETWEEN, "expect_column_max_to_be_between", "expect_column_min_to_be_between")
_PREFIX = "_retrain_fitted_"
_WIDE = {"i": "int64", "u": "int64", "f": "float64"}


def fit(frame: "pd.DataFrame", built: Sequence[Any]) -> "tuple[pd.DataFrame, list[Any]]":
    """Return a frame with columns added, and expectations about these in the place of those that would stumble."""
    added: dict[str, pd.Series[Any]] = {}
    fitted = [_fitted(frame, one, added) for one in built]
    return (frame.assign(**added) if added else frame), fitted


def _fitted(frame: "pd.DataFrame", one: Any, added: "dict[str, pd.Series[Any]]") -> Any:
    kind = one.expectation_type
    if kind not in LIMITED or one.column not in frame.columns:
        return one
    low, high = one.min_value, one.max_value
    column = frame[one.column]
    if any(isinstance(limit, dt.date) for limit in (low, high)):
        return _with_times(column, one, added)
    if kind == _BETWEEN and _is_narrow(column):
        return _on(added, one, column.astype(_WIDE[column.dtype.kind]), low, high)
    return one


def _with_times(column: "pd.Series[Any]", one: Any, added: "dict[str, pd.Series[Any]]") -> Any:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        limits = [moment(limit, aware=isinstance(column.dtype, pd.DatetimeTZDtype)) for limit in _limits(one)]
        return _on(added, one, _in_nanoseconds(column), *limits)
    found = pd.api.types.infer_dtype(column, skipna=True)
    if found == "date":
        return _on(added, one, _in_nanoseconds(pd.to_datetime(column)), *(moment(x, aware=False) for x in _limits(one)))
    if one.expectation_type != _BETWEEN or found != "string":
        return one
    # Times in a CSV are text: what is no time is outside of any limits, but a null stays a null.
    low, high = (moment(limit, aware=True) for limit in _limits(one))
    times = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
    try:
        outside = low - dt.timedelta(days=1) if low is not None else high + dt.timedelta(days=1)
    except OverflowError:
        return one
    return _on(added, one, times.mask(times.isna() & column.notna(), outside), low, high)


def _on(added: "dict[str, pd.Series[Any]]", one: Any, column: "pd.Series[Any]", low: Any, high: Any) -> Any:
    """Let an expectation be about a column that stands for its own."""
    name = f"{_PREFIX}{len(added)}"
    added[name] = column
    return one.copy(update={"column": name, "min_value": low, "max_value": high}, deep=True)


def _limits(one: Any) -> tuple[Any, Any]:
    return one.min_value, one.max_value


def moment(limit: Any, *, aware: bool) -> Any:
    """Return a limit as a time, with or without a zone as the column has it; what is no date stays as it is."""
    if not isinstance(limit, dt.date):
        return limit
    at = limit if isinstance(limit, dt.datetime) else dt.datetime.combine(limit, dt.time())
    if aware:
        return at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    return at.astimezone(dt.UTC).replace(tzinfo=None) if at.tzinfo else at


def _in_nanoseconds(column: "pd.Series[Any]") -> "pd.Series[Any]":
    import pandas as pd

    try:
        return column if isinstance(column.dtype, pd.DatetimeTZDtype) else column.astype("datetime64[ns]")
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        return column


def _is_narrow(column: "pd.Series[Any]") -> bool:
    """Say whether these are numbers of less than 64 bits, as numpy has them."""
    import numpy as np

    return isinstance(column.dtype, np.dtype) and column.dtype.kind in _WIDE and column.dtype.itemsize < 8
