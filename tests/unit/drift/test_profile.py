import datetime as dt
import decimal
import json

import numpy as np
import pandas as pd
import pytest

from retrain import drift
from retrain.drift import Kind, Profile
from retrain.exceptions import ContractError, UnreadableDataError


def test_a_profile_survives_json(make_table):
    table = make_table(500, 0).assign(when=pd.Timestamp("2013-01-01"), nothing=None)
    profile = drift.profile(table, target="flag", pii=["of5"])
    assert Profile.from_dict(json.loads(json.dumps(profile.to_dict(), allow_nan=False))) == profile


def test_an_unknown_version_is_refused_by_name(make_table):
    document = {**drift.profile(make_table(10, 0)).to_dict(), "version": 99}
    with pytest.raises(ContractError, match="version 99"):
        Profile.from_dict(document)


@pytest.mark.parametrize(
    ("values", "kind", "family"),
    [
        ([1, 2, 3], Kind.NUMERIC, "number"),
        (pd.array([1, None, 3], dtype="Int64"), Kind.NUMERIC, "number"),
        ([decimal.Decimal("1.5"), None, decimal.Decimal("2")], Kind.NUMERIC, "number"),
        ([True, False, None], Kind.BOOLEAN, "boolean"),
        (pd.array([True, None, False], dtype="boolean"), Kind.BOOLEAN, "boolean"),
        (["a", "b", None], Kind.CATEGORICAL, "string"),
        (pd.Categorical([3, 1, None]), Kind.CATEGORICAL, "number"),
        (pd.array(["a", None, "b"], dtype="string[pyarrow]"), Kind.CATEGORICAL, "string"),
        ([[1], [2], None], Kind.CATEGORICAL, "string"),
        ([dt.date(2013, 1, 1), None, dt.date(2013, 2, 1)], Kind.DATETIME, "datetime"),
        (pd.to_datetime(["2013-01-01", None, "2013-02-01"], utc=True), Kind.DATETIME, "datetime"),
        ([None, None, None], Kind.EMPTY, "empty"),
        ([1.5, np.inf, np.nan], Kind.NUMERIC, "number"),
    ],
)
def test_every_type_has_its_kind(values, kind, family):
    column = drift.profile(pd.DataFrame({"x": values})).columns["x"]
    assert (column.kind, column.family) == (kind, family)
    assert column.nulls == int(pd.isna(pd.Series(values)).sum())


def test_one_level_has_one_name_whatever_stores_it():
    whole = drift.profile(pd.DataFrame({"x": [1, 2, 2]}), categorical=["x"])
    with_nulls = drift.profile(pd.DataFrame({"x": [1.0, 2.0, 2.0, None]}), categorical=["x"])
    assert whole.columns["x"].counts == with_nulls.columns["x"].counts == {"2": 2, "1": 1}


def test_identifiers_are_text_and_declared_levels_are_not():
    table = pd.DataFrame({"id": [f"id-{row}" for row in range(3000)]})
    assert drift.profile(table).columns["id"].kind is Kind.TEXT
    declared = drift.profile(table, categorical=["id"]).columns["id"]
    assert (declared.kind, len(declared.counts), declared.other) == (Kind.CATEGORICAL, 1000, 2000)


def test_no_value_of_a_private_column_is_kept(make_table):
    table = make_table(300, 0).assign(name=[f"person-{row % 7}" for row in range(300)], salary=123456.0)
    text = json.dumps(drift.profile(table, pii=["name", "salary"]).to_dict())
    assert "person-" not in text
    assert "123456" not in text


def test_infinite_and_missing_values_are_counted_apart():
    column = drift.profile(pd.DataFrame({"x": [1.0, 3.0, np.inf, -np.inf, np.nan]})).columns["x"]
    assert (column.rows, column.nulls, column.infinite, column.values) == (5, 1, 2, 2)
    assert (column.mean, column.std, column.minimum, column.maximum) == (2.0, 1.0, 1.0, 3.0)


