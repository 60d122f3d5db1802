"""The suite of the flights under the real Great Expectations."""

import json
from pathlib import Path

import pandas as pd
import pytest

from include.flights import landing

pytestmark = [
    pytest.mark.integration,
    # Great Expectations imports modules that Python 3.11 deprecates.
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
SPEC = json.loads((Path(landing.__file__).parent / "expectations.json").read_text())


def batch_definition():
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("flights").add_dataframe_asset("month")
    return asset.add_batch_definition_whole_dataframe("whole"), gx.ExpectationSuite(
        name=SPEC["name"], expectations=SPEC["expectations"]
    )


@pytest.fixture(scope="module")
def failures():
    batches, suite = batch_definition()

    def failures(frame):
        """What fails on `frame`: (type, column, severity) -> number of unexpected rows."""
        results = batches.get_batch({"dataframe": frame}).validate(suite, result_format="SUMMARY").results
        pairs = [(result, result.expectation_config) for result in results if not result.success]
        return {(c.type, c.kwargs.get("column"), c.severity.value): r.result.get("unexpected_count") for r, c in pairs}

    return failures


def test_great_expectations_knows_every_type_of_the_suite():
    _, suite = batch_definition()
    assert len(suite.expectations) == len(SPEC["expectations"])  # what it does not know it drops without a word


NO_LABEL = ("expect_column_values_to_not_be_null", "late", "critical")


@pytest.mark.parametrize("name", landing.MONTHS)
def test_real_months_hold_little_that_must_be_set_aside(failures, name):
    frame = landing.month(name)
    failed = failures(frame)
    assert NO_LABEL in failed
    assert sum(failed.values()) < 0.1 * len(frame)


def test_the_broken_wind_gauge_of_february_is_found(failures):
    failed = failures(landing.month("2013-02"))
    assert failed["expect_column_values_to_be_between", "wind_speed", "critical"] == 2


SPOILED = {
    "cut short": (lambda f: f.head(500), "expect_table_row_count_to_be_between", None),
    "column gone": (lambda f: f.drop(columns="humid"), "expect_table_columns_to_match_set", None),
    "wrong airport": (lambda f: f.assign(origin="PHL"), "expect_column_values_to_be_in_set", "origin"),
    "no airline": (lambda f: f.assign(carrier=None), "expect_column_values_to_not_be_null", "carrier"),
    "doubled": (lambda f: pd.concat([f, f.head(9)]), "expect_compound_columns_to_be_unique", None),
    "negative distance": (lambda f: f.assign(distance=-1), "expect_column_values_to_be_between", "distance"),
    "all late": (lambda f: f.assign(late=1.0), "expect_column_mean_to_be_between", "late"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_month_is_found(failures, how):
    spoil, kind, column = SPOILED[how]
    found = {failure[:2] for failure in failures(spoil(landing.month("2013-01")).reset_index(drop=True))}
    assert (kind, column) in found
