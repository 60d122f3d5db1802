"""The verdict does not depend on how many rows are looked at at a time, nor on where the rows are."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrain.data import read, storage, streaming
from retrain.records import DataRef
from retrain.validation import opening, plan, validate
from retrain.validation.suites import load_suite

pytestmark = pytest.mark.integration

ROWS = 60
LATER = {"row_condition": "whole > 3", "condition_parser": "pandas"}
EARLIER = {
    "row_condition": {
        "type": "comparison", "column": {"name": "whole"}, "operator": "<", "parameter": 40,
    },
    "condition_parser": "great_expectations",
}  # fmt: skip

BY_ROW = [
    ("expect_column_values_to_be_between", {"column": "whole", "min_value": 5, "max_value": 50}),
    ("expect_column_values_to_be_between", {"column": "whole", "min_value": 5, "mostly": 0.9}),
    ("expect_column_values_to_be_between", {"column": "fraction", "max_value": 0.8, "strict_max": True}),
    ("expect_column_values_to_be_between", {"column": "narrow", "max_value": 0.3}),
    ("expect_column_values_to_be_between", {"column": "gaps", "min_value": 3}),
    ("expect_column_values_to_be_between", {"column": "at", "min_value": "2013-01-03", "max_value": "2013-02-09"}),
    ("expect_column_values_to_be_between", {"column": "day", "min_value": "2013-01-03", "max_value": "2013-02-09"}),
    ("expect_column_values_to_be_between", {"column": "price", "max_value": 4.5}),
    ("expect_column_values_to_be_between", {"column": "whole", "max_value": 50, **LATER}),
    ("expect_column_values_to_be_between", {"column": "gaps", "max_value": 5, "mostly": 0.5, **EARLIER}),
    ("expect_column_values_to_be_in_set", {"column": "word", "value_set": ["a", "bb"]}),
    ("expect_column_values_to_be_in_set", {"column": "gaps", "value_set": [1, 2, 3]}),
    ("expect_column_values_to_be_in_set", {"column": "flag", "value_set": [True]}),
    ("expect_column_values_to_be_in_set", {"column": "maybe", "value_set": [True]}),
    ("expect_column_values_to_be_in_set", {"column": "level", "value_set": ["low", "high"]}),
    ("expect_column_values_to_not_be_in_set", {"column": "word", "value_set": ["ccc"], "mostly": 0.7}),
    ("expect_column_values_to_not_be_null", {"column": "gaps"}),
    ("expect_column_values_to_not_be_null", {"column": "word", "mostly": 0.5}),
    ("expect_column_values_to_not_be_null", {"column": "gaps", **LATER}),
    ("expect_column_values_to_be_null", {"column": "late"}),
    ("expect_column_values_to_match_regex", {"column": "word", "regex": "^[ab]+$"}),
    ("expect_column_values_to_not_match_regex", {"column": "word", "regex": "c"}),
    ("expect_column_values_to_match_regex_list", {"column": "word", "regex_list": ["^a", "^b"]}),
    ("expect_column_values_to_not_match_regex_list", {"column": "word", "regex_list": ["^a", "^b"]}),
    ("expect_column_value_lengths_to_equal", {"column": "word", "value": 2, "mostly": 0.2}),
    ("expect_column_value_lengths_to_be_between", {"column": "word", "max_value": 2}),
    ("expect_column_values_to_match_strftime_format", {"column": "text_day", "strftime_format": "%Y-%m-%d"}),
    ("expect_column_values_to_be_dateutil_parseable", {"column": "text_day"}),
    ("expect_column_values_to_be_json_parseable", {"column": "json"}),
    ("expect_column_values_to_match_json_schema", {"column": "json_word", "json_schema": {"type": "integer"}}),
    ("expect_column_pair_values_to_be_equal", {"column_A": "whole", "column_B": "gaps"}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "whole", "column_B": "fraction"}),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "gaps", "column_B": "late", "ignore_row_if": "either_value_is_missing", "mostly": 0.1},
    ),
    ("expect_column_pair_values_to_be_in_set", {"column_A": "flag", "column_B": "maybe", "value_pairs_set": [[1, 1]]}),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["whole", "whole2"], "sum_total": 60}),
    ("expect_multicolumn_values_to_be_equal", {"column_list": ["whole", "gaps", "whole2"], "mostly": 0.01}),
    ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["whole", "whole2", "gaps"]}),
    ("expect_label_definition", {"column": "maybe", "values": [True, False], "mostly": 0.6}),
]
WHOLE = [
    ("expect_column_values_to_be_unique", {"column": "gaps"}),
    ("expect_column_values_to_be_unique", {"column": "whole"}),
    ("expect_column_values_to_be_increasing", {"column": "whole"}),
    ("expect_column_value_z_scores_to_be_less_than", {"column": "fraction", "threshold": 1.2, "double_sided": True}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["word", "gaps"]}),
    ("expect_column_values_to_be_of_type", {"column": "gaps", "type_": "int64"}),
    ("expect_column_values_to_be_of_type", {"column": "price", "type_": "int"}),
    ("expect_column_values_to_be_in_type_list", {"column": "maybe", "type_list": ["bool"]}),
    ("expect_column_values_to_be_between", {"column": "whole", "max_value": 9, "row_condition": "whole < whole.mean()",
                                            "condition_parser": "pandas"}),
    ("expect_column_mean_to_be_between", {"column": "fraction", "max_value": 0.1}),
    ("expect_column_mean_to_be_between", {"column": "gaps", "min_value": 0}),
    ("expect_column_median_to_be_between", {"column": "whole", "max_value": 3}),
    ("expect_column_stdev_to_be_between", {"column": "fraction", "max_value": 0.1}),
    ("expect_column_sum_to_be_between", {"column": "gaps", "max_value": 1}),
    ("expect_column_min_to_be_between", {"column": "at", "min_value": "2013-01-02"}),
    ("expect_column_max_to_be_between", {"column": "whole", "max_value": 58}),
    ("expect_column_quantile_values_to_be_between",
     {"column": "whole", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 9]]}}),
    ("expect_column_unique_value_count_to_be_between", {"column": "word", "max_value": 2}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "word", "min_value": 0.5}),
    ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "gaps", "min_value": 0.9}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "word", "value_set": ["a"]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "level", "value_set": ["low", "high", "mid"]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "word", "value_set": ["zz"]}),
    ("expect_column_most_common_value_to_be_in_set", {"column": "word", "value_set": ["zz"]}),
    ("expect_column_to_be_of_kind", {"column": "gaps", "kind": "text"}),
    ("expect_label_share_to_be_between", {"column": "maybe", "positive": True, "max_value": 0.01}),
    ("expect_segments_to_be_covered", {"column": "word", "segments": ["a", "zz"], "min_rows": 3}),
    ("expect_batch_freshness", {"column": "at", "max_age": "1h", "as_of": "2014-01-01T00:00"}),
]  # fmt: skip
SHAPE = [
    ("expect_table_row_count_to_be_between", {"max_value": 10}),
    ("expect_table_row_count_to_equal", {"value": ROWS}),
    ("expect_table_column_count_to_equal", {"value": 3}),
    ("expect_table_column_count_to_be_between", {"max_value": 99}),
    ("expect_table_columns_to_match_ordered_list", {"column_list": ["word", "whole"]}),
    ("expect_table_columns_to_match_set", {"column_set": ["word"], "exact_match": False}),
    ("expect_column_to_exist", {"column": "nowhere"}),
    ("expect_batch_size_to_be_between", {"min_rows": 100}),
]
BROKEN_TYPES = [
    ("expect_column_values_to_be_between", {"column": "word", "min_value": 1}, "warning"),
    ("expect_column_values_to_match_regex", {"column": "whole", "regex": "x"}, "warning"),
    ("expect_column_mean_to_be_between", {"column": "word", "min_value": 1}, "info"),
    ("expect_column_values_to_be_in_set", {"column": "nowhere", "value_set": [1]}, "info"),
]
EVERYTHING = [*BY_ROW, *WHOLE, *SHAPE, *BROKEN_TYPES]


def suite(*entries):
    fields = ("type", "kwargs", "severity")
    return {"name": "s", "expectations": [dict(zip(fields, one, strict=False)) for one in entries]}


def table(seed=0, rows=ROWS):
    """Columns of every kind; those with nulls have them only in the first third, or in the last rows."""
    rng = np.random.default_rng(seed)
    early = np.arange(rows) < rows // 3
    words = rng.choice(["a", "bb", "ccc"], rows)
    return pa.table(
        {
            "whole": pa.array(np.arange(rows)),
            "whole2": pa.array(60 - np.arange(rows) + (np.arange(rows) % 7 == 6), pa.int16()),
            "fraction": pa.array(rng.random(rows)),
            "narrow": pa.array(rng.choice([0.1, 0.3, 0.5], rows), pa.float32()),
            "gaps": pa.array(rng.integers(0, 9, rows), pa.int64(), mask=early & (rng.random(rows) < 0.5)),
            "late": pa.array(rng.random(rows), mask=np.arange(rows) < rows - 4),
            "flag": pa.array(rng.random(rows) < 0.9),
            "maybe": pa.array(rng.random(rows) < 0.5, mask=early),
            "word": pa.array(words, mask=np.arange(rows) > rows - 9),
            "level": pa.array(rng.choice(["low", "mid", "high"], rows)).dictionary_encode(),
            "text_day": pa.array(["2013-01-05" if one < 0.9 else "the 5th" for one in rng.random(rows)]),
            "json_word": pa.array(["1" if one < 0.8 else '"x"' for one in rng.random(rows)]),
            "json": pa.array(["1" if one < 0.8 else '"x"' if one < 0.9 else "{" for one in rng.random(rows)]),
            "at": pa.array([dt.datetime(2013, 1, 1) + dt.timedelta(days=int(i)) for i in range(rows)]),
            "day": pa.array([dt.date(2013, 1, 1) + dt.timedelta(days=int(i)) for i in range(rows)]),
            "price": pa.array([decimal.Decimal(int(i)) / 10 for i in rng.integers(0, 50, rows)]),
        }
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    target = tmp_path_factory.mktemp("rows") / "x.parquet"
    pq.write_table(table(), target, row_group_size=25)
    return target


def test_what_is_added_up_is_what_judges_each_row_by_itself():
    by_row = {one.type for one in load_suite(suite(*BY_ROW)).expectations if plan.is_by_row(one)}
    assert by_row == {kind for kind, *_ in BY_ROW} == plan.BY_ROW
    assert not any(plan.is_by_row(one) for one in load_suite(suite(*WHOLE)).expectations)


@pytest.mark.filterwarnings("ignore:Could not infer format:UserWarning")
@pytest.mark.parametrize("entry", EVERYTHING, ids=lambda entry: "-".join(map(str, [entry[0], *entry[1].values()]))[:90])
def test_each_kind_has_the_same_verdict_in_batches(path, entry):
    whole = validate(path, suite(entry))
    for batch_rows in (7, 25):
        assert validate(path, suite(entry), batch_rows=batch_rows) == whole


def test_a_whole_suite_has_the_same_verdict_and_leaves_the_same_rows(path, tmp_path):
    def kept(verdict):
        return [read(uri) for uri in (DataRef.from_dict(verdict.accepted), verdict.quarantine_uri)]

    several = suite(*[one for one in BY_ROW if one[1].get("column") in ("whole", "gaps", "word")][:6], *WHOLE[:1])
    options = {"quarantine_limit": 1, "dataset": "d"}
    whole = validate(path, several, store=str(tmp_path / "whole"), **options)
    batched = validate(path, several, store=str(tmp_path / "batched"), batch_rows=7, **options)
    assert (whole.status, 0 < whole.quarantined_rows < ROWS) == ("warn", True)
    assert (batched.failures, batched.quarantined_rows) == (whole.failures, whole.quarantined_rows)
    for one, other in zip(kept(whole), kept(batched), strict=True):
        pd.testing.assert_frame_equal(one, other)
    results = [storage.read_json(one.result_uri)["results"] for one in (whole, batched)]
    assert results[0] == results[1]
    accepted, aside = kept(batched)
    assert sorted([*accepted["whole"], *aside["whole"]]) == list(range(ROWS))
    assert aside["_retrain_row"].tolist() == aside["whole"].tolist()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    batch_rows=st.integers(1, 40),
    group=st.integers(1, 60),
    entries=st.lists(st.sampled_from([*BY_ROW, *WHOLE, *SHAPE]), min_size=1, max_size=6, unique_by=str),
)
def test_any_data_in_any_batches_has_the_verdict_of_the_whole(tmp_path, seed, batch_rows, group, entries):
    target = tmp_path / "y.parquet"
    pq.write_table(table(seed, 48), target, row_group_size=group)
    assert validate(target, suite(*entries), batch_rows=batch_rows) == validate(target, suite(*entries))


@pytest.mark.parametrize("kind", ["csv", "frame"])
def test_csv_and_frames_in_batches_have_the_verdict_of_the_whole(tmp_path, kind):
    frame = table().to_pandas().drop(columns=["price", "level"])
    if kind == "csv":
        frame.to_csv(tmp_path / "x.csv", index=False)
    source = tmp_path / "x.csv" if kind == "csv" else frame
    known = [one for one in [*BY_ROW, *WHOLE[:4]] if not {"price", "level"} & set(map(str, one[1].values()))]
    fitting = [one for one in known if "strftime" not in one[0] and "dateutil" not in one[0]]
    assert validate(source, suite(*fitting), batch_rows=7) == validate(source, suite(*fitting))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_what_is_too_large_to_fetch_has_the_same_verdict(tmp_path, kind, monkeypatch):
    frame = table().to_pandas().drop(columns=["price", "level"])
    target = tmp_path / f"x.{kind}"
    frame.to_parquet(target) if kind == "parquet" else frame.to_csv(target, index=False)
    several = suite(*BY_ROW[:4], ("expect_column_values_to_be_in_set", {"column": "maybe", "value_set": [True]}))
    options = {"quarantine_limit": 1, "dataset": "d"}
    small = validate(target, several, store=str(tmp_path / "small"), **options)
    monkeypatch.setattr(opening, "SMALL_BYTES", 100)
    monkeypatch.setattr(streaming, "ROWS", 7)
    large = validate(target, several, store=str(tmp_path / "large"), batch_rows=7, **options)
    assert (small.status, large.failures, large.quarantined_rows) == ("warn", small.failures, small.quarantined_rows)
    assert large.accepted["schema"] == small.accepted["schema"]
    for one in ("accepted", "quarantine_uri"):
        pair = [getattr(verdict, one) for verdict in (small, large)]
        frames = [read(DataRef.from_dict(ref) if one == "accepted" else ref) for ref in pair]
        pd.testing.assert_frame_equal(*frames)


@pytest.mark.parametrize("limit", [0, 64 * 1024 * 1024])
def test_damage_shows_wherever_it_is(tmp_path, monkeypatch, limit):
    target = tmp_path / "x.parquet"
    rng = np.random.default_rng(1)
    pq.write_table(pa.table({"good": np.arange(5000), "other": rng.random(5000)}), target, compression="zstd")
    content = bytearray(target.read_bytes())
    place = pq.ParquetFile(target).metadata.row_group(0).column(1).data_page_offset
    content[place : place + 400] = bytes(400)
    target.write_bytes(content)
    monkeypatch.setattr(opening, "SMALL_BYTES", limit)
    verdict = validate(target, suite(("expect_column_values_to_not_be_null", {"column": "good"})))
    assert [(one.expectation, verdict.status, verdict.rows) for one in verdict.failures] == [("readable", "fail", 0)]


def test_an_object_that_is_not_there_is_an_error_and_no_damage(tmp_path, monkeypatch):
    from retrain.exceptions import UnreadableDataError

    monkeypatch.setattr(opening, "SMALL_BYTES", 0)
    with pytest.raises(UnreadableDataError, match="is not there"):
        validate(tmp_path / "x.parquet", suite(SHAPE[0]))
