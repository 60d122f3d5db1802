"""Judge a table where it is: every check is a query, and no row leaves the database."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from retrain.data.sql import Resolved, is_sql, resolve
from retrain.data.sql.engines import querying
from retrain.data.sql.values import field_of
from retrain.records import DataRef, Severity
from retrain.validation import fitting, guards, gx, plan, sql_engine
from retrain.validation.checks import Evaluation, Findings
from retrain.validation.schema import kind_of
from retrain.validation.suites import Expectation, Suite

FORMAT = "sql"
_NUMBERS = ("number", "decimal", "boolean")
_TIMES = ("times", "times with a zone", "date")
_OF_NUMBERS = (
    "expect_column_mean_to_be_between", "expect_column_median_to_be_between", "expect_column_stdev_to_be_between",
    "expect_column_sum_to_be_between", "expect_column_quantile_values_to_be_between",
    "expect_column_value_z_scores_to_be_less_than",
)  # fmt: skip


class SqlRows:
    """The rows that an address means, as far as one query for their number and their nulls tells."""

    def __init__(self, uri: str, columns: Iterable[str]) -> None:
        self.uri = uri
        self.resolved: Resolved = resolve(uri)
        dialect = self.resolved.engine.dialect
        # As it would be in a file that the rows are written to: both are compared by one vocabulary.
        self.schema = {one.name: str(field_of(one, dialect).type) for one in self.resolved.table.columns}
        self.names = list(self.schema)
        wanted = [name for name in dict.fromkeys(columns) if name in self.schema]
        self.count, self._filled = self._ask(wanted)

    def is_blank(self, column: str) -> bool:
        """Say whether every value of a column is null."""
        if column not in self._filled:
            self._filled |= self._ask([column])[1]
        return self._filled[column] == 0

    def _ask(self, columns: Sequence[str]) -> tuple[int, dict[str, int]]:
        table = self.resolved.table
        filled = [sa.func.count(table.columns[name]) for name in columns]
        with querying(self.uri), self.resolved.engine.connect() as connection:
            count, *counts = connection.execute(self.resolved.select(sa.func.count(), *filled)).one()
        return int(count), dict(zip(columns, map(int, counts), strict=True))


def uri_of(source: Any) -> str | None:
    """Return the address of a source that is a table, None for any other."""
    uri = source.uri if isinstance(source, DataRef) else source
    return uri if is_sql(uri) else None


def open_table(source: str | DataRef, suite: Suite) -> tuple[DataRef, SqlRows]:
    """Look a table up; return the reference to it and what the guards have to know."""
    ref = source if isinstance(source, DataRef) else DataRef(uri=source, format=FORMAT)
    rows = SqlRows(ref.uri, (name for one in suite.expectations for name in one.columns))
    return replace(ref, rows=rows.count, schema=rows.schema), rows


def evaluate(rows: SqlRows, suite: Suite, built: Sequence[Any], *, pii: frozenset[str]) -> Findings:
    """Evaluate a suite on a table that has rows, as `checks.evaluate` does on other rows.

    SuiteError where an expectation cannot be evaluated in a database: those of one's own are mostly for pandas alone.
    """
    blank = guards.has_values(rows, suite.expectations)
    found = Evaluation(suite, built, rows.names, pii)
    found.dtypes.update({one.name: str(one.type) for one in rows.resolved.table.columns})
    to_ask: dict[int, Any] = {}
    for i in found.to_run(blank):
        if plan.is_about_shape(suite.expectations[i], built[i]):
            found.judge_shape(i, rows.count)
        elif not _is_comparable(suite.expectations[i], built[i], rows.schema):
            found.outcomes[i] = gx.Outcome(False, False, crash=gx.WRONG_TYPE)
        else:
            to_ask[i] = _fitted(built[i], rows.schema)
    with querying(rows.uri), sql_engine.session(rows.resolved) as session:
        found.outcomes |= dict(zip(to_ask, session.run(list(to_ask.values())), strict=True))
        failed = [
            i for i in to_ask
            if suite.expectations[i].severity is Severity.CRITICAL
            and found.outcomes[i].about_rows and not found.outcomes[i].success
        ]  # fmt: skip
        count: int | None = 0
        if failed:
            alone = found.outcomes[failed[0]].result.get("unexpected_count")
            count = int(alone or 0) if len(failed) == 1 else session.count_broken([to_ask[i] for i in failed])
    return found.findings(blank, None, count)


def _is_comparable(one: Expectation, built: Any, schema: Mapping[str, str]) -> bool:
    """Say whether a column is of a type that pandas could evaluate this on; SQLite would compare anything."""
    column = one.kwargs.get("column")
    kind = kind_of(schema[column]) if isinstance(column, str) and column in schema else None
    if kind is None:
        return True
    if one.type in _OF_NUMBERS:
        return kind in _NUMBERS
    if one.type in fitting.LIMITED:
        limits = [limit for limit in (built.min_value, built.max_value) if limit is not None]
        if any(isinstance(limit, dt.date) for limit in limits):
            return kind not in _NUMBERS
        return not limits or kind not in ("text", "bytes", *_TIMES)
    return True


def _fitted(built: Any, schema: Mapping[str, str]) -> Any:
    """Give limits that are dates the type of their column: SQLite compares times as the text that it keeps."""
    if built.expectation_type not in fitting.LIMITED:
        return built
    kind = kind_of(schema[built.column])
    limits = {name: _limit(getattr(built, name), kind) for name in ("min_value", "max_value")}
    return built.copy(update=limits, deep=True)


def _limit(limit: Any, kind: str) -> Any:
    if kind == "date" and isinstance(limit, dt.datetime) and limit.time() == dt.time():
        return limit.date()
    return fitting.moment(limit, aware=kind == "times with a zone") if kind in _TIMES[:2] else limit
