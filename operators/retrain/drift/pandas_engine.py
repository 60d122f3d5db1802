"""The profiling engine on pandas: a DataFrame to a Profile. Another engine has to make the same records."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retrain.drift.profiles import LEVELS, SAMPLE_ROWS, ColumnProfile, Kind, Profile, looks_like_text
from retrain.drift.sketch import QuantileSketch
from retrain.exceptions import DataError

if TYPE_CHECKING:
    import pandas as pd

# A sample is kept with the model: at 500 columns 2,000 rows of it would be most of the document.
SAMPLE_CELLS = 200_000

_FAMILIES = {
    "boolean": "boolean",
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "datetime": "datetime",
    "datetime64": "datetime",
    "date": "datetime",
    "timedelta": "datetime",
    "timedelta64": "datetime",
    "time": "datetime",
    "period": "datetime",
    "empty": "empty",
}


def profile_frame(
    frame: "pd.DataFrame",
    *,
    columns: Sequence[str] | None,
    categorical: Sequence[str],
    target: str | None,
    prediction: str | None,
    pii: Sequence[str],
) -> Profile:
    """Profile the named columns of `frame` (None: all); those that are not there are listed in `absent`."""
    names = [str(name) for name in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"the columns {twice} come more than once", expected="column names that differ")
    present = dict(zip(names, frame.columns, strict=True))
    wanted = names if columns is None else list(columns)
    series = {name: frame[present[name]] for name in wanted if name in present}
    asked = dict.fromkeys([*wanted, *filter(None, (target, prediction))])
    profiles = {
        name: profile_column(name, column, as_levels=name in categorical, private=name in pii)
        for name, column in series.items()
    }
    return Profile(
        rows=len(frame),
        columns=profiles,
        sample=_sample(series, profiles, len(frame)),
        target=target,
        prediction=prediction,
        categorical=tuple(categorical),
        pii=tuple(pii),
        absent=tuple(name for name in asked if name not in present),
    )


def profile_column(name: str, column: "pd.Series", *, as_levels: bool, private: bool) -> ColumnProfile:
    """Profile one column. `as_levels`: compare as categories, however many there are."""
    nulls = int(column.isna().sum())
    family = _family(column)
    base: dict[str, Any] = {
        "name": name,
        "family": family,
        "dtype": str(column.dtype),
        "rows": len(column),
        "nulls": nulls,
        "private": private,
    }
    if family == "empty":
        return ColumnProfile(kind=Kind.EMPTY, **base)
    values = column if nulls == 0 else column.dropna()
    if family == "datetime":
        return _datetime(values, base)
    if family == "number" and not as_levels and str(column.dtype) != "category":
        return _numeric(values, base)
    return _levels(values, base, as_levels=as_levels)


def _family(column: "pd.Series") -> str:
    import pandas as pd
    from pandas.api import types

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _family(pd.Series(dtype.categories)) if len(dtype.categories) else "empty"
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return "number"
    if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        return "datetime"
    return _FAMILIES.get(types.infer_dtype(column, skipna=True), "string")


def _numeric(values: "pd.Series", base: dict[str, Any]) -> ColumnProfile:
    import numpy as np

    numbers = values.to_numpy(dtype=np.float64)
    finite = numbers[np.isfinite(numbers)]
    base["infinite"] = len(numbers) - len(finite)
    if len(finite) == 0:
        return ColumnProfile(kind=Kind.NUMERIC, **base)
    sketch = QuantileSketch.of(finite)
    distinct = len(sketch.values) if sketch.exact else len(np.unique(finite))
    if base["private"]:
        return ColumnProfile(kind=Kind.NUMERIC, distinct=distinct, **base)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(np.mean(finite)), float(np.std(finite))
    return ColumnProfile(
        kind=Kind.NUMERIC,
        distinct=distinct,
        mean=mean if math.isfinite(mean) else None,
        std=std if math.isfinite(std) else None,
        minimum=float(sketch.values[0]),
        maximum=float(sketch.values[-1]),
        sketch=sketch,
        **base,
    )


def _levels(values: "pd.Series", base: dict[str, Any], *, as_levels: bool) -> ColumnProfile:
    counts = _named(values, base["family"]).value_counts()
    counts = counts[counts > 0]
    distinct = len(counts)
    kind = Kind.BOOLEAN if base["family"] == "boolean" else Kind.CATEGORICAL
    if not as_levels and looks_like_text(distinct, len(values)):
        kind = Kind.TEXT
    if base["private"]:
        return ColumnProfile(kind=kind, distinct=distinct, **base)
    ranked = sorted(((str(level), int(count)) for level, count in counts.items()), key=lambda item: (-item[1], item[0]))
    kept = {} if kind is Kind.TEXT and distinct > LEVELS else dict(ranked[:LEVELS])
    return ColumnProfile(kind=kind, distinct=distinct, counts=kept, other=len(values) - sum(kept.values()), **base)


def _named(values: "pd.Series", family: str) -> "pd.Series":
    """Give each level one name, however the number or flag behind it is stored."""
    if family == "number":
        return values.astype("float64").map(lambda value: str(int(value)) if value.is_integer() else repr(value))
    if family == "boolean":
        return values.astype("bool").map({True: "True", False: "False"})
    # Also lists and other objects that cannot be counted by themselves.
    return values.astype("object").map(str)


def _datetime(values: "pd.Series", base: dict[str, Any]) -> ColumnProfile:
    distinct = int(values.nunique())
    if base["private"] or values.empty:
        return ColumnProfile(kind=Kind.DATETIME, distinct=distinct, **base)
    if str(values.dtype) == "category":
        values = values.astype(values.cat.categories.dtype)
    first, last = _iso(values.min()), _iso(values.max())
    return ColumnProfile(kind=Kind.DATETIME, distinct=distinct, minimum=first, maximum=last, **base)


def _iso(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _sample(
    series: dict[str, "pd.Series"], profiles: dict[str, ColumnProfile], rows: int
) -> dict[str, tuple[Any, ...]]:
    """Draw rows without replacement; the same table gives the same sample."""
    import numpy as np

    open_columns = [name for name, column in profiles.items() if not column.private]
    if not open_columns or not rows:
        return {}
    size = min(rows, SAMPLE_ROWS, max(1, SAMPLE_CELLS // len(open_columns)))
    chosen = np.sort(np.random.default_rng(rows).choice(rows, size=size, replace=False))
    drawn = {name: series[name].iloc[chosen] for name in open_columns}
    return {name: tuple(map(plain, part.astype("object").where(part.notna(), None))) for name, part in drawn.items()}


def plain(value: Any) -> Any:
    """Turn a cell into a JSON value; an infinite one into None."""
    if value is None or isinstance(value, str | bool):
        return value
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    return _iso(value)
