"""Limits that are dates, as people write them, beside columns of times, dates and text."""

import datetime as dt

import pandas as pd
import pytest

from retrain.validation import validate

pytestmark = pytest.mark.integration

DAYS = pd.date_range("2013-01-01", periods=5)
COLUMNS = {
    "nanoseconds": DAYS.astype("datetime64[ns]"),
    "microseconds": DAYS.astype("datetime64[us]"),
    "zone": DAYS.tz_localize("UTC"),
    "other zone": DAYS.tz_localize("UTC").tz_convert("America/New_York"),
    "dates": [one.date() for one in DAYS],
    "text": [str(one) for one in DAYS],
}
LIMITS = ["2013-01-03", "2013-01-03T00:00:00", dt.date(2013, 1, 3), dt.datetime(2013, 1, 3, tzinfo=dt.UTC)]


def failures(frame, kind, **kwargs):
    suite = {"expectations": [{"type": kind, "kwargs": {"column": "at", **kwargs}}]}
    return [(one.count, one.reason) for one in validate(frame, suite).failures]


@pytest.mark.parametrize("limit", LIMITS, ids=str)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_date_is_its_midnight(name, limit):
    frame = pd.DataFrame({"at": COLUMNS[name]})
    assert [one for one, _ in failures(frame, "expect_column_values_to_be_between", max_value=limit)] == [2]
    assert [one for one, _ in failures(frame, "expect_column_values_to_be_between", min_value=limit)] == [2]
    strict = failures(frame, "expect_column_values_to_be_between", min_value=limit, strict_min=True)
    assert [one for one, _ in strict] == [3]


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "text"])
def test_the_first_and_the_last_time_have_limits(name):
    frame = pd.DataFrame({"at": COLUMNS[name]})
    assert not failures(frame, "expect_column_min_to_be_between", min_value="2013-01-01")
    assert failures(frame, "expect_column_max_to_be_between", max_value="2013-01-04")


def test_text_that_is_no_time_is_out_of_range_and_a_null_is_not():
    frame = pd.DataFrame({"at": ["2013-01-02", None, "soon", "2013-01-09 12:00"]})
    for limits in ({"min_value": "2013-01-01"}, {"max_value": "2013-02-01"}):
        assert [one for one, _ in failures(frame, "expect_column_values_to_be_between", **limits)] == [1]


def test_times_beyond_nanoseconds_are_compared_too():
    far = pd.DataFrame({"at": pd.Series([dt.datetime(1500, 1, 1), dt.datetime(2013, 1, 1)], dtype="datetime64[us]")})
    assert [one for one, _ in failures(far, "expect_column_values_to_be_between", min_value="2013-01-01")] == [1]


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "float32", "Int64"])
def test_numbers_of_any_width_are_compared_as_they_are(dtype):
    frame = pd.DataFrame({"at": pd.Series([1, 2, 3, 4, 5], dtype=dtype)})
    assert [one for one, _ in failures(frame, "expect_column_values_to_be_between", max_value=3.5)] == [2]


def test_a_number_is_no_date():
    assert (
        "at is int64"
        in failures(pd.DataFrame({"at": [1, 2]}), "expect_column_values_to_be_between", min_value="2013-01-01")[0][1]
    )
