"""Suites made with Great Expectations' own objects, and kept by its own file context."""

import datetime as dt

import pandas as pd
import pytest

from retrain.exceptions import SuiteError
from retrain.validation import load_suite, validate

pytestmark = pytest.mark.integration

CODE = """
import great_expectations as gx
import great_expectations.expectations as gxe

class ExpectColumnMaxOfMineToBeSmall(gxe.ExpectColumnMaxToBeBetween):
    max_value: int = 10

def suite():
    return gx.ExpectationSuite(name="mine", expectations=[gxe.ExpectColumnToExist(column="a", severity="info")])

def loses_one():
    entries = [{"type": "expect_column_to_exist", "kwargs": {"column": "a"}}, {"type": "expect_magic", "kwargs": {}}]
    return gx.ExpectationSuite(name="mine", expectations=entries)

def of_mine():
    return [ExpectColumnMaxOfMineToBeSmall(column="a")]
"""


@pytest.fixture
def gx_suite():
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    return gx.ExpectationSuite(
        name="trips",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column="at", min_value=dt.datetime(2013, 1, 1), row_condition=Column("a") > 3, severity="warning",
                notes="no trip is older",
            ),
            gxe.ExpectColumnValuesToNotBeNull(column="a"),
        ],
    )  # fmt: skip


@pytest.fixture
def frame():
    return pd.DataFrame({"a": [1, 5, 7], "at": pd.to_datetime(["2012-01-01", "2012-05-01", "2013-06-01"])})


def test_a_gx_suite_is_taken_whole_with_severity_notes_and_condition(gx_suite, frame):
    suite = load_suite(gx_suite)
    assert [(one.type, one.severity.value, one.notes) for one in suite.expectations] == [
        ("expect_column_values_to_be_between", "warning", "no trip is older"),
        ("expect_column_values_to_not_be_null", "critical", ""),
    ]
    assert set(suite.expectations[0].columns) == {"at", "a"}
    verdict = validate(frame, gx_suite)
    assert [(one.column, one.count) for one in verdict.failures] == [("at", 1)]  # the first row is none of it


def test_a_list_of_gx_expectations_and_dicts_is_a_suite(gx_suite, frame):
    entry = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "a", "max_value": 5}}
    verdict = validate(frame, load_suite([*gx_suite.expectations, entry]))
    assert (verdict.expectations, [one.column for one in verdict.failures]) == (3, ["at", "a"])


def test_a_suite_that_gx_has_saved_is_the_suite_that_was_made(gx_suite, tmp_path, frame):
    import great_expectations as gx

    gx.get_context(mode="file", project_root_dir=tmp_path).suites.add(gx_suite)
    kept = load_suite(f"gx:{tmp_path}#trips")
    assert [(one.type, one.severity, one.notes) for one in kept.expectations] == [
        (one.type, one.severity, one.notes) for one in load_suite(gx_suite).expectations
    ]
    assert [(one.column, one.count) for one in validate(frame, kept).failures] == [("at", 1)]


def test_a_function_may_return_a_gx_suite_or_expectations_of_its_own(tmp_path, frame):
    (tmp_path / "my_gx_suites.py").write_text(CODE)
    assert load_suite("my_gx_suites:suite", project_root=str(tmp_path)).expectations[0].severity == "info"
    own = load_suite("my_gx_suites:of_mine", project_root=str(tmp_path))
    assert validate(frame, own).status == "pass"
    assert validate(frame.assign(a=11), own).status == "fail"


def test_an_expectation_that_gx_drops_in_the_users_function_is_named(tmp_path):
    (tmp_path / "my_gx_suites.py").write_text(CODE)
    with pytest.raises(SuiteError, match=r"dropped 1 expectations.*expect_magic"):
        load_suite("my_gx_suites:loses_one", project_root=str(tmp_path))


def test_an_unknown_type_in_a_gx_project_is_named(gx_suite, tmp_path, frame):
    import great_expectations as gx

    gx.get_context(mode="file", project_root_dir=tmp_path).suites.add(gx_suite)
    file = tmp_path / "gx" / "expectations" / "trips.json"
    file.write_text(file.read_text().replace("expect_column_values_to_not_be_null", "expect_magic"))
    with pytest.raises(SuiteError, match=r"expect_magic.*does not exist"):
        validate(frame, f"gx:{tmp_path}#trips")
