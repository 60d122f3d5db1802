"""What an expectation's outcome is in plain words, without values of the data that nobody may see."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrain.exceptions import SuiteError
from retrain.records import ExpectationFailure, Severity
from retrain.validation import gx
from retrain.validation.suites import Expectation, Suite

_SUBJECT = ("column", "column_A", "column_B", "column_list")
_OBSERVED = "observed_value"
_MOST_NAMED = 20


@dataclass(frozen=True)
class Speaker:
    """Words for the outcomes of one suite on data with these columns; `pii` are columns whose values stay unsaid."""

    suite: Suite
    names: Sequence[Any]
    dtypes: Mapping[Any, str]
    pii: frozenset[str]

    def failure(self, i: int, outcome: gx.Outcome) -> ExpectationFailure:
        """Return what did not hold; SuiteError where it could not be evaluated."""
        one = self.suite.expectations[i]
        if outcome.crash == gx.MISSING_COLUMN:
            return ExpectationFailure(one.type, one.subject, Severity.CRITICAL, reason=outcome.message)
        if outcome.crash == gx.WRONG_TYPE:
            types = ", ".join(f"{name} is {self.dtypes.get(name, 'of another type')}" for name in one.columns)
            reason = f"it cannot be evaluated on columns of these types: {types}"
            return ExpectationFailure(one.type, one.subject, Severity.CRITICAL, reason=reason)
        if outcome.crash:
            # What GX says may quote a value.
            why = "the error is not shown, because the column is private" if self._private(one) else outcome.message
            raise SuiteError(
                f"{self.suite.source}, expectation {i} ({one.type} on {one.subject or 'the table'}) "
                f"could not be evaluated: {why}",
                expected="an expectation that Great Expectations can evaluate on this data",
                remedy="Correct its kwargs",
            )
        count = outcome.result.get("unexpected_count") if outcome.about_rows else None
        severity, reason = one.severity, self._reason(one, outcome)
        if gone := self._other_columns(one):
            # Columns that are missing or new are schema skew, which stops whatever the severity.
            severity, reason = Severity.CRITICAL, gone
        return ExpectationFailure(one.type, one.subject, severity, count, reason)

    def result(self, i: int, outcome: gx.Outcome | None) -> dict[str, Any]:
        """Return an entry of the stored result; an outcome of None is an expectation that was skipped."""
        one = self.suite.expectations[i]
        document = {"type": one.type, "kwargs": dict(one.kwargs), "severity": one.severity.value}
        if one.notes:
            document["notes"] = one.notes
        if outcome is None:
            return {**document, "success": False, "skipped": "every value of its column is null"}
        numbers = dict(outcome.result)
        if self._private(one):
            # A minimum or a most common value is a value of the data.
            numbers.pop(_OBSERVED, None)
        return {**document, "success": outcome.success, "crash": outcome.crash, "result": numbers}

    def _private(self, one: Expectation) -> bool:
        condition = one.kwargs.get("row_condition")
        text = condition if isinstance(condition, str) else ""
        return any(name in one.columns or name in text for name in self.pii)

    def _other_columns(self, one: Expectation) -> str | None:
        """Return which columns are missing or too many, for an expectation that demands a set of columns."""
        demanded = one.kwargs.get("column_set", one.kwargs.get("column_list"))
        if not one.type.startswith("expect_table_columns_") or not isinstance(demanded, list | tuple | set):
            return None
        missing = [name for name in demanded if name not in self.names]
        extra = [str(name) for name in self.names if name not in demanded]
        return f"missing columns {_some(missing)}, extra columns {_some(extra)}" if missing or extra else None

    def _reason(self, one: Expectation, outcome: gx.Outcome) -> str:
        arguments = {name: value for name, value in one.kwargs.items() if name not in _SUBJECT}
        demanded = f", demanded {json.dumps(arguments, default=str)[:200]}" if arguments else ""
        rows, count = outcome.result.get("element_count"), outcome.result.get("unexpected_count")
        if outcome.about_rows and rows and count is not None:
            return f"{count:,} of {rows:,} rows break it ({count / rows:.2%}){demanded}"
        if one.type.startswith("expect_table_columns_"):
            return "the columns come in another order"
        if "type" in one.type and not one.type.startswith("expect_table_") and one.kwargs.get("column") in self.dtypes:
            return f"the column is {self.dtypes[one.kwargs['column']]}{demanded}"
        observed = outcome.result.get(_OBSERVED)
        if self._private(one) or (observed is None and not outcome.reason):
            return f"it does not hold{demanded}"
        return outcome.reason or f"observed {observed:.6g}{demanded}"


def label(one: Expectation) -> str:
    """Name an expectation beside a row that breaks it."""
    return f"{one.type}({one.subject})" if one.subject else one.type


def _some(names: list[Any]) -> str:
    shown = str(names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED:,} more"
