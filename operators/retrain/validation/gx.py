"""The one module that speaks to Great Expectations.

What it works around: GX drops an unknown expectation silently, returns results out of order, calls a crashed
expectation a failed one, and keeps values of the data in its results.
"""

import logging
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from retrain.exceptions import MissingDependencyError, SuiteError
from retrain.validation import feed, fitting
from retrain.validation.suites import Expectation, Suite

if TYPE_CHECKING:
    import pandas as pd

# Settings of a run or annotations; GX would take them as arguments of the expectation.
_NOT_ARGUMENTS = frozenset(
    {"catch_exceptions", "description", "id", "meta", "notes", "rendered_content", "result_format", "severity"}
)
MISSING_COLUMN, WRONG_TYPE, ERROR = "missing_column", "wrong_type", "error"
_KEY = "retrain_position"
# Anything more would gather values of the data, and positions that are only wanted of what fails.
_COUNTS: Mapping[str, Any] = {"result_format": "BASIC", "partial_unexpected_count": 0}
_REASON = "retrain_reason"
_POSITIONS: Mapping[str, Any] = {
    "result_format": "COMPLETE",
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
}
_NUMBERS = (
    "element_count", "missing_count", "missing_percent", "observed_value", "unexpected_count", "unexpected_percent",
    "unexpected_percent_nonmissing", "unexpected_percent_total",
)  # fmt: skip
_COLUMN_IS_MISSING = re.compile(r"column \".*\" .*does not exist|UndefinedVariableError: ")
# PostgreSQL says that there is no such operator, or function, for a column's type.
_TYPE_IS_WRONG = re.compile(
    r"^(TypeError: |AttributeError: Can only use \.)|errors\.UndefinedFunction|errors\.DatatypeMismatch", re.MULTILINE
)


@dataclass(frozen=True)
class Outcome:
    """What GX said of one expectation: `result` holds numbers only, never values of the data.

    `about_rows`: whether it judges single rows. `crash`: why it could not be evaluated (`missing_column`, `wrong_type`
    or `error`), with GX's message in `message`. `reason` is what an expectation of our own says of its failure.
    """

    success: bool
    about_rows: bool
    result: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[int, ...] = ()
    crash: str | None = None
    message: str = ""
    reason: str = ""


def build(suite: Suite) -> list[Any]:
    """Make GX's objects of a suite; SuiteError names an unknown type, argument or value."""
    return [_build(one, f"{suite.source}, expectation {i} ({one.type})") for i, one in enumerate(suite.expectations)]


def run(frame: "pd.DataFrame", built: Sequence[Any], *, positions: bool = False) -> list[Outcome]:
    """Evaluate expectations made by `build` on one frame; see `Session.run`."""
    with session() as opened:
        return opened.run(frame, built, positions=positions)


@contextmanager
def session() -> "Iterator[Session]":
    """Give a Session, which evaluates on one frame after another."""
    with quiet():
        yield Session()


class Session:
    """Great Expectations at work on frames."""

    def run(self, frame: "pd.DataFrame", built: Sequence[Any], *, positions: bool = False) -> list[Outcome]:
        """Evaluate expectations made by `build`; return one outcome each, in their order.

        The frame needs an index of 0..n-1. `positions` asks for the positions of all rows that break each one, at the
        price of a list of them: ask only for expectations that are known to fail.
        """
        if not built:
            return []
        from great_expectations.core.batch import Batch
        from great_expectations.execution_engine import PandasExecutionEngine

        fitted_frame, fitted = fitting.fit(frame, built)
        # A fluent data source would hash every value of the frame first, which takes longer than to judge them.
        made = validator(PandasExecutionEngine(), Batch(data=fitted_frame))
        return evaluate(made, fitted, _POSITIONS if positions else _COUNTS)


def validator(engine: Any, batch: Any) -> Any:
    """Return GX's validator of one batch, without a context and without progress bars."""
    from great_expectations.validator.validator import Validator

    made = Validator(execution_engine=engine, batches=[batch])
    made.metrics_calculator.show_progress_bars = False
    return made


def evaluate(on: Any, built: Sequence[Any], result_format: Mapping[str, Any] = _COUNTS) -> list[Outcome]:
    """Evaluate expectations on a batch or with a validator of GX; return one outcome each, in their order."""
    made = on if hasattr(on, "graph_validate") else validator(on.data.execution_engine, on)
    # The number comes back with the result: GX returns results in an order of its own.
    keyed = [one.copy(update={"meta": {_KEY: i}}, deep=True).configuration for i, one in enumerate(built)]
    answered = made.graph_validate(keyed, {"result_format": dict(result_format)})
    by_key = {result.expectation_config.meta[_KEY]: result for result in answered}
    if sorted(by_key) != list(range(len(built))):
        lost = sorted(set(range(len(built))) - set(by_key))
        raise SuiteError(f"Great Expectations dropped the expectations {lost}", expected=f"{len(built)} results")
    return [_outcome(by_key[i], one) for i, one in enumerate(built)]


