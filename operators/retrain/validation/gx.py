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
from typing import TYPE_CHECKING, Any

from retrain.exceptions import MissingDependencyError, SuiteError
from retrain.validation.suites import Expectation, Suite

if TYPE_CHECKING:
    import pandas as pd

# Settings of a run or annotations; GX would take them as arguments of the expectation.
_NOT_ARGUMENTS = frozenset(
    {"catch_exceptions", "description", "id", "meta", "notes", "rendered_content", "result_format", "severity"}
)
_KEY = "retrain_position"
_SUMMARY: Mapping[str, Any] = {"result_format": "SUMMARY"}
_POSITIONS: Mapping[str, Any] = {
    "result_format": "COMPLETE",
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
}
_NUMBERS = (
    "element_count", "missing_count", "missing_percent", "observed_value", "unexpected_count", "unexpected_percent",
    "unexpected_percent_nonmissing", "unexpected_percent_total",
)  # fmt: skip
_MISSING_COLUMN = re.compile(r"column \".*\" .*does not exist|UndefinedVariableError: ")
_WRONG_TYPE = re.compile(r"^(TypeError: |AttributeError: Can only use \.)", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What GX said of one expectation: `result` holds numbers only, never values of the data.

    `about_rows`: whether it judges single rows. `crash`: why it could not be evaluated (`missing_column`, `wrong_type`
    or `error`), with GX's message in `message`.
    """

    success: bool
    about_rows: bool
    result: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[int, ...] = ()
    crash: str | None = None
    message: str = ""


def build(suite: Suite) -> list[Any]:
    """Make GX's objects of a suite; SuiteError names an unknown type, argument or value."""
    return [_build(one, f"{suite.source}, expectation {i} ({one.type})") for i, one in enumerate(suite.expectations)]


def run(frame: "pd.DataFrame", built: Sequence[Any], *, positions: bool = False) -> list[Outcome]:
    """Evaluate expectations made by `build`; return one outcome each, in their order.

    The frame needs an index of 0..n-1. `positions` asks for the positions of all rows that break each one, at the price
    of a list of them: ask only for expectations that are known to fail.
    """
    if not built:
        return []
    with _quiet() as gx:
        # A new object per run: GX ties an expectation to the suite that it is in.
        keyed = [one.copy(update={"meta": {_KEY: i}}, deep=True) for i, one in enumerate(built)]
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("retrain").add_dataframe_asset("batch")
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
        suite = gx.ExpectationSuite(name="retrain", expectations=keyed)
        answered = batch.validate(suite, result_format=dict(_POSITIONS if positions else _SUMMARY))
    by_key = {result.expectation_config.meta[_KEY]: result for result in answered.results}
    if sorted(by_key) != list(range(len(built))):
        lost = sorted(set(range(len(built))) - set(by_key))
        raise SuiteError(f"Great Expectations dropped the expectations {lost}", expected=f"{len(built)} results")
    return [_outcome(by_key[i], one) for i, one in enumerate(built)]


def _build(one: Expectation, where: str) -> Any:
    with _quiet():
        from great_expectations.exceptions import GreatExpectationsError
        from great_expectations.expectations.registry import get_expectation_impl

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
    )


def _crash(info: Mapping[str, Any]) -> tuple[str | None, str]:
    """Sort what an expectation died of. `info` is flat, or keyed by metric."""
    parts = [info] if "raised_exception" in info else [part for part in info.values() if isinstance(part, Mapping)]
    raised = [part for part in parts if part.get("raised_exception")]
    if not raised:
        return None, ""
    message = " ".join(str(raised[0].get("exception_message")).split())[:300]
    text = "\n".join(f"{part.get('exception_traceback')}\n{part.get('exception_message')}" for part in raised)
    if _MISSING_COLUMN.search(text):
        return "missing_column", f"a column that it needs is missing: {message}"
    return ("wrong_type" if _WRONG_TYPE.search(text) else "error"), message


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
def _quiet() -> Iterator[Any]:
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
