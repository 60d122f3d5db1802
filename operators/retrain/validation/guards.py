"""Checks that are always on, because Great Expectations passes what they catch."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from retrain.records import ExpectationFailure, Severity
from retrain.validation.suites import Expectation

READABLE, NOT_EMPTY, UNIQUE_COLUMNS, HAS_VALUES = "readable", "not_empty", "unique_columns", "has_values"
_ABOUT_NULLS = (
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_proportion_of_non_null_values_to_be_between",
)


def readable(reason: str) -> ExpectationFailure:
    """Say that the content is not of its format: truncated, corrupt, or something else altogether."""
    return ExpectationFailure(READABLE, None, Severity.CRITICAL, reason=reason)


def without_quotes(text: str) -> str:
    """Take out what a parser quotes of the data."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", text)


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


class Columns(Protocol):
    """What has columns: rows in a file or in memory, or a table in a database."""

    @property
    def count(self) -> int:
        """How many rows there are."""

    @property
    def names(self) -> Sequence[Any]:
        """The columns."""

    def is_blank(self, column: str) -> bool:
        """Say whether every value of a column is null."""


def has_values(data: Columns, expectations: Sequence[Expectation]) -> list[ExpectationFailure]:
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
        ExpectationFailure(HAS_VALUES, column, severity, data.count, "every value is null")
        for column, severity in gravest.items()
        if column in data.names and data.is_blank(column)
    ]


def obstructed(one: Expectation, failures: Iterable[ExpectationFailure]) -> bool:
    """Say whether an expectation need not be evaluated, because it is on a column that `has_values` has failed."""
    blank = {failure.column for failure in failures if failure.expectation == HAS_VALUES}
    return one.type not in _ABOUT_NULLS and not blank.isdisjoint(one.columns)
