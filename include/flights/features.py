"""Features of the flight-delays model: what is known two hours before a flight is due to leave.

`prepare` is saved inside the registered model, so training, batch scoring and the online service derive their inputs
by the same lines. It looks only at the row itself: no target, no state, no order of rows.
"""

import pandas as pd

CATEGORICAL = ("carrier", "origin", "dest")
# Weather as observed at the origin two hours before departure; see landing.py.
WEATHER = ("temp", "humid", "wind_speed", "precip", "visib")
NUMERIC = ("departure_minute", "arrival_minute", "weekday", "distance", *WEATHER)


def prepare(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn rows of the flights feed into the features of the model, one row for each row.

    Returns the columns `CATEGORICAL` (strings) and `NUMERIC` (float64, NaN where unknown) under the index of `frame`.
    `dep_delay`, `arr_delay` and `air_time` are known only afterwards and therefore never read. The month is left out
    on purpose: a model that has seen January to March can learn nothing about April from it.
    """
    departure = pd.to_datetime(frame["sched_dep"])
    arrival = frame["sched_arr_time"]
    features = {name: frame[name].astype("str") for name in CATEGORICAL}
    features["departure_minute"] = departure.dt.hour * 60 + departure.dt.minute
    features["arrival_minute"] = arrival // 100 * 60 + arrival % 100  # 1345 means 13:45
    features["weekday"] = departure.dt.weekday
    features["distance"] = frame["distance"]
    features |= {name: frame[name] for name in WEATHER}
    return pd.DataFrame(features, index=frame.index).astype(dict.fromkeys(NUMERIC, "float64"))
