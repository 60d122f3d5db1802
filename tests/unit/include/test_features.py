import pandas as pd
import pytest

from include.flights.features import CATEGORICAL, NUMERIC, WEATHER, prepare


@pytest.fixture
def flights():
    return pd.DataFrame(
        {
            "sched_dep": pd.to_datetime(["2013-01-01 05:15", "2013-01-06 23:59"]),
            "carrier": ["UA", "B6"],
            "origin": ["EWR", "JFK"],
            "dest": ["IAH", "BQN"],
            "distance": [1400, 1576],
            "sched_arr_time": [819, 450],
            **{name: [1.0, float("nan")] for name in WEATHER},
        },
        index=[7, 3],
    )


def test_one_row_of_features_for_each_flight_under_its_index(flights):
    features = prepare(flights)
    assert list(features.index) == [7, 3]
    assert list(features.columns) == [*CATEGORICAL, *NUMERIC]


def test_clock_times_become_minutes_of_the_day(flights):
    features = prepare(flights)
    assert list(features["departure_minute"]) == [315, 1439]
    assert list(features["arrival_minute"]) == [499, 290]
    assert list(features["weekday"]) == [1, 6]


def test_missing_weather_stays_missing_and_numbers_are_floats(flights):
    features = prepare(flights)
    assert features["temp"].isna().tolist() == [False, True]
    assert set(features[list(NUMERIC)].dtypes.astype(str)) == {"float64"}


def test_what_is_known_only_afterwards_changes_nothing(flights):
    afterwards = flights.assign(dep_delay=600.0, arr_delay=600.0, air_time=1.0, late=1.0)
    pd.testing.assert_frame_equal(prepare(afterwards), prepare(flights))


def test_departure_may_come_as_text_as_it_does_over_http(flights):
    text = flights.assign(sched_dep=flights["sched_dep"].astype("str"))
    pd.testing.assert_frame_equal(prepare(text), prepare(flights))


def test_the_input_is_left_as_it_was(flights):
    before = flights.copy(deep=True)
    prepare(flights)
    pd.testing.assert_frame_equal(flights, before)


def test_rows_do_not_depend_on_each_other(flights):
    pd.testing.assert_frame_equal(prepare(flights.iloc[[1]]), prepare(flights).iloc[[1]])


def test_no_rows_give_no_features(flights):
    assert prepare(flights.iloc[:0]).shape == (0, len(CATEGORICAL) + len(NUMERIC))
