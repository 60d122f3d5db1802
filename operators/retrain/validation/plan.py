"""Which expectations are evaluated together, on which columns, and whether a part of the rows at a time will do.

Great Expectations copies all columns that it is given whenever it drops nulls or applies a condition, so each group of
expectations gets no column that it does not need.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from retrain.validation.suites import Expectation

# What holds for each row by itself: how many of all rows break it is the sum over any division of the rows. What is not
# known to be like this is evaluated on all rows at once, expectations of the user's own making among them.
BY_ROW = frozenset(
    {
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_dateutil_parseable",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_json_parseable",
        "expect_column_values_to_be_null",
        "expect_column_values_to_match_json_schema",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_match_strftime_format",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_not_match_regex_list",
        "expect_label_definition",
        "expect_multicolumn_sum_to_equal",
        "expect_multicolumn_values_to_be_equal",
        "expect_select_column_values_to_be_unique_within_record",
    }
)
_SHAPE = frozenset({"table.column_count", "table.columns", "table.row_count"})
_KNOWN = ("great_expectations.expectations.core.", "retrain.")
# In a condition that is written as text, these may look at more than one row: mean(), index, @variable.
_NOT_BY_ROW = (".", "(", "@", "index")


@dataclass(frozen=True)
class Group:
    """Expectations (their positions in the suite) that need the same columns."""

    columns: tuple[Any, ...]
    members: tuple[int, ...]


def columns_of(one: Expectation, built: Any, names: Sequence[Any]) -> tuple[Any, ...]:
    """Return the columns that it takes to evaluate an expectation, in the order of the data.

    A condition that is written as text may name any column that occurs in it. An expectation of the user's own making
    may look at every column.
    """
    if not type(built).__module__.startswith(_KNOWN):
        return tuple(names)
    condition = _text_condition(one)
    return tuple(name for name in names if name in one.columns or (condition and str(name) in condition))


def is_about_shape(one: Expectation, built: Any) -> bool:
    """Say whether the names of the columns and the number of rows are all that it asks for."""
    asked = frozenset(built.metric_dependencies)
    return bool(asked) and asked <= _SHAPE and not one.kwargs.get("row_condition") and not hasattr(built, "map_metric")


def is_by_row(one: Expectation) -> bool:
    """Say whether an expectation judges each row by itself, so that what parts of the rows break can be added up."""
    return one.type in BY_ROW and not any(sign in _text_condition(one) for sign in _NOT_BY_ROW)


def groups(needed: Iterable[tuple[int, tuple[Any, ...]]], *, one_pass: bool) -> list[Group]:
    """Put together what needs the same columns; in `one_pass` everything, on all columns that are needed."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for i, columns in needed:
        found.setdefault(columns, []).append(i)
    if one_pass and found:
        members = sorted(i for group in found.values() for i in group)
        return [Group(tuple(dict.fromkeys(name for columns in found for name in columns)), tuple(members))]
    return [Group(columns, tuple(members)) for columns, members in found.items()]


def _text_condition(one: Expectation) -> str:
    condition = one.kwargs.get("row_condition")
    return condition if isinstance(condition, str) else ""
