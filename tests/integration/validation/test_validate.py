import gzip
import json

import pandas as pd
import pytest

from retrain.data import describe, storage, write_parquet
from retrain.exceptions import (
    ConfigurationError,
    DigestMismatchError,
    StoreUnavailableError,
    SuiteError,
    UnreadableDataError,
)
from retrain.records import ValidationVerdict
from retrain.validation import validate

pytestmark = pytest.mark.integration


def below(limit, severity="critical", column="distance"):
    return ("expect_column_values_to_be_between", {"column": column, "max_value": limit}, severity)


def named(verdict):
    return [(one.expectation, one.column, one.severity.value, one.count) for one in verdict.failures]


# --- what passes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["frame", "parquet", "csv", "csv.gz", "uri", "reference"])
def test_good_data_passes_whatever_it_comes_as(trips, suite, tmp_path, kind):
    path = tmp_path / f"2013-01.{kind if '.' in kind or kind == 'csv' else 'parquet'}"
    (trips.to_csv(path, index=False) if "csv" in kind else trips.to_parquet(path)) if kind != "frame" else None
    source = {"frame": trips, "uri": str(path), "reference": None}.get(kind, path)
    source = describe(path) if kind == "reference" else source
    verdict = validate(source, suite(below(39), ("expect_column_values_to_not_be_null", {"column": "carrier"})))
    assert (verdict.status, verdict.rows, verdict.expectations, verdict.failures) == ("pass", 40, 2, ())
    assert ValidationVerdict.from_dict(verdict.to_dict()) == verdict


def test_the_frame_of_the_caller_stays_as_it_is(trips, suite):
    frame = trips.set_index("carrier")
    before = frame.copy()
    validate(frame, suite(below(10)))
    pd.testing.assert_frame_equal(frame, before)


def test_suites_are_read_from_json_and_yaml(trips, tmp_path):
    document = {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "delay"}}]}
    (tmp_path / "s.json").write_text(json.dumps(document))
    (tmp_path / "s.yml").write_text("expectations:\n- {type: expect_column_to_exist, kwargs: {column: delay}}\n")
    assert validate(trips, tmp_path / "s.json").status == "pass"
    assert validate(trips, str(tmp_path / "s.yml")).status == "pass"


def test_a_suite_that_great_expectations_exported_is_understood(trips):
    import great_expectations as gx

    demanded = gx.expectations.ExpectColumnValuesToBeBetween(column="distance", max_value=38, severity="warning")
    exported = gx.ExpectationSuite(name="s", expectations=[demanded]).to_json_dict()
    assert named(validate(trips, exported)) == [("expect_column_values_to_be_between", "distance", "warning", 1)]


# --- severities --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "status", "set_aside"), [("critical", "fail", 5), ("warning", "warn", 0), ("info", "pass", 0)]
)
def test_the_severity_decides_without_a_store(trips, suite, severity, status, set_aside):
    verdict = validate(trips, suite(below(34, severity)))
    assert (verdict.status, verdict.quarantined_rows) == (status, set_aside)
    assert named(verdict) == [("expect_column_values_to_be_between", "distance", severity, 5)]
    assert "5 of 40 rows" in verdict.failures[0].reason


def test_the_gravest_failure_decides(trips, suite):
    verdict = validate(trips, suite(below(34, "info"), below(35, "warning"), below(36, "critical")))
    assert verdict.status == "fail"
    assert [one.severity.value for one in verdict.failures] == ["info", "warning", "critical"]


def test_a_share_of_bad_rows_that_the_expectation_allows_is_no_failure(trips, suite):
    lenient = ("expect_column_values_to_be_between", {"column": "distance", "max_value": 37, "mostly": 0.9})
    assert validate(trips, suite(lenient)).status == "pass"


def test_equal_expectations_are_each_counted(trips, suite):
    verdict = validate(trips, suite(below(34), below(34)))
    assert (verdict.expectations, len(verdict.failures), verdict.quarantined_rows) == (2, 2, 5)


def test_rows_that_break_several_expectations_count_once(trips, suite):
    above = ("expect_column_values_to_be_between", {"column": "distance", "min_value": 2})
    assert validate(trips.sample(frac=1, random_state=1), suite(below(34), below(37), above)).quarantined_rows == 7


