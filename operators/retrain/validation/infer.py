"""A suite from a reference partition, for a person to edit."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from retrain.data import readers
from retrain.exceptions import MissingColumnError
from retrain.records import DataRef, Severity
from retrain.validation import room
from retrain.validation.observe import HASHED_ROWS, MOST_VALUES, Column, Observed, observe

# How often a suite may complain of a batch in which nothing has changed; each of its checks gets its part.
_FALSE_ALARMS = 0.01
_CHECKS_PER_COLUMN = 3
_MOST_LABELS = 20
# A value set is inferred from columns in which a value occurs about this often, or more.
_ROWS_PER_VALUE = 10
_RATIO = (0.5, 2.0)


@dataclass(frozen=True)
class _Task:
    observed: Observed
    target: str | None
    event_time: str | None
    pii: frozenset[str]
    categorical: frozenset[str]
    risk: float


def infer(
    source: readers.Source,
    *,
    target: str | None = None,
    event_time: str | None = None,
    pii: Iterable[str] = (),
    categorical: Iterable[str] = (),
    name: str = "inferred",
) -> dict[str, Any]:
    """Return a suite document that a reference fulfils, and fresh data like it too; read it, and edit it.

    Critical: the set of columns, the kind of each, the definition of the `target`, an `event_time` in every row.
    Warnings: nulls, ranges of numbers, values of `categorical` columns and of text that has few, columns in which no
    value repeats, the number of rows, the share of the rarer of two labels. Every `mostly` and limit has room for
    sampling (`retrain.validation.room`): of batches in which nothing has changed, at least half as large as the
    reference, about 1 in 100 breaks any of them. Each entry's `notes` say what was seen. Of a `pii` column no value
    is in it: its kind and its share of nulls only.

    Memory is bounded for Parquet and CSV of any size. Raises MissingColumnError where a named column is not there,
    DataError without a row, and what reading raises.
    """
    pii, categorical = frozenset(pii), frozenset(categorical)
    observed = observe(source, private=pii)
    names = [column.name for column in observed.columns]
    named = [*(one for one in (target, event_time) if one is not None), *sorted(pii | categorical)]
    if missing := [one for one in named if one not in names]:
        raise MissingColumnError(
            f"the reference lacks the columns {missing}",
            expected=f"some of {names[:MOST_VALUES]}",
            remedy="Correct target, event_time, pii or categorical",
        )
    risk = _FALSE_ALARMS / (1 + _CHECKS_PER_COLUMN * len(names))
    task = _Task(observed, target, event_time, pii, categorical, risk)
    expectations = [*_about_table(task), *(one for column in observed.columns for one in _about_column(column, task))]
    return {"name": name, "meta": {"notes": _origin(source, observed)}, "expectations": expectations}


def _about_table(task: _Task) -> list[dict[str, Any]]:
    names, rows = [column.name for column in task.observed.columns], task.observed.rows
    return [
        _entry(
            "expect_table_columns_to_match_set", Severity.CRITICAL, f"the {len(names)} columns of the reference",
            column_set=names, exact_match=True,
        ),
        _entry(
            "expect_batch_size_to_be_between", Severity.WARNING, f"{rows:,} rows",
            reference_rows=rows, min_ratio=_RATIO[0], max_ratio=_RATIO[1],
        ),
    ]  # fmt: skip


def _about_column(column: Column, task: _Task) -> list[dict[str, Any]]:
    if not column.filled:
        return []  # nothing is known of it: that it is there, the set of columns demands
    private = column.name in task.pii
    found = [_kind(column)] if column.kind else []
    classes = [] if private or column.name != task.target else _classes(column)
    if classes:
        return [*found, *_label(column, classes, task)]
    found.append(_nulls(column, task))
    if private:
        return found
    return [*found, *_values(column, task), *_unique(column, task)]


def _kind(column: Column) -> dict[str, Any]:
    seen = f"stored as {column.stored}"
    return _entry("expect_column_to_be_of_kind", Severity.CRITICAL, seen, column=column.name, kind=column.kind)


def _nulls(column: Column, task: _Task) -> dict[str, Any]:
    grave = column.name in (task.target, task.event_time)
    kwargs = {"column": column.name, **_mostly(column.nulls, column.rows, task)}
    seen = f"{column.nulls:,} of {column.rows:,} rows are null"
    return _entry(
        "expect_column_values_to_not_be_null", Severity.CRITICAL if grave else Severity.WARNING, seen, **kwargs
    )


def _classes(column: Column) -> list[Any]:
    """Return the labels of a target that is a class; none where it is a quantity."""
    values = column.values or {}
    if column.kind == "number" and any(value % 1 for value in values):
        return []
    return _plain(values) if len(values) <= _MOST_LABELS else []


def _label(column: Column, classes: list[Any], task: _Task) -> list[dict[str, Any]]:
    values = {_whole(value): count for value, count in (column.values or {}).items()}
    room_ = _mostly(column.nulls, column.rows, task) if column.nulls else {}
    seen = ", ".join(f"{label}: {values[label]:,}" for label in classes) + f"; {column.nulls:,} rows have none"
    advice = "; without `mostly`, rows that have none would be set aside" if column.nulls else ""
    found = [
        _entry("expect_label_definition", Severity.CRITICAL, seen + advice, column=column.name, values=classes, **room_)
    ]
    if len(classes) == 2:
        positive = _positive(values)
        low, high = room.share_between(values[positive], column.filled, risk=task.risk)
        kwargs = {"column": column.name, "positive": positive, "min_value": low, "max_value": high}
        seen = f"the share of {positive} is {values[positive] / column.filled:.4g} of {column.filled:,} labels"
        found.append(_entry("expect_label_share_to_be_between", Severity.WARNING, seen, **kwargs))
    return found


def _positive(values: dict[Any, int]) -> Any:
    """Return the label whose share is watched: 1 of 0 and 1, true of false and true, else the rarer one."""
    ones = [label for label in values if label == 1]
    return ones[0] if ones and any(label == 0 for label in values) else min(values, key=lambda label: values[label])


def _values(column: Column, task: _Task) -> list[dict[str, Any]]:
    if column.kind in ("integer", "number") and column.name not in task.categorical:
        return _range(column, task)
    declared = column.name in task.categorical
    if column.values is None or (not declared and len(column.values) * _ROWS_PER_VALUE > column.filled):
        return []
    # What has been seen once says how much has not been seen at all (Good, 1953).
    once = sum(count == 1 for count in column.values.values())
    listed = _plain(column.values)
    seen = f"{len(listed)} values" + (f", {once} of them once" if once else "")
    kwargs = {"value_set": listed, **_mostly(once + 1, column.filled, task)}
    return [_entry("expect_column_values_to_be_in_set", Severity.WARNING, seen, column=column.name, **kwargs)]


def _range(column: Column, task: _Task) -> list[dict[str, Any]]:
    sample = column.sample()
    if not len(sample):
        return []
    low, high, outside = room.limits(sample)
    # As many again as the two ends of a sample leave out on average.
    kwargs = {"min_value": _number(low), "max_value": _number(high), **_mostly(outside + 2, len(sample), task)}
    seen = f"{_number(float(sample.min())):.6g} to {_number(float(sample.max())):.6g}"
    seen += f", {outside:,} of {len(sample):,} outside" if outside else ""
    return [_entry("expect_column_values_to_be_between", Severity.WARNING, seen, column=column.name, **kwargs)]


def _unique(column: Column, task: _Task) -> list[dict[str, Any]]:
    if column.nulls or column.name in (task.target, task.event_time) or column.rows < MOST_VALUES:
        return []
    if not column.unique():
        return []
    seen = f"no value is there twice in {min(column.rows, HASHED_ROWS):,} rows"
    # Both rows of a pair count.
    kwargs = {"column": column.name, **_mostly(2, min(column.rows, HASHED_ROWS), task)}
    return [_entry("expect_column_values_to_be_unique", Severity.WARNING, seen, **kwargs)]


def _mostly(count: int, rows: int, task: _Task) -> dict[str, float]:
    return {"mostly": max(room.LEAST_MOSTLY, room.mostly(min(count, rows), rows, risk=task.risk))}


def _plain(values: Iterable[Any]) -> list[Any]:
    """Return values in order, in types that JSON has."""
    found = [_whole(value) for value in values]
    return sorted(found, key=lambda value: (str(type(value)), value))


def _whole(value: Any) -> Any:
    if isinstance(value, str | bool | int):
        return value
    return _number(float(value))


def _number(value: float) -> float | int:
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _origin(source: readers.Source, observed: Observed) -> str:
    if isinstance(source, DataRef):
        where = source.partition or source.uri
    else:
        where = str(source) if isinstance(source, str) or hasattr(source, "__fspath__") else "a DataFrame"
    return f"Inferred from {where}: {observed.rows:,} rows, {len(observed.columns)} columns. Read it and edit it."


def _entry(kind: str, severity: Severity, seen: str, /, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "severity": severity.value, "notes": f"seen: {seen}"}
