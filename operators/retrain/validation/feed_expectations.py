"""What a reviewer expects of a feed, as Great Expectations' own kind of expectation.

Importing this module registers them with GX. They stand on metrics that GX has for pandas, SQL and Spark; the one
metric of their own, `column_values.defined_label`, is written for pandas and SQL. A result carries a sentence for
people under `retrain_reason`, made of counts and of what the suite itself names.
"""

# GX is untyped to mypy: its decorators, and what it gives to subclass.
# mypy: disable-error-code="untyped-decorator,misc"

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

# `feed.register` imports this module, and only where GX is needed anyway.
from great_expectations.compatibility import pydantic  # noqa: TID253
from great_expectations.compatibility.sqlalchemy import sqlalchemy  # noqa: TID253
from great_expectations.execution_engine import PandasExecutionEngine, SqlAlchemyExecutionEngine  # noqa: TID253
from great_expectations.expectations.expectation import (  # noqa: TID253
    BatchExpectation,
    ColumnAggregateExpectation,
    ColumnMapExpectation,
    render_suite_parameter_string,
)
from great_expectations.expectations.metrics.map_metric_provider import (  # noqa: TID253
    ColumnMapMetricProvider,
    column_condition_partial,
)
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent  # noqa: TID253
from great_expectations.render.renderer.renderer import renderer  # noqa: TID253

from retrain.validation import times
from retrain.validation.feed import REASON

_MOST_NAMED = 8
# A share that is written down with three digits must not fail on the rounding of a division.
_TOLERANCE = 1e-12


class Sentence:
    """Gives Data Docs the sentence of `words`; its `$names` are the expectation's arguments."""

    words: ClassVar[str] = ""

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    @render_suite_parameter_string
    def _prescriptive_renderer(cls, configuration: Any, runtime_configuration: Any = None, **_: Any) -> list[Any]:
        given = {name: value for name, value in configuration.kwargs.items() if value is not None}
        params = {name: _listed(value) if isinstance(value, list | tuple) else value for name, value in given.items()}
        template = cls._template(given)
        if (runtime_configuration or {}).get("include_column_name") is not False and "column" in given:
            template = f"$column {template}"
        content = {"template": template, "params": params, "styling": None}
        return [RenderedStringTemplateContent(content_block_type="string_template", string_template=content)]

    @classmethod
    def _template(cls, given: Mapping[str, Any]) -> str:  # noqa: ARG003
        return cls.words


