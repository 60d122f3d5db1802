import datetime as dt
import decimal

import pandas as pd
import pytest

from retrain.exceptions import SuiteError
from retrain.validation import feed, gx, load_suite, times, validate
from retrain.validation.docs import render

pytestmark = pytest.mark.integration

SIZE, FRESH = "expect_batch_size_to_be_between", "expect_batch_freshness"
DEFINITION, SHARE = "expect_label_definition", "expect_label_share_to_be_between"
SEGMENTS = "expect_segments_to_be_covered"
KIND = "expect_column_to_be_of_kind"


@pytest.fixture
def batch():
    """Twenty rows of January: five late, ten not, five unlabelled; segments a (5), b (5), c (10)."""
    return pd.DataFrame(
        {
            "at": pd.to_datetime(["2013-01-02", "2013-01-30"] * 10),
            "at_text": ["2013-01-02", "2013-01-30"] * 10,
            "late": [1.0, 0.0, 0.0, None] * 5,
            "segment": ["a", "b", "c", "c"] * 5,
            "number": range(20),
        }
    )


def on_pandas(frame, kind, kwargs):
    built = gx.build(load_suite({"expectations": [{"type": kind, "kwargs": kwargs}]}))
    return gx.run(frame, built, positions=True)[0]


def on_sql(url, kind, kwargs):
    """The success of one expectation on the table `batch`, computed by the database."""
    import great_expectations

    built = gx.build(load_suite({"expectations": [{"type": kind, "kwargs": kwargs}]}))
    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_sqlite("sql", connection_string=url)
    batch = source.add_table_asset("batch", table_name="batch").add_batch_definition_whole_table("whole").get_batch()
    suite = great_expectations.ExpectationSuite(name="one", expectations=[built[0].copy(deep=True)])
    result = batch.validate(suite, result_format="SUMMARY").results[0]
    assert not [v for v in result.exception_info.values() if isinstance(v, dict) and v.get("raised_exception")]
    return result


HOLDS = [
    (SIZE, {"min_rows": 20, "max_rows": 20}),
    (SIZE, {"reference_rows": 40, "min_ratio": 0.5}),
    (SIZE, {"reference_rows": 10, "max_ratio": 2.0}),
    (FRESH, {"column": "at", "max_age": "48h", "as_of": "2013-01"}),
    (FRESH, {"column": "at_text", "max_age": "P2D", "as_of": "2013-01"}),
    (FRESH, {"column": "at", "max_age": "0s", "as_of": "2013-01-30T00:00"}),
    (FRESH, {"column": "at", "max_age": "1h", "max_ahead": "1 day", "as_of": "2013-01-29T00:00"}),
    (DEFINITION, {"column": "late", "values": [0, 1], "mostly": 0.75}),
    (DEFINITION, {"column": "segment", "values": ["a", "b", "c"]}),
    (SHARE, {"column": "late", "positive": 1, "min_value": 0.3, "max_value": 0.4}),
    (SHARE, {"column": "segment", "positive": "c", "min_value": 0.5, "max_value": 0.5}),
    (SEGMENTS, {"column": "segment", "segments": ["a", "b"], "min_rows": 5}),
    (SEGMENTS, {"column": "segment", "segments": ["c"], "min_share": 0.5}),
    (KIND, {"column": "at", "kind": "time"}),
    (KIND, {"column": "segment", "kind": "text"}),
    (KIND, {"column": "number", "kind": "integer"}),
    (KIND, {"column": "number", "kind": "number"}),
    (KIND, {"column": "late", "kind": "number"}),
]
BREAKS = [
    (SIZE, {"min_rows": 21}, "there are 20 rows, demanded at least 21"),
    (SIZE, {"max_rows": 1_9}, "there are 20 rows, demanded at most 19"),
    (
        SIZE,
        {"reference_rows": 100, "min_ratio": 0.5, "max_ratio": 2},
        "there are 20 rows, 0.2 times the reference, demanded 50 to 200",
    ),
    (
        FRESH,
        {"column": "at", "max_age": "47h", "as_of": "2013-01"},
        "the newest time is 2.0 days before 2013-02-01 00:00, demanded at most 47h before",
    ),
    (
        FRESH,
        {"column": "at", "max_age": "1h", "max_ahead": "1h", "as_of": "2013-01-29T00:00"},
        "the newest time is 24.0 hours after 2013-01-29 00:00, demanded at most 1h before, 1h after",
    ),
    (
        SHARE,
        {"column": "late", "positive": 1, "min_value": 0.4, "max_value": 0.6},
        "the share of label 1 is 0.33, demanded 0.4 to 0.6",
    ),
    (
        SHARE,
        {"column": "late", "positive": 1, "min_value": 0.335},
        "the share of label 1 is 0.33, demanded at least 0.335",
    ),
    (
        SHARE,
        {"column": "late", "positive": 7, "min_value": 0.1},
        "the share of label 7 is 0.00, demanded at least 0.1",
    ),
    (
        SEGMENTS,
        {"column": "segment", "segments": ["a", "c", "nowhere"], "min_rows": 6},
        "2 of 3 segments are not covered: a (5), nowhere (0), demanded 6 or more rows of each",
    ),
    (
        KIND,
        {"column": "segment", "kind": "number"},
        "the column holds values of the kind text, demanded number",
    ),
    (
        KIND,
        {"column": "number", "kind": "boolean"},
        "the column holds values of the kind integer, demanded boolean",
    ),
]


