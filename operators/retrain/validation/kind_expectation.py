"""`expect_column_to_be_of_kind`: what a column holds, whatever its library or database calls the type.

GX's own type expectations compare names of types. They cannot name text as pandas 3 stores it, a time with a zone or a
category; a column of integers with its first null is another type to them, and a suite for files fits no database.
Importing this module registers it with GX.
"""

# GX is untyped to mypy: its decorators, and what it gives to subclass.
# mypy: disable-error-code="untyped-decorator,misc"

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

# `feed.register` imports this module, and only where GX is needed anyway.
import pandas as pd  # noqa: TID253
from great_expectations.execution_engine import PandasExecutionEngine, SqlAlchemyExecutionEngine  # noqa: TID253
from great_expectations.expectations.expectation import ColumnAggregateExpectation  # noqa: TID253
from great_expectations.expectations.metrics.column_aggregate_metric_provider import (  # noqa: TID253
    ColumnAggregateMetricProvider,
)
from great_expectations.expectations.metrics.metric_provider import metric_value  # noqa: TID253

from retrain.validation.feed_expectations import Sentence, judged

BLANK = "blank"
# What else a column may hold and still be of the kind that is demanded. A column without any value is of every kind.
_ALSO: Mapping[str, tuple[str, ...]] = {"number": ("integer",), "time": ("date",)}
_INFERRED = {
    "string": "text", "empty": BLANK, "boolean": "boolean", "integer": "integer", "floating": "number",
    "mixed-integer-float": "number", "decimal": "number", "datetime64": "time", "datetime": "time", "date": "date",
    "categorical": "text", "time": "time of day",
}  # fmt: skip
# By name, for GX gives types of SQLAlchemy for one database and names for another.
_SQL = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"BOOL", "boolean"),
        (
            r"U?(TINY|SMALL|MEDIUM|BIG|HUGE)?INT(EGER|\d*)?\b|(SMALL|BIG)?SERIAL|(NUMERIC|DECIMAL|NUMBER)\(\d+, *0\)",
            "integer",
        ),
        (r"DOUBLE|FLOAT|REAL|NUMERIC|DECIMAL|NUMBER", "number"),
        (r"TIMESTAMP|(SMALL)?DATETIME", "time"),
        (r"DATE", "date"),
        (r"N?(VAR)?CHAR|(TINY|MEDIUM|LONG)?TEXT|STRING|N?CLOB|ENUM", "text"),
    )
)


class ColumnKind(ColumnAggregateMetricProvider):
    """The kind of a column: `integer`, `number`, `text`, `boolean`, `time`, `date`, `blank`, or another word."""

    metric_name = "column.kind"

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(cls, execution_engine: Any, metric_domain_kwargs: Any, **_: Any) -> str:  # noqa: N805
        frame, _compute, accessor = execution_engine.get_compute_domain(metric_domain_kwargs, "column")
        return kind_of(frame[accessor["column"]])

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, metric_domain_kwargs: Any, metrics: Any, **_: Any) -> str:  # noqa: N805
        name = metric_domain_kwargs["column"]
        types = [one["type"] for one in metrics["table.column_types"] if str(one["name"]) == str(name)]
        return kind_of_sql(str(types[0])) if types else BLANK


class ExpectColumnToBeOfKind(Sentence, ColumnAggregateExpectation):
    """Expect a column to hold integers, numbers, text, booleans, times or dates."""

    kind: Literal["integer", "number", "text", "boolean", "time", "date"]

    words: ClassVar[str] = "must hold values of the kind $kind."
    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.kind",)
    success_keys: ClassVar[tuple[str, ...]] = ("kind",)

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        found = str(metrics["column.kind"])
        fits = found in (self.kind, BLANK, *_ALSO.get(self.kind, ()))
        return judged(fits, None, f"the column holds values of the kind {found}, demanded {self.kind}")


def kind_of(column: "pd.Series[Any]") -> str:
    """Return the kind of a pandas column. Floats that are all whole are integers: so pandas reads them with a null."""
    if not len(column) or bool(column.isna().all()):
        return BLANK
    types = pd.api.types
    if isinstance(column.dtype, pd.CategoricalDtype):
        return kind_of(column.cat.categories.to_series())
    if types.is_bool_dtype(column.dtype):
        return "boolean"
    if types.is_integer_dtype(column.dtype):
        return "integer"
    if types.is_float_dtype(column.dtype):
        return "integer" if bool((column.dropna() % 1 == 0).all()) else "number"
    if types.is_datetime64_any_dtype(column.dtype):
        return "time"
    found = types.infer_dtype(column, skipna=True)
    return _INFERRED.get(found, found)


def kind_of_sql(name: str) -> str:
    """Return the kind of a database's type, by its name in SQL, such as `DOUBLE PRECISION`; else that name."""
    return next((kind for pattern, kind in _SQL if pattern.match(name)), name.lower())
