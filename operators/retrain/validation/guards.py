"""Checks that are always on, because Great Expectations passes what they catch."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from retrain.records import ExpectationFailure, Severity
from retrain.validation.suites import Expectation

if TYPE_CHECKING:
    import pandas as pd

READABLE, NOT_EMPTY, UNIQUE_COLUMNS, HAS_VALUES = "readable", "not_empty", "unique_columns", "has_values"
_ABOUT_NULLS = (
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_proportion_of_non_null_values_to_be_between",
)


def readable(reason: str) -> ExpectationFailure:
    """Say that the content is not of its format: truncated, corrupt, or something else altogether."""
    return ExpectationFailure(READABLE, None, Severity.CRITICAL, reason=reason)


def not_empty(rows: int, columns: int) -> list[ExpectationFailure]:
    """Demand a row: column expectations hold on a frame without any."""
    if rows:
        return []
    reason = "there are column names and no row" if columns else "there is nothing in it"
    return [ExpectationFailure(NOT_EMPTY, None, Severity.CRITICAL, reason=reason)]


def unique_columns(duplicates: Iterable[str]) -> list[ExpectationFailure]:
    """Demand every column name once: which of two is meant, nobody can say."""
    reason = "several columns have this name"
    return [ExpectationFailure(UNIQUE_COLUMNS, name, Severity.CRITICAL, reason=reason) for name in duplicates]


def has_values(frame: "pd.DataFrame", expectations: Sequence[Expectation]) -> list[ExpectationFailure]:
    """Demand a value in every column whose values the suite speaks of: expectations hold on nulls alone.

    Such a column fails with the gravest severity among the expectations on it.
    """
    gravest: dict[str, Severity] = {}
    order = list(Severity)
    for one in expectations:
        column = one.kwargs.get("column")
        if not isinstance(column, str) or column not in one.columns or one.type in _ABOUT_NULLS:
            continue
        gravest[column] = min(gravest.get(column, one.severity), one.severity, key=order.index)
    return [
        ExpectationFailure(HAS_VALUES, column, severity, len(frame), "every value is null")
        for column, severity in gravest.items()
        if column in frame.columns and bool(frame[column].isna().all())
    ]


def obstructed(one: Expectation, failures: Iterable[ExpectationFailure]) -> bool:
    """Say whether an expectation need not be evaluated, because it is on a column that `has_values` has failed."""
    blank = {failure.column for failure in failures if failure.expectation == HAS_VALUES}
    return one.type not in _ABOUT_NULLS and not blank.isdisjoint(one.columns)