# --- bad data gets a named failure -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "check"),
    [
        ("x.csv", b"", "not_empty"),
        ("x.parquet", b"", "not_empty"),
        ("x.csv", b"distance,carrier\n", "not_empty"),
        ("x.csv.gz", gzip.compress(b"", mtime=0), "not_empty"),
        ("x.csv", b"distance\n1,2\n", "readable"),
        ("x.csv", b"distance,b\n1,2\n3,4,5\n", "readable"),
        ("x.csv", b"distance\n\xff\xfe\n", "readable"),
        ("x.csv.gz", gzip.compress(b"distance\n1\n", mtime=0)[:-9], "readable"),
        ("x.csv.gz", b"distance\n1\n", "readable"),
        ("x.parquet", b"PAR1", "readable"),
        ("x.parquet", b"distance\n1\n", "readable"),
        ("x.csv", b"distance,a,a\n1,2,3\n", "unique_columns"),
    ],
)
def test_bad_content_fails_a_named_check_with_and_without_a_store(tmp_path, suite, name, content, check):
    (tmp_path / name).write_bytes(content)
    for store in (None, str(tmp_path / "store")):
        verdict = validate(tmp_path / name, suite(below(39)), store=store)
        assert verdict.status == "fail"
        assert [one.expectation for one in verdict.failures] == [check]
        assert verdict.failures[0].reason
        assert (verdict.accepted, verdict.quarantine_uri, verdict.quarantined_rows) == (None, None, 0)
    assert storage.exists(verdict.result_uri)


