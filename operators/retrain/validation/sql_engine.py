"""Great Expectations on a table in a database: every expectation becomes queries, and only numbers come back.

GX's fluent data sources make an engine of their own from a connection string. Here it gets the connection that the
engine at hand makes, with whatever credentials and settings are behind it.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from retrain.data.sql import Resolved
from retrain.validation import gx

# A colon before a word is a parameter to SQLAlchemy, also within a value that is written out.
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w)")
_UNIQUE = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")
# What a query of some rows does not tell, and what is the same for all rows.
_ABOUT_TYPES = (
    "expect_column_to_be_of_kind", "expect_column_type_to_be", "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_be_of_type",
)  # fmt: skip
log = logging.getLogger(__name__)


class SqlSession:
    """Great Expectations at work on one table."""

    def __init__(self, validator: Any, whole_table: Any) -> None:
        self._validator = validator
        self._whole_table = whole_table

    def run(self, built: Sequence[Any]) -> list[gx.Outcome]:
        """Evaluate expectations made by `gx.build`; return one outcome each, in their order.

        GX asks for many numbers in one query, so one that the database refuses takes others with it: what crashed is
        asked for again by itself.
        """
        outcomes: dict[int, gx.Outcome] = {}
        for validator, about_types in ((self._validator, False), (self._whole_table, True)):
            asked = [i for i, one in enumerate(built) if (one.expectation_type in _ABOUT_TYPES) == about_types]
            found = gx.evaluate(validator, [built[i] for i in asked]) if asked else []
            for i, outcome in zip(asked, found, strict=True):
                outcomes[i] = gx.evaluate(validator, [built[i]])[0] if outcome.crash else outcome
        return [outcomes[i] for i in range(len(built))]

    def count_broken(self, built: Sequence[Any]) -> int | None:
        """Count the rows that break one or more expectations about rows, in one query.

        None where GX has no condition for one of them that could stand beside the others.
        """
        engine = self._validator.execution_engine
        try:
            clauses = [self._broken(one) for one in built]
            domain = engine.get_domain_records({})
            source = domain.subquery() if isinstance(domain, sa.Select) else domain
            query = sa.select(sa.func.count()).select_from(source).where(sa.or_(*clauses))
            return int(engine.execute_query(query).scalar() or 0)
        except Exception:  # GX raises whatever it likes, and the verdict does not hang on this number
            log.warning("the rows that break something cannot be counted together", exc_info=True)
            return None

    def _broken(self, one: Any) -> Any:
        from great_expectations.validator.metric_configuration import MetricConfiguration

        engine = self._validator.execution_engine
        asked = one.get_validation_dependencies(engine, {"result_format": {"result_format": "BOOLEAN_ONLY"}})
        count = asked.metric_configurations[f"{one.map_metric}.unexpected_count"]
        domain = count.metric_domain_kwargs
        if one.expectation_type in _UNIQUE:
            # GX counts over a subquery of its own, beside which no other condition could stand.
            records = engine.get_domain_records(dict(domain))
            names = domain.get("column_list") or [domain["column"]]
            columns: list[Any] = [sa.column(name) for name in names]
            repeated = sa.select(*columns).select_from(_rows(records)).group_by(*columns).having(sa.func.count() > 1)
            condition = sa.tuple_(*columns).in_(repeated) if len(columns) > 1 else columns[0].in_(repeated)
        else:
            wanted = MetricConfiguration(f"{one.map_metric}.condition", domain, count.metric_value_kwargs)
            condition, *parts = self._validator.get_metric(wanted)
            records = engine.get_domain_records({key: value for part in parts for key, value in part.items()})
        if sa.select(condition).get_final_froms():
            raise ValueError(f"the condition of {one.expectation_type} is about rows of its own")
        clause = records.whereclause if isinstance(records, sa.Select) else None
        return condition if clause is None else sa.and_(clause, condition)


@contextmanager
def session(resolved: Resolved) -> Iterator[SqlSession]:
    """Open a session on the rows that an address means; it holds one connection."""
    # GX warns of things that it handles.
    noisy = logging.getLogger("great_expectations.expectations.metrics.util")
    level = noisy.level
    with gx.quiet():
        from great_expectations.core.batch import Batch
        from great_expectations.execution_engine import SqlAlchemyExecutionEngine
        from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData

        noisy.setLevel(logging.ERROR)
        held = resolved.engine.raw_connection()
        try:
            # GX reads results after it has given the connection back, which only a kept connection survives.
            engine = sa.create_engine(
                resolved.engine.url, creator=lambda: held.driver_connection, poolclass=sa.StaticPool
            )
            table = {"table_name": resolved.name, "schema_name": resolved.schema}
            rows = table if resolved.where is None else {"query": _written(resolved)}

            def validator(what: Mapping[str, Any]) -> Any:
                data = SqlAlchemyBatchData(
                    execution_engine=(execution := SqlAlchemyExecutionEngine(engine=engine, create_temp_table=False)),
                    create_temp_table=False,
                    source_table_name=resolved.name,
                    source_schema_name=resolved.schema,
                    **what,
                )
                return gx.validator(execution, Batch(data=data))

            yield SqlSession(validator(rows), validator(table))
        finally:
            noisy.setLevel(level)
            held.close()


def _rows(records: Any) -> Any:
    return records.subquery() if isinstance(records, sa.Select) else records


def _written(resolved: Resolved) -> str:
    """Write the query of some of a table's rows with its values in it, quoted by SQLAlchemy: GX takes text alone."""
    make: Any = type(resolved.engine.dialect)
    dialect = make(paramstyle="named")  # which does not double percent signs
    query = resolved.select().compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return _PARAMETER.sub(r"\\:", str(query))