@pytest.mark.parametrize(("kind", "kwargs"), HOLDS)
def test_what_holds_on_pandas_holds_on_sql(batch, sqlite_batch, kind, kwargs):
    assert on_pandas(batch, kind, kwargs).success
    assert on_sql(sqlite_batch, kind, kwargs).success


@pytest.mark.parametrize(("kind", "kwargs", "says"), BREAKS)
def test_what_breaks_breaks_on_both_and_says_why(batch, sqlite_batch, kind, kwargs, says):
    assert not on_pandas(batch, kind, kwargs).success
    result = on_sql(sqlite_batch, kind, kwargs)
    assert not result.success
    assert result.result["retrain_reason"] == says


# GX's own PostgreSQL source refuses a socket in the URL; of the general one it says that there is a special one.
@pytest.mark.filterwarnings("ignore:You are using a generic SQLDatasource")
def test_postgresql_gives_the_same_answers(batch, postgres_database):
    import great_expectations
    import sqlalchemy

    engine = sqlalchemy.create_engine(postgres_database)
    batch.to_sql("batch", engine, index=False)
    engine.dispose()
    cases = [*((kind, kwargs, True) for kind, kwargs in HOLDS), *((kind, kwargs, False) for kind, kwargs, _ in BREAKS)]
    built = gx.build(load_suite({"expectations": [{"type": kind, "kwargs": kwargs} for kind, kwargs, _ in cases]}))
    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_sql("sql", connection_string=postgres_database).add_table_asset("batch")
    outcomes = gx.evaluate(asset.add_batch_definition_whole_table("whole").get_batch(), built)
    assert [outcome.crash for outcome in outcomes] == [None] * len(cases)
    assert [outcome.success for outcome in outcomes] == [holds for _, _, holds in cases]


@pytest.fixture
def sqlite_batch(batch, tmp_path):
    import sqlalchemy

    url = f"sqlite:///{tmp_path / 'batch.db'}"
    engine = sqlalchemy.create_engine(url)
    batch.to_sql("batch", engine, index=False)
    engine.dispose()
    return url


def test_rows_without_a_defined_label_are_named_nulls_among_them(batch):
    batch.loc[0, "late"] = 2.0
    outcome = on_pandas(batch, DEFINITION, {"column": "late", "values": [0, 1]})
    assert not outcome.success
    assert outcome.rows == (0, 3, 7, 11, 15, 19)
    assert outcome.result["unexpected_count"] == 6
    assert outcome.result["unexpected_percent"] == pytest.approx(30)


def test_the_same_rows_are_counted_on_sql(sqlite_batch):
    result = on_sql(sqlite_batch, DEFINITION, {"column": "late", "values": [0]}).result
    assert (result["unexpected_count"], result["unexpected_percent"]) == (10, 50.0)