class ExpectBatchSizeToBeBetween(Sentence, BatchExpectation):
    """Expect as many rows as demanded: in rows, or as a multiple of `reference_rows`, or both."""

    min_rows: int | None = None
    max_rows: int | None = None
    reference_rows: int | None = pydantic.Field(default=None, gt=0)
    min_ratio: float | None = pydantic.Field(default=None, ge=0)
    max_ratio: float | None = pydantic.Field(default=None, ge=0)

    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.row_count",)
    success_keys: ClassVar[tuple[str, ...]] = ("min_rows", "max_rows", "reference_rows", "min_ratio", "max_ratio")

    @pydantic.root_validator(skip_on_failure=True)
    def _has_a_limit(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805
        relative = values.get("min_ratio") is not None or values.get("max_ratio") is not None
        if relative != (values.get("reference_rows") is not None):
            raise ValueError("reference_rows goes with min_ratio, max_ratio or both")
        if not relative and values.get("min_rows") is None and values.get("max_rows") is None:
            raise ValueError("a limit is missing: min_rows, max_rows, or reference_rows with min_ratio or max_ratio")
        _ordered(*_row_limits(values), "rows")
        return values

    @classmethod
    def _template(cls, given: Mapping[str, Any]) -> str:
        low, high = _row_limits(given)
        beside = f" ($reference_rows rows in the reference, {_between(given, 'ratio')} of that)"
        return f"Must have {_range(low, high)} rows" + (beside if given.get("reference_rows") else "") + "."

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        rows = int(metrics["table.row_count"])
        low, high = _row_limits(self.dict())
        relative = f", {rows / self.reference_rows:.2g} times the reference" if self.reference_rows else ""
        return judged(
            _within(rows, low, high), rows, f"there are {rows:,} rows{relative}, demanded {_range(low, high)}"
        )


class ExpectBatchFreshness(Sentence, ColumnAggregateExpectation):
    """Expect the newest time of a column to be at most `max_age` before `as_of`, and at most `max_ahead` after it."""

    max_age: str
    as_of: str | None = None
    max_ahead: str | None = None

    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.max",)
    success_keys: ClassVar[tuple[str, ...]] = ("max_age", "as_of", "max_ahead")

    @pydantic.validator("max_age", "max_ahead")
    def _is_a_duration(cls, value: str | None) -> str | None:  # noqa: N805
        return value if value is None or times.duration(value) is not None else None

    @pydantic.validator("as_of")
    def _is_a_time(cls, value: str | None) -> str | None:  # noqa: N805
        if value not in (None, times.PARTITION_END):
            times.end_of(str(value))
        return value

    @classmethod
    def _template(cls, given: Mapping[str, Any]) -> str:
        ahead = ", and at most $max_ahead after it" if "max_ahead" in given else ""
        return f"newest time must be at most $max_age before {'$as_of' if 'as_of' in given else 'now'}{ahead}."

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        if self.as_of == times.PARTITION_END:
            raise ValueError("as_of is the end of the partition, and the data is of no partition that is a period")
        as_of = times.now() if self.as_of is None else times.end_of(self.as_of)
        newest = times.utc(metrics["column.max"])
        if newest is None:
            return judged(False, None, "there is no time in it")
        age = (as_of - newest).total_seconds()
        fresh = age <= times.duration(self.max_age) and (
            self.max_ahead is None or -age <= times.duration(self.max_ahead)
        )
        moment = "now" if self.as_of is None else f"{as_of:%Y-%m-%d %H:%M}"
        demanded = f"at most {self.max_age} before" + (f", {self.max_ahead} after" if self.max_ahead else "")
        side = "before" if age >= 0 else "after"
        reason = f"the newest time is {times.written(abs(age))} {side} {moment}, demanded {demanded}"
        return judged(fresh, age, reason)


class DefinedLabel(ColumnMapMetricProvider):
    """Whether a value is one of the label's values; a null is not."""

    condition_metric_name = "column_values.defined_label"
    condition_value_keys = ("values",)
    filter_column_isnull = False

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: Any, values: Sequence[Any], **_: Any) -> Any:  # noqa: N805
        return column.isin(list(values)) & column.notna()

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, column: Any, values: Sequence[Any], **_: Any) -> Any:  # noqa: N805
        # A null IN (...) is unknown, and so is its negation: GX would count it neither as right nor as wrong.
        return sqlalchemy.and_(column.is_not(None), column.in_(list(values)))


class ExpectLabelDefinition(Sentence, ColumnMapExpectation):
    """Expect nothing but the label's values, and no null; rows that break it can be set aside."""

    values: list[Any] = pydantic.Field(min_items=1)

    words: ClassVar[str] = "values must be one of $values and never null."
    map_metric: ClassVar[str] = "column_values.defined_label"
    success_keys: ClassVar[tuple[str, ...]] = ("values", "mostly")

    @pydantic.validator("values")
    def _holds_no_null(cls, value: list[Any]) -> list[Any]:  # noqa: N805
        if any(one is None or one != one for one in value):
            raise ValueError("null is no label: leave it out")
        return value

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        answer: dict[str, Any] = super()._validate(metrics, runtime_configuration, execution_engine)
        rows = metrics.get("table.row_count") or 0
        unexpected = metrics.get(f"{self.map_metric}.unexpected_count") or 0
        # GX takes shares of the values that are not null; here a null is as wrong as any other value.
        answer["success"] = rows == 0 or (rows - unexpected) / rows >= float(self.mostly) - _TOLERANCE
        share = 100 * unexpected / rows if rows else 0.0
        for name in ("unexpected_percent", "unexpected_percent_total", "unexpected_percent_nonmissing"):
            if name in answer.get("result", {}):
                answer["result"][name] = share
        return answer