def add_up(expectation: Any, parts: Sequence[Outcome]) -> Outcome:
    """Return the outcome over all rows from those over parts of them; the expectation itself judges the sums."""
    if crashed := next((part for part in parts if part.crash), None):
        return crashed
    element, missing, unexpected = (
        int(sum(part.result.get(name, 0) for part in parts))
        for name in ("element_count", "missing_count", "unexpected_count")
    )
    metrics = {
        "table.row_count": element,
        "column_values.nonnull.unexpected_count": missing,
        f"{expectation.map_metric}.filtered_row_count": element - missing,
        f"{expectation.map_metric}.unexpected_count": unexpected,
    }
    return judge(expectation, metrics)


def judge(expectation: Any, metrics: Mapping[str, Any]) -> Outcome:
    """Let an expectation judge numbers that are known already, such as `table.row_count` or `table.columns`."""
    with quiet():
        try:
            answer = expectation._validate(dict(metrics), {"result_format": dict(_COUNTS)}, None)
        except Exception as error:  # whatever it is, it is told like any other that could not be evaluated
            return Outcome(False, False, crash=ERROR, message=" ".join(f"{type(error).__name__}: {error}".split()))
    if isinstance(answer, Mapping):
        answer = SimpleNamespace(success=answer["success"], result=answer.get("result"), exception_info=None)
    return _outcome(answer, expectation)


def _build(one: Expectation, where: str) -> Any:
    with quiet():
        from great_expectations.exceptions import GreatExpectationsError
        from great_expectations.expectations.registry import get_expectation_impl

        feed.register()
        try:
            implementation = get_expectation_impl(one.type)
        except GreatExpectationsError as error:
            raise SuiteError(
                f"{where} is of a type that does not exist",
                expected="an expectation of Great Expectations, such as expect_column_values_to_not_be_null",
                remedy="Check the spelling",
            ) from error
        if misplaced := sorted(_NOT_ARGUMENTS.intersection(one.kwargs)):
            raise SuiteError(f"{where} has unknown kwargs {misplaced}", remedy="Write them beside kwargs, or drop them")
        try:
            return implementation(**one.kwargs, severity=one.severity.value)
        except (GreatExpectationsError, ValueError, TypeError) as error:
            raise SuiteError(
                f"{where} is refused: {_refusal(error)}",
                expected="the arguments that this expectation takes",
                remedy="Correct its kwargs",
            ) from error


def _outcome(result: Any, expectation: Any) -> Outcome:
    crash, message = _crash(result.exception_info or {})
    detail = result.result or {}
    rows = detail.get("unexpected_index_list") or ()
    return Outcome(
        success=bool(result.success),
        # The type check of a column compares dtypes where it can, and then names no rows.
        about_rows=_is_map(expectation) and "unexpected_count" in detail,
        result={name: _number(detail[name]) for name in _NUMBERS if _number(detail.get(name)) is not None},
        rows=tuple(int(position) for position in rows),
        crash=crash,
        message=message,
        reason=str(detail.get(_REASON) or ""),
    )


def _crash(info: Mapping[str, Any]) -> tuple[str | None, str]:
    """Sort what an expectation died of. `info` is flat, or keyed by metric."""
    parts = [info] if "raised_exception" in info else [part for part in info.values() if isinstance(part, Mapping)]
    raised = [part for part in parts if part.get("raised_exception")]
    if not raised:
        return None, ""
    message = " ".join(str(raised[0].get("exception_message")).split())[:300]
    text = "\n".join(f"{part.get('exception_traceback')}\n{part.get('exception_message')}" for part in raised)
    if _COLUMN_IS_MISSING.search(text):
        return MISSING_COLUMN, f"a column that it needs is missing: {message}"
    return (WRONG_TYPE if _TYPE_IS_WRONG.search(text) else ERROR), message


def _is_map(expectation: Any) -> bool:
    from great_expectations.expectations import expectation as kinds

    return isinstance(
        expectation, kinds.ColumnMapExpectation | kinds.ColumnPairMapExpectation | kinds.MulticolumnMapExpectation
    )


def _number(value: Any) -> int | float | bool | None:
    """Return a plain finite number (GX gives numpy's), None for anything else: it may be a value of a row."""
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if not isinstance(value, bool | int | float):
        return None
    return value if math.isfinite(value) else None


def _refusal(error: Exception) -> str:
    if not callable(getattr(error, "errors", None)):
        return " ".join(str(error).split())[:300]
    lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]  # type: ignore[attr-defined]
    return "; ".join(dict.fromkeys(lines))[:300]


@contextmanager
def quiet() -> Iterator[Any]:
    """Give `great_expectations`, without its deprecation warnings: they are about its own code and its next major.

    Its log of every import and temporary folder (hundreds of INFO lines) is turned down, unless somebody set a level.
    """
    logger = logging.getLogger("great_expectations")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import great_expectations
        except ImportError as error:
            raise MissingDependencyError(
                f"Validation needs Great Expectations: {error}",
                remedy="pip install 'airflow-provider-retrain[jobs]'",
            ) from error
        yield great_expectations