@pytest.mark.parametrize("column", [pd.Series([True, False]), pd.Series([1, 0]), pd.Series([1.0, 0.0])])
def test_a_label_of_zero_and_one_may_be_stored_in_any_type(column):
    frame = pd.DataFrame({"y": column})
    assert on_pandas(frame, DEFINITION, {"column": "y", "values": [0, 1]}).success
    assert on_pandas(frame, SHARE, {"column": "y", "positive": 1, "min_value": 0.5, "max_value": 0.5}).success


def test_without_as_of_freshness_counts_from_now():
    now = dt.datetime.now(dt.UTC)
    kwargs = {"column": "at", "max_age": "2h"}
    assert on_pandas(pd.DataFrame({"at": [now - dt.timedelta(hours=1)]}), FRESH, kwargs).success
    assert not on_pandas(pd.DataFrame({"at": [now - dt.timedelta(hours=3)]}), FRESH, kwargs).success


def test_times_in_a_zone_are_compared_in_utc():
    at = pd.to_datetime(pd.Series(["2013-01-31T23:00:00"])).dt.tz_localize("America/New_York")
    frame = pd.DataFrame({"at": at})
    assert on_pandas(frame, FRESH, {"column": "at", "max_age": "0s", "as_of": "2013-02-01T04:00:00+00:00"}).success
    assert not on_pandas(frame, FRESH, {"column": "at", "max_age": "0s", "as_of": "2013-02-01T04:01"}).success


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", [1, None, 3]),
        ("number", [1.5, None]),
        ("number", [float("inf"), 1.0]),
        ("number", pd.Series([decimal.Decimal("1.1"), None])),
        ("text", ["a", None]),
        ("text", pd.Series(["a", None], dtype=object)),
        ("text", pd.Series(["a", "b"], dtype="category")),
        ("integer", pd.Series([3, 4], dtype="category")),
        ("boolean", [True, None]),
        ("boolean", pd.Series([True, None], dtype="boolean")),
        ("time", pd.to_datetime(pd.Series(["2013-01-01"])).dt.tz_localize("UTC")),
        ("date", [dt.date(2013, 1, 1), None]),
    ],
)
def test_a_kind_is_known_in_every_type_that_stores_it(kind, values):
    kinds = ["integer", "number", "text", "boolean", "time", "date"]
    frame = pd.DataFrame({"a": values})
    held = {one for one in kinds if on_pandas(frame, KIND, {"column": "a", "kind": one}).success}
    assert held == {kind} | {"integer": {"number"}, "date": {"time"}}.get(kind, set())


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("boolean", ["BOOLEAN", "bool"]),
        ("integer", ["INTEGER", "BIGINT", "int8", "SMALLINT", "UINTEGER", "BIGSERIAL", "DECIMAL(38, 0)"]),
        ("number", ["DOUBLE PRECISION", "DOUBLE_PRECISION", "FLOAT", "REAL", "NUMERIC(10, 2)", "DECIMAL"]),
        ("time", ["TIMESTAMP WITHOUT TIME ZONE", "TIMESTAMPTZ", "DATETIME", "DATETIME2"]),
        ("date", ["DATE"]),
        ("text", ["VARCHAR(20)", "TEXT", "NVARCHAR", "CHARACTER VARYING", "STRING", "LONGTEXT"]),
        ("interval", ["INTERVAL"]),
        ("point", ["POINT"]),
        ("json", ["JSON"]),
    ],
)
def test_types_of_databases_are_known_by_name(kind, names):
    feed.register()
    from retrain.validation.kind_expectation import kind_of_sql

    assert {kind_of_sql(name) for name in names} == {kind}


@pytest.mark.parametrize("values", [[1, "a"], [b"a"], [dt.time(1)], pd.to_timedelta(["1h"]), [[1]]])
def test_what_is_of_no_kind_holds_none(values):
    frame = pd.DataFrame({"a": values})
    assert not any(
        on_pandas(frame, KIND, {"column": "a", "kind": one}).success for one in ("integer", "number", "text", "time")
    )


def test_a_column_that_holds_no_times_is_schema_skew(batch):
    suite = {"expectations": [{"type": FRESH, "kwargs": {"column": "number", "max_age": "1h"}, "severity": "info"}]}
    verdict = validate(batch, suite)
    assert verdict.status == "fail"