class ExpectLabelShareToBeBetween(Sentence, ColumnAggregateExpectation):
    """Expect the share of one label, among the rows that have one, between two limits."""

    positive: Any
    min_value: float | None = pydantic.Field(default=None, ge=0, le=1)
    max_value: float | None = pydantic.Field(default=None, ge=0, le=1)

    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.value_counts",)
    success_keys: ClassVar[tuple[str, ...]] = ("positive", "min_value", "max_value")

    @pydantic.root_validator(skip_on_failure=True)
    def _has_a_limit(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805
        if values.get("positive") is None:
            raise ValueError("positive is missing: the label whose share is meant")
        if values.get("min_value") is None and values.get("max_value") is None:
            raise ValueError("a limit is missing: min_value, max_value or both")
        _ordered(values.get("min_value"), values.get("max_value"), "value")
        return values

    @classmethod
    def _template(cls, given: Mapping[str, Any]) -> str:
        return f"share of $positive must be {_between(given, 'value')}."

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        counts = _counts(metrics["column.value_counts"])
        labelled = sum(count for _, count in counts)
        demanded = f"demanded {_range(self.min_value, self.max_value, _plain)}"
        if not labelled:
            return judged(False, None, f"no row has a label, {demanded}")
        share = sum(count for value, count in counts if _same(value, self.positive)) / labelled
        low, high = self.min_value, self.max_value
        fits = _within(share, None if low is None else low - _TOLERANCE, None if high is None else high + _TOLERANCE)
        return judged(fits, share, f"the share of label {self.positive} is {_rounded(share, low, high)}, {demanded}")


class ExpectSegmentsToBeCovered(Sentence, ColumnAggregateExpectation):
    """Expect enough rows of every segment: at least `min_rows`, and at least `min_share` of all rows with a value."""

    segments: list[Any] = pydantic.Field(min_items=1)
    min_rows: int = pydantic.Field(default=1, ge=1)
    min_share: float | None = pydantic.Field(default=None, ge=0, le=1)

    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.value_counts",)
    success_keys: ClassVar[tuple[str, ...]] = ("segments", "min_rows", "min_share")

    @classmethod
    def _template(cls, given: Mapping[str, Any]) -> str:
        share = " and a share of $min_share" if "min_share" in given else ""
        return f"must have {'$min_rows' if 'min_rows' in given else 1} or more rows{share} of each of $segments."

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        counts = _counts(metrics["column.value_counts"])
        total = sum(count for _, count in counts)
        least = max(self.min_rows, (self.min_share or 0) * total - _TOLERANCE)
        rows = {str(one): sum(n for value, n in counts if _same(value, one)) for one in self.segments}
        thin = [f"{name} ({count:,})" for name, count in rows.items() if count < least]
        demanded = f"demanded {max(self.min_rows, math.ceil(least)):,} or more rows of each"
        reason = f"{len(thin)} of {len(rows)} segments are not covered: {_listed(thin)}, {demanded}"
        return judged(not thin, len(rows) - len(thin), reason)


def judged(success: bool, observed: float | None, reason: str) -> dict[str, Any]:
    """Return what an expectation answers: a number at most, and the reason where it does not hold."""
    return {"success": success, "result": {"observed_value": observed, **({} if success else {REASON: reason})}}


def _counts(series: Any) -> list[tuple[Any, int]]:
    return [(value, int(count)) for value, count in series.items()]


def _same(value: Any, wanted: Any) -> bool:
    # Where a column mixes types, GX counts its values as text.
    return bool(value == wanted) or str(value) == str(wanted)


def _row_limits(values: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the narrower of the limits in rows and those that are relative to the reference."""
    reference = values.get("reference_rows")
    low, high = values.get("min_ratio"), values.get("max_ratio")
    lows = [values.get("min_rows"), math.ceil(low * reference - 1e-9) if reference and low is not None else None]
    highs = [values.get("max_rows"), math.floor(high * reference + 1e-9) if reference and high is not None else None]
    return max(_given(lows), default=None), min(_given(highs), default=None)


def _given(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def _ordered(low: float | None, high: float | None, name: str) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError(f"no {name} can be at least {low:,} and at most {high:,}")


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _range(low: Any, high: Any, written: Any = "{:,}".format) -> str:
    if low is None or high is None:
        return f"at least {written(low)}" if low is not None else f"at most {written(high)}"
    return f"{written(low)} to {written(high)}"


def _between(given: Mapping[str, Any], name: str) -> str:
    low, high = (f"${side}_{name}" if f"{side}_{name}" in given else None for side in ("min", "max"))
    return _range(low, high, str)


def _plain(value: float) -> str:
    return f"{value:.6g}"


def _rounded(share: float, *limits: float | None) -> str:
    """Write a share with two digits or as many as it takes to tell it from the limits."""
    return next(
        (text for text in (f"{share:.{n}f}" for n in range(2, 7)) if all(float(text) != limit for limit in limits)),
        _plain(share),
    )


def _listed(values: Sequence[Any]) -> str:
    more = f" and {len(values) - _MOST_NAMED:,} more" if len(values) > _MOST_NAMED else ""
    return ", ".join(map(str, values[:_MOST_NAMED])) + more
