"""The profiling engine on pandas: a DataFrame to a Profile. Another engine has to make the same records."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retrain.drift.duplicates import Duplicates
from retrain.drift.profiles import LEVELS, ColumnProfile, Kind, Profile, looks_like_text
from retrain.drift.sketch import QuantileSketch
from retrain.drift.tables import Options, iso, plain, sample_size, utf8
from retrain.exceptions import DataError

if TYPE_CHECKING:
    import pandas as pd

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


def profile_frame(frame: "pd.DataFrame", options: Options) -> Profile:
    """Profile the columns of `frame` that `options` name; those that are not there are listed in `absent`."""
    names = [str(name) for name in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"the columns {twice} come more than once", expected="column names that differ")
    present = dict(zip(names, frame.columns, strict=True))
    series = {name: frame[present[name]] for name in options.wanted(names)}
    profiles = {
        name: profile_column(name, column, as_levels=name in options.categorical, private=name in options.pii)
        for name, column in series.items()
    }
    return Profile(
        rows=len(frame),
        columns=profiles,
        sample=_sample(series, profiles, len(frame)),
        target=options.target,
        prediction=options.prediction,
        categorical=options.categorical,
        pii=options.pii,
        absent=options.absent(present),
        duplicates=_duplicates(list(series.values())).of_columns(series) if series else None,
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
    different, counts = np.unique(finite, return_counts=True)
    if base["private"]:
        return ColumnProfile(kind=Kind.NUMERIC, distinct=len(different), **base)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(np.mean(finite)), float(np.std(finite))
    return ColumnProfile(
        kind=Kind.NUMERIC,
        distinct=len(different),
        mean=mean if math.isfinite(mean) else None,
        std=std if math.isfinite(std) else None,
        minimum=float(different[0]),
        maximum=float(different[-1]),
        sketch=QuantileSketch.of_counts(different, counts),
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
    import pandas as pd

    if family == "number":
        return values.astype("float64").map(lambda value: str(int(value)) if value.is_integer() else repr(value))
    if family == "boolean":
        return values.astype("bool").map({True: "True", False: "False"})
    if isinstance(values.dtype, pd.StringDtype):
        return values
    # Also lists and other objects that cannot be counted by themselves.
    return pd.Series([_text(value) for value in values.astype("object")], dtype="object")


def _text(value: Any) -> str:
    return utf8(str(value.tolist() if hasattr(value, "tolist") else value))


def _datetime(values: "pd.Series", base: dict[str, Any]) -> ColumnProfile:
    distinct = int(values.nunique())
    if base["private"] or values.empty:
        return ColumnProfile(kind=Kind.DATETIME, distinct=distinct, **base)
    if str(values.dtype) == "category":
        values = values.astype(values.cat.categories.dtype)
    first, last = iso(values.min()), iso(values.max())
    return ColumnProfile(kind=Kind.DATETIME, distinct=distinct, minimum=first, maximum=last, **base)


def _duplicates(columns: "Sequence[pd.Series]") -> Duplicates:
    """Count repeated rows by a 64-bit hash of each: two rows in 1e9 are taken for equal with a chance of 3%."""
    import numpy as np

    if not len(columns[0]):
        return Duplicates(0, 0, 0)
    combined = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        # Order matters: two columns that swap their values are another row.
        combined = combined * np.uint64(0x9E3779B97F4A7C15) + _hashes(column)
    return Duplicates.of_hashes(combined, len(combined))


def _hashes(column: "pd.Series") -> Any:
    import numpy as np
    from pandas.util import hash_array, hash_pandas_object

    if column.dtype.kind in "iufb":
        return hash_array(column.to_numpy())
    try:
        return hash_pandas_object(column, index=False).to_numpy()
    except (TypeError, UnicodeEncodeError):
        # Lists and other objects that cannot be hashed by themselves; text that is no UTF-8.
        return hash_array(np.array([_text(value) for value in column.astype("object")], dtype=object))


def _sample(
    series: dict[str, "pd.Series"], profiles: dict[str, ColumnProfile], rows: int
) -> dict[str, tuple[Any, ...]]:
    """Draw rows without replacement; the same table gives the same sample."""
    import numpy as np

    open_columns = [name for name, column in profiles.items() if not column.private]
    if not open_columns or not rows:
        return {}
    size = sample_size(rows, len(open_columns))
    chosen = np.sort(np.random.default_rng(rows).choice(rows, size=size, replace=False))
    drawn = {name: series[name].iloc[chosen] for name in open_columns}
    return {name: tuple(map(plain, part.astype("object").where(part.notna(), None))) for name, part in drawn.items()}