@pytest.mark.parametrize(
    ("kind", "kwargs", "says"),
    [
        (SIZE, {}, "a limit is missing"),
        (SIZE, {"reference_rows": 10}, "reference_rows goes with"),
        (SIZE, {"min_ratio": 0.5}, "reference_rows goes with"),
        (SIZE, {"min_rows": 5, "max_rows": 4}, "at least 5 and at most 4"),
        (SIZE, {"min_row": 5}, "min_row"),
        (FRESH, {"column": "at", "max_age": "soon"}, "'soon' is no length of time"),
        (FRESH, {"column": "at", "max_age": "-1h"}, "'-1h' is no length of time"),
        (FRESH, {"column": "at", "max_age": "1h", "as_of": "yesterday or so"}, "no time such as"),
        (DEFINITION, {"column": "late", "values": []}, "values"),
        (DEFINITION, {"column": "late", "values": [0, None]}, "null is no label"),
        (SHARE, {"column": "late", "positive": 1}, "a limit is missing"),
        (SHARE, {"column": "late", "min_value": 0.1}, "positive"),
        (SHARE, {"column": "late", "positive": 1, "min_value": 10}, "min_value"),
        (SEGMENTS, {"column": "segment", "segments": []}, "segments"),
        (SEGMENTS, {"column": "segment", "segments": ["a"], "min_rows": 0}, "min_rows"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(kind, kwargs, says):
    with pytest.raises(SuiteError, match=says):
        gx.build(load_suite({"expectations": [{"type": kind, "kwargs": kwargs}]}))


def test_all_ready_expectations_are_known_once_registered():
    from great_expectations.expectations.registry import get_expectation_impl

    feed.register()
    assert [get_expectation_impl(name).expectation_type for name in feed.READY] == list(feed.READY)


def test_a_feed_is_described_in_one_call_and_runs(batch):
    suite = feed.suite(
        target="late", labels=[0, 1], positive=1, share=(0.1, 0.35), event_time="at", max_age="2 days",
        as_of="2013-01", segments={"segment": ["a", "b", "c"]}, min_segment_rows=5, min_rows=10, reference_rows=25,
    )  # fmt: skip
    assert len(suite["expectations"]) == 6
    assert {one["type"] for one in suite["expectations"]} == set(feed.READY) - {KIND}
    verdict = validate(batch, suite)
    assert [(one.expectation, one.severity.value, one.count) for one in verdict.failures] == [
        (DEFINITION, "critical", 5)
    ]
    assert validate(batch.dropna(), suite).status == "pass"


def test_what_is_not_declared_is_not_checked():
    assert [one["type"] for one in feed.suite()["expectations"]] == [SIZE]


def test_the_end_of_the_partition_is_put_in_where_it_is_named():
    suite = load_suite(feed.suite(event_time="at", max_age="2d", as_of=times.PARTITION_END))
    assert feed.resolve(suite, "2013-01").expectations[1].kwargs["as_of"] == "2013-02-01T00:00:00"
    assert feed.resolve(load_suite(feed.suite()), None).expectations[0].type == SIZE
    for key in (None, "north", "a/b"):
        with pytest.raises(SuiteError, match="is no period"):
            feed.resolve(suite, key)


def test_data_docs_has_a_sentence_for_each():
    results = [
        {"type": one["type"], "kwargs": one["kwargs"], "severity": "info", "success": True, "result": {}}
        for one in feed.suite(
            target="late", labels=[0, 1], positive=1, share=(0.1, 0.35), event_time="at", max_age="2 days",
            segments={"segment": ["a", "b"]}, reference_rows=25,
        )["expectations"]
    ]  # fmt: skip
    page = render({"results": results})
    for sentence in (
        "Must have 13 to 50 rows (<code>25</code> rows in the reference, <code>0.5</code> to <code>2.0</code> of that)",
        "newest time must be at most <code>2 days</code> before now.",
        "values must be one of <code>0, 1</code> and never null.",
        "share of <code>1</code> must be <code>0.1</code> to <code>0.35</code>.",
        "must have <code>1</code> or more rows of each of <code>a, b</code>.",
    ):
        assert sentence in page