def test_merging_is_close_to_profiling_everything(make_table):
    parts = [make_table(3000, seed) for seed in (1, 2)]
    merged = drift.profile(parts[0]).merge(drift.profile(parts[1]))
    whole = drift.profile(pd.concat(parts, ignore_index=True))
    assert merged.rows == whole.rows
    for name, column in whole.columns.items():
        part = merged.columns[name]
        assert (part.kind, part.nulls, part.minimum, part.maximum) == (
            column.kind,
            column.nulls,
            column.minimum,
            column.maximum,
        )
        assert part.counts == column.counts
        assert part.mean == (None if column.mean is None else pytest.approx(column.mean))
        assert part.std == (None if column.std is None else pytest.approx(column.std))
    assert drift.compare(merged, whole).status == "ok"
    assert {len(values) for values in merged.sample.values()} == {2000}


def test_merging_takes_a_column_that_one_part_lacks_as_missing():
    merged = drift.profile(pd.DataFrame({"a": [1, 2]})).merge(drift.profile(pd.DataFrame({"b": ["x"]})))
    assert (merged.columns["a"].rows, merged.columns["a"].nulls) == (3, 1)
    assert (merged.columns["b"].rows, merged.columns["b"].nulls) == (3, 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1.5, 2.0], ["x", "y"]),
        ([True, False], [3, 4]),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), [1, 2]),
        (pd.Categorical([1, 2]), [1, 2]),
        (["x"] * 100, [dt.date(2024, 1, 1)] * 100),
    ],
)
def test_merging_different_types_makes_a_column_that_is_recorded_and_not_judged(one, other):
    parts = [drift.profile(pd.DataFrame({"a": values})) for values in (one, other)]
    for first, second in (parts, parts[::-1]):
        merged = first.merge(second).merge(first).merge(second)
        column = merged.columns["a"]
        assert (column.kind, column.family) == (Kind.TEXT, "mixed")
        assert (column.rows, column.minimum, column.mean, dict(column.counts)) == (merged.rows, None, None, {})
        assert merged.sample == {}
        assert Profile.from_dict(json.loads(json.dumps(merged.to_dict()))) == merged


def test_a_reference_of_different_types_is_not_compared_and_the_verdict_says_so():
    reference = drift.profile(
        [pd.DataFrame({"a": [str(row % 7) for row in range(500)]}), pd.DataFrame({"a": [1.0] * 500})]
    )
    for current in ([float(row) for row in range(500)], [1.0] * 500, ["x", "y"] * 250):
        verdict = drift.compare(reference, pd.DataFrame({"a": current}), history=[reference, reference])
        assert verdict.status == "ok"
        assert "of different types in the parts of the reference" in verdict.columns["a"].reason
        assert "not judged" in verdict.columns["a"].reason
    assert drift.compare(pd.DataFrame({"a": [1.0] * 500}), reference).drivers == ("a",)


def test_a_column_that_is_private_in_one_part_is_private_in_both_together():
    frame = pd.DataFrame({"name": ["ada", "bob"] * 5, "age": range(10)})
    merged = drift.profile(frame).merge(drift.profile(frame, pii=["name", "age"]))
    assert merged.sample == {}
    assert "ada" not in json.dumps(merged.to_dict())
    assert (merged.columns["age"].maximum, merged.columns["age"].sketch.values) == (None, ())


def test_small_parts_of_a_frequent_column_are_not_text_together():
    parts = [pd.DataFrame({"x": [f"v{row}" for row in range(100)]})] * 3
    assert drift.profile(parts[0]).columns["x"].kind is Kind.TEXT
    assert drift.profile(parts).columns["x"].kind is Kind.CATEGORICAL


def test_a_glob_and_a_folder_merge_their_files(tmp_path, make_table):
    for month in (1, 2):
        make_table(100, month).to_parquet(tmp_path / f"2013-0{month}.parquet")
    (tmp_path / "notes.txt").write_text("not data")
    from_glob = drift.profile(str(tmp_path / "*.parquet"), columns=["normal", "gone"])
    assert from_glob.rows == drift.profile(tmp_path).rows == 200
    assert (list(from_glob.columns), from_glob.absent) == (["normal"], ("gone",))


def test_a_glob_without_files_says_so(tmp_path):
    with pytest.raises(UnreadableDataError, match="matches no data file"):
        drift.profile(str(tmp_path / "*.parquet"))


def test_the_same_table_gives_the_same_profile(make_table):
    assert drift.profile(make_table(3000, 5)) == drift.profile(make_table(3000, 5))
