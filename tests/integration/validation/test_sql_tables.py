"""A table in a database gets the verdict that the same rows get as a file, and nothing of it leaves the database."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from retrain.data import sql, storage
from retrain.exceptions import ConfigurationError, SuiteError, UnreadableDataError
from retrain.records import DataRef
from retrain.validation import validate

pytestmark = pytest.mark.integration

ROWS = 60
PANDAS = {"condition_parser": "pandas"}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    url = f"sqlite:///{tmp_path}/feed.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_database")
    made = sa.create_engine(url, poolclass=sa.NullPool)
    with sql.connections({"feed": made}.__getitem__):
        yield made


def frame():
    rng = np.random.default_rng(3)
    gaps = pd.Series(rng.integers(0, 9, ROWS)).astype("Int64").mask(rng.random(ROWS) < 0.2)
    words = pd.Series(rng.choice(["a", "bb", "ccc"], ROWS)).mask(rng.random(ROWS) < 0.1)
    return pd.DataFrame(
        {
            "whole": np.arange(ROWS),
            "whole two": 60 - np.arange(ROWS) + (np.arange(ROWS) % 7 == 6),
            "fraction": rng.random(ROWS),
            "gaps": gaps,
            "flag": rng.random(ROWS) < 0.9,
            "word": words,
            "at": pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(ROWS) * 31, unit="h"),
            "day": [dt.date(2013, 1, 1) + dt.timedelta(days=int(i)) for i in range(ROWS)],
            "blank": pd.Series([None] * ROWS, dtype="float64"),
            "part": ["x", "y", "50% :z it's"] * 20,
        }
    )


def store_as_table(engine, rows, name="rows"):
    types = {"at": sa.DateTime(), "day": sa.Date(), "whole": sa.BigInteger(), "blank": sa.Float()}
    with engine.begin() as connection:
        rows.to_sql(name, connection, index=False, dtype={one: types[one] for one in types if one in rows.columns})


def suite(*entries):
    fields = ("type", "kwargs", "severity")
    return {"name": "s", "expectations": [dict(zip(fields, one, strict=False)) for one in entries]}


SAME = [
    ("expect_column_values_to_be_between", {"column": "whole", "min_value": 5, "max_value": 50}),
    ("expect_column_values_to_be_between", {"column": "whole two", "min_value": 5, "mostly": 0.9}),
    ("expect_column_values_to_be_between", {"column": "gaps", "min_value": 3, "strict_min": True}),
    ("expect_column_values_to_be_between", {"column": "at", "min_value": "2013-01-03", "max_value": "2013-02-09"}),
    ("expect_column_values_to_be_between", {"column": "at", "max_value": "2013-02-09T12:00:00"}),
    ("expect_column_values_to_be_between", {"column": "day", "min_value": "2013-01-03", "max_value": "2013-02-09"}),
    ("expect_column_values_to_be_between", {"column": "whole", "max_value": 9, "row_condition": 'col("gaps")>5',
                                            "condition_parser": "great_expectations"}),
    ("expect_column_values_to_be_in_set", {"column": "word", "value_set": ["a", "bb"]}),
    ("expect_column_values_to_not_be_in_set", {"column": "word", "value_set": ["ccc"], "mostly": 0.5}),
    ("expect_column_values_to_be_in_set", {"column": "flag", "value_set": [True]}),
    ("expect_column_values_to_not_be_null", {"column": "gaps"}),
    ("expect_column_values_to_be_null", {"column": "gaps"}),
    ("expect_column_values_to_be_null", {"column": "blank"}),
    ("expect_column_values_to_match_regex", {"column": "word", "regex": "^[ab]+$"}),
    ("expect_column_value_lengths_to_be_between", {"column": "word", "max_value": 2}),
    ("expect_column_values_to_be_unique", {"column": "gaps"}),
    ("expect_column_values_to_be_unique", {"column": "whole"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["whole", "word"]}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["flag", "part"]}),
    ("expect_column_pair_values_to_be_equal", {"column_A": "whole", "column_B": "whole two"}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "whole", "column_B": "fraction"}),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["whole", "whole two"], "sum_total": 60}),
    ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["whole", "whole two"]}),
    ("expect_label_definition", {"column": "word", "values": ["a", "bb"]}),
    ("expect_column_mean_to_be_between", {"column": "fraction", "max_value": 0.1}),
    ("expect_column_mean_to_be_between", {"column": "gaps", "min_value": 0}),
    ("expect_column_stdev_to_be_between", {"column": "fraction", "max_value": 0.1}),
    ("expect_column_sum_to_be_between", {"column": "gaps", "max_value": 1}),
    ("expect_column_min_to_be_between", {"column": "whole", "min_value": 1}),
    ("expect_column_max_to_be_between", {"column": "whole", "max_value": 58}),
    ("expect_column_unique_value_count_to_be_between", {"column": "word", "max_value": 2}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "whole", "max_value": 0.5}),
    ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "gaps", "min_value": 0.99}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "word", "value_set": ["a"]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "word", "value_set": ["zz"]}),
    ("expect_column_most_common_value_to_be_in_set", {"column": "part", "value_set": ["zz"]}),
    ("expect_column_to_be_of_kind", {"column": "word", "kind": "number"}),
    ("expect_column_to_be_of_kind", {"column": "at", "kind": "time"}),
    ("expect_label_share_to_be_between", {"column": "word", "positive": "a", "max_value": 0.01}),
    ("expect_segments_to_be_covered", {"column": "word", "segments": ["a", "zz"], "min_rows": 3}),
    ("expect_batch_freshness", {"column": "at", "max_age": "1h", "as_of": "2014-01-01T00:00"}),
    ("expect_table_row_count_to_be_between", {"max_value": 10}),
    ("expect_table_columns_to_match_set", {"column_set": ["word"]}),
    ("expect_column_to_exist", {"column": "nowhere"}),
    # Schema skew on both: a missing column, one of another type, one without a value.
    ("expect_column_values_to_be_in_set", {"column": "nowhere", "value_set": [1]}, "info"),
    ("expect_column_values_to_be_between", {"column": "word", "min_value": 1}, "warning"),
    ("expect_column_mean_to_be_between", {"column": "word", "min_value": 1}, "info"),
    ("expect_column_values_to_be_between", {"column": "blank", "min_value": 1}, "warning"),
]  # fmt: skip


def told(verdict):
    """What a verdict says, without the names of types, which each side calls its own."""
    failures = [(one.expectation, one.column, one.severity, one.count) for one in verdict.failures]
    return verdict.status, verdict.rows, verdict.quarantined_rows, failures


@pytest.mark.parametrize("entry", SAME, ids=lambda entry: "-".join(map(str, [entry[0], *entry[1].values()]))[:90])
def test_a_table_has_the_verdict_of_the_same_rows_in_a_file(engine, tmp_path, entry):
    rows = frame()
    rows.to_parquet(tmp_path / "rows.parquet")
    store_as_table(engine, rows)
    assert told(validate("sql://feed/rows", suite(entry))) == told(validate(tmp_path / "rows.parquet", suite(entry)))


def test_a_whole_suite_on_some_of_the_rows_has_the_verdict_of_these_rows(engine, tmp_path):
    rows = frame()
    store_as_table(engine, rows)
    for part in ("x", "50% :z it's"):
        rows[rows["part"] == part].to_parquet(tmp_path / "part.parquet")
        address = sql.SqlTable("feed", "rows", conditions=(sql.Condition("part", "=", part),)).uri
        entries = [one for one in SAME if one[0] != "expect_table_columns_to_match_set"]
        assert told(validate(address, suite(*entries))) == told(validate(tmp_path / "part.parquet", suite(*entries)))


def test_rows_that_break_several_expectations_are_counted_once(engine, tmp_path):
    rows = frame()
    store_as_table(engine, rows)
    entries = [SAME[i] for i in (0, 2, 6, 7, 10, 15, 18, 19)]
    verdict = validate("sql://feed/rows", suite(*entries))
    whole = validate(rows, suite(*entries))
    assert verdict.quarantined_rows == whole.quarantined_rows
    assert max(one.count for one in verdict.failures) < verdict.quarantined_rows < ROWS + 1


def test_with_a_store_nothing_is_set_aside_and_only_the_result_is_written(engine, tmp_path):
    store_as_table(engine, frame())
    verdict = validate("sql://feed/rows", suite(SAME[0]), store=str(tmp_path / "store"), quarantine_limit=1)
    assert (verdict.status, verdict.accepted, verdict.quarantine_uri) == ("fail", None, None)
    assert {path.suffix for path in Path(tmp_path / "store").rglob("*") if path.is_file()} == {".json", ".html"}
    document = storage.read_json(verdict.result_uri)
    assert document["results"][0]["result"]["unexpected_count"] == verdict.quarantined_rows == 14
    fine = validate("sql://feed/rows", suite(("expect_column_to_exist", {"column": "at"})), store=str(tmp_path / "s"))
    assert DataRef.from_dict(fine.accepted).uri == "sql://feed/rows"
    assert dict(fine.accepted["schema"])["at"] == "timestamp[us]"


def test_an_empty_table_fails_and_a_schema_is_compared(engine):
    rows = frame()
    store_as_table(engine, rows.head(0), "empty")
    store_as_table(engine, rows)
    exists = suite(("expect_column_to_exist", {"column": "whole"}))
    assert [one.expectation for one in validate("sql://feed/empty", exists).failures] == ["not_empty"]
    before = {"whole": "string", "word": "large_string", "gone": "int64"}
    verdict = validate("sql://feed/rows", exists, schema=before)
    found = {(one.expectation, one.column) for one in verdict.failures}
    assert verdict.status == "fail"
    assert {("schema_missing", "gone"), ("schema_retyped", "whole"), ("schema_extra", "at")} <= found
    assert ("schema_retyped", "word") not in found


def test_what_only_pandas_can_evaluate_could_not_be_checked(engine):
    store_as_table(engine, frame())
    parseable = suite(("expect_column_values_to_be_json_parseable", {"column": "word"}, "info"))
    with pytest.raises(SuiteError, match="could not be evaluated: No provider found"):
        validate("sql://feed/rows", parseable)


def test_a_table_that_is_not_there_or_is_to_be_copied_is_an_error(engine, tmp_path):
    exists = suite(("expect_column_to_exist", {"column": "whole"}))
    with pytest.raises(UnreadableDataError, match="is not there"):
        validate("sql://feed/rows", exists)
    with pytest.raises(ConfigurationError, match="cannot be copied"):
        validate("sql://feed/rows", exists, store=str(tmp_path), keep_copies=True)


def test_no_row_and_no_value_is_asked_for(engine):
    store_as_table(engine, frame())
    asked = []

    def note(connection, cursor, statement, parameters, *args):
        asked.append((" ".join(statement.lower().split()), parameters))

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
    try:
        validate("sql://feed/rows", suite(*SAME[:4], SAME[7], SAME[24]))
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", note)
    of_rows = [(query, parameters) for query, parameters in asked if "from rows" in query]
    numbers = [query for query, _ in of_rows if any(f"{name}(" in query for name in ("count", "sum", "avg"))]
    # What else GX asks for is limited to no row at all.
    limits = [
        list(parameters.values() if isinstance(parameters, dict) else parameters)
        for query, parameters in of_rows
        if query not in numbers
    ]
    assert numbers
    assert all(0 in one for one in limits)


def test_a_table_may_lie_in_a_schema(postgres_database):
    made = sa.create_engine(postgres_database, poolclass=sa.NullPool)
    with made.begin() as connection:
        connection.execute(sa.text('CREATE SCHEMA "other one"'))
        frame().to_sql("rows", connection, index=False, schema="other one")
        frame().head(5).to_sql("rows", connection, index=False)
    with sql.connections({"feed": made}.__getitem__):
        address = sql.SqlTable("feed", "rows", "other one").uri
        entries = suite(SAME[0], SAME[15], ("expect_column_to_be_of_kind", {"column": "at", "kind": "time"}))
        assert told(validate(address, entries)) == told(validate(frame(), entries))
        some = sql.SqlTable("feed", "rows", "other one", (sql.Condition("part", "=", "x"),)).uri
        assert validate(some, entries).rows == 20
