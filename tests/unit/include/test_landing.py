import pandas as pd
import pyarrow.parquet as pq
import pytest

from include.flights import landing


@pytest.fixture(scope="module")
def february(tmp_path_factory):
    return landing.land("2013-02", tmp_path_factory.mktemp("landing"))


def test_the_twelve_months_hold_every_flight_of_the_year():
    assert sum(len(landing.month(name)) for name in landing.MONTHS) == 336_776


def test_a_month_holds_the_flights_of_that_month_only(february):
    departures = pd.read_parquet(february)["sched_dep"]
    assert february.name == "2013-02.parquet"
    assert departures.min() >= pd.Timestamp("2013-02-01")
    assert departures.max() < pd.Timestamp("2013-03-01")


def test_a_month_that_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'2014-01'.*2013-01 to 2013-12"):
        landing.month("2014-01")


def test_landing_a_month_again_writes_the_same_bytes(february, tmp_path):
    assert landing.land("2013-02", tmp_path).read_bytes() == february.read_bytes()


def test_only_the_finished_file_has_the_name_that_is_watched(tmp_path, monkeypatch):
    seen = []

    class Watched(pd.DataFrame):
        def to_parquet(self, file, **options):
            file.write(b"half")
            file.flush()
            seen.extend(path.name for path in tmp_path.iterdir())
            raise OSError("disk full")

    monkeypatch.setattr(landing, "month", lambda name: Watched())
    with pytest.raises(OSError, match="disk full"):
        landing.land("2013-02", tmp_path)
    assert len(seen) == 1
    assert seen[0].startswith(".")
    assert list(tmp_path.iterdir()) == []


def test_the_file_may_be_read_by_other_users(february):
    assert february.stat().st_mode & 0o777 == 0o644


def test_the_columns_are_those_of_the_feed(february):
    assert pq.read_schema(february).names == landing.COLUMNS


def test_late_means_more_than_fifteen_minutes_and_is_missing_without_arrival(february):
    flights = pd.read_parquet(february)
    arrived = flights["arr_delay"].notna()
    assert ((flights["arr_delay"] > 15) == (flights["late"] == 1.0))[arrived].all()
    assert flights["late"].isna().equals(~arrived)
    assert 0.05 < flights["late"].isna().mean() < 0.06


def test_carrier_flight_and_departure_name_a_flight(february):
    assert not pd.read_parquet(february).duplicated(["carrier", "flight", "sched_dep"]).any()


def test_the_weather_is_that_of_two_hours_before_the_hour_of_departure():
    weather = pd.read_csv(landing._packaged("weather.csv"))
    # 08:00 UTC is 3 o'clock in New York; two hours later leaves the flight of 5:15.
    observed = weather[(weather["origin"] == "EWR") & (weather["time_hour"] == "2013-01-01T08:00:00Z")].iloc[0]
    flight = landing.month("2013-01").iloc[0]
    assert (flight["origin"], flight["sched_dep"]) == ("EWR", pd.Timestamp("2013-01-01 05:15"))
    assert flight["temp"] == observed["temp"]