def test_a_truncated_parquet_file_fails(trips, suite, tmp_path):
    trips.to_parquet(tmp_path / "x.parquet")
    content = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(content[: len(content) // 2])
    verdict = validate(describe(tmp_path / "x.parquet", content=False), suite(below(39)))
    assert (verdict.status, verdict.rows) == ("fail", 0)
    assert "x.parquet is not readable as Parquet" in verdict.failures[0].reason


def test_an_empty_frame_fails(trips, suite):
    for frame in (trips.head(0), pd.DataFrame()):
        assert [one.expectation for one in validate(frame, suite(below(39))).failures] == ["not_empty"]


def test_repeated_columns_of_a_frame_fail(suite):
    verdict = validate(pd.DataFrame([[1, 2]], columns=["distance", "distance"]), suite(below(39)))
    assert named(verdict) == [("unique_columns", "distance", "critical", None)]


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
@pytest.mark.parametrize(
    "entry",
    [
        ("expect_column_values_to_be_between", {"column": "altitude", "max_value": 1}),
        ("expect_column_mean_to_be_between", {"column": "altitude", "max_value": 1}),
        ("expect_column_pair_values_to_be_equal", {"column_A": "distance", "column_B": "altitude"}),
        ("expect_compound_columns_to_be_unique", {"column_list": ["distance", "altitude"]}),
        (
            "expect_column_values_to_be_between",
            {"column": "distance", "max_value": 99, "row_condition": "altitude > 1", "condition_parser": "pandas"},
        ),
    ],
)
def test_a_missing_column_fails_whatever_the_severity(trips, suite, entry, severity):
    verdict = validate(trips, suite((*entry, severity), below(39)))
    assert verdict.status == "fail"
    assert "altitude" in verdict.failures[0].reason
    assert [one.expectation for one in verdict.failures] == [entry[0]]


def test_a_column_that_is_only_asked_after_follows_its_severity(trips, suite):
    verdict = validate(trips, suite(("expect_column_to_exist", {"column": "altitude"}, "warning")))
    assert (verdict.status, named(verdict)) == ("warn", [("expect_column_to_exist", "altitude", "warning", None)])


def test_missing_and_extra_columns_are_listed(trips, suite):
    demanded = ["carrier", "distance", "altitude"]
    verdict = validate(trips, suite(("expect_table_columns_to_match_set", {"column_set": demanded})))
    assert verdict.failures[0].reason == "missing columns ['altitude'], extra columns ['delay', 'nothing']"


@pytest.mark.parametrize(
    "entry", [below(39, "warning"), ("expect_column_mean_to_be_between", {"column": "distance", "max_value": 1})]
)
def test_a_retyped_or_mixed_column_fails_and_says_its_type(trips, suite, entry):
    for values in ([str(one) for one in trips["distance"]], ["x", *trips["distance"][1:]]):
        verdict = validate(trips.assign(distance=values), suite(entry))
        assert verdict.status == "fail"
        assert "distance is " in verdict.failures[0].reason


def test_a_type_check_says_what_the_column_is(trips, suite):
    verdict = validate(trips, suite(("expect_column_values_to_be_of_type", {"column": "distance", "type_": "float64"})))
    assert (verdict.status, verdict.failures[0].reason) == (
        "fail",
        'the column is int64, demanded {"type_": "float64"}',
    )


@pytest.mark.parametrize(("severity", "status"), [("critical", "fail"), ("warning", "warn"), ("info", "pass")])
@pytest.mark.parametrize("dtype", ["float64", "object"])
def test_a_column_of_nulls_only_fails_what_would_hold_on_nothing(trips, suite, severity, status, dtype):
    blank = trips.assign(nothing=trips["nothing"].astype(dtype))
    mean = ("expect_column_mean_to_be_between", {"column": "nothing", "max_value": 1}, severity)
    verdict = validate(blank, suite(below(1, severity, column="nothing"), mean))
    assert (verdict.status, named(verdict)) == (status, [("has_values", "nothing", severity, 40)])


def test_a_column_that_is_demanded_to_be_null_may_be(trips, suite):
    assert validate(trips, suite(("expect_column_values_to_be_null", {"column": "nothing"}))).status == "pass"


def test_infinite_values_are_out_of_range(trips, suite):
    infinite = trips.assign(delay=[float("inf"), *[1.0] * 39])
    assert named(validate(infinite, suite(below(99, column="delay"))))[0][3] == 1


def test_one_row_is_a_batch(trips, suite):
    assert validate(trips.head(1), suite(below(39))).status == "pass"


def test_names_with_spaces_unicode_and_braces_are_ordinary(suite):
    name = "de lay/ü {{x}}"
    assert named(validate(pd.DataFrame({name: [1, 9]}), suite(below(5, column=name))))[0][1] == name


# --- what could not be checked is an exception -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (("expect_column_values_to_be_nice", {"column": "distance"}), "does not exist"),
        (("expect_column_values_to_be_between", {"column": "distance", "maximum": 1}), "maximum: extra fields"),
        (("expect_column_values_to_be_between", {"max_value": 1}), "column: field required"),
        (("expect_column_values_to_be_between", {"column": "distance", "max_value": [1]}), "max_value"),
        (("expect_column_values_to_be_between", {"column": "distance", "severity": "info"}), r"kwargs \['severity'\]"),
        (("expect_column_values_to_match_regex", {"column": "carrier", "regex": "("}), "could not be evaluated"),
        (below(1, "fatal"), "severity 'fatal'"),
    ],
)
def test_a_wrong_suite_is_an_error_that_names_the_expectation(trips, suite, entry, says):
    with pytest.raises(SuiteError, match=rf"expectation 1.*{says}"):
        validate(trips, suite(below(39), entry))


def test_a_suite_is_refused_before_any_data_is_read(suite):
    with pytest.raises(SuiteError):
        validate("/nowhere/x.parquet", suite(("expect_nothing", {})))


def test_data_that_is_not_there_could_not_be_checked(suite, tmp_path):
    with pytest.raises(UnreadableDataError, match=r"gone\.parquet is not there"):
        validate(tmp_path / "gone.parquet", suite(below(39)))


def test_other_bytes_than_were_recorded_could_not_be_checked(trips, suite, tmp_path):
    ref = write_parquet(trips, tmp_path / "x.parquet")
    write_parquet(trips.head(3), tmp_path / "x.parquet")
    with pytest.raises(DigestMismatchError):
        validate(ref, suite(below(39)))


def test_a_store_that_is_down_could_not_be_checked(suite):
    with (
        storage.configure("s3", endpoint_url="http://127.0.0.1:9", key="k", secret="s"),
        pytest.raises(StoreUnavailableError),
    ):
        validate("s3://bucket/x.parquet", suite(below(39)))


@pytest.mark.parametrize("limit", [-0.1, 1.1, float("nan")])
def test_a_limit_that_is_no_share_is_refused(trips, suite, limit):
    with pytest.raises(ConfigurationError, match="quarantine_limit"):
        validate(trips, suite(below(39)), quarantine_limit=limit)
