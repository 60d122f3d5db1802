"""What is promised of an inferred suite: no alarm where nothing has changed, an alarm where something has."""

import json

import numpy as np
import pandas as pd
import pytest

from include.flights import landing
from retrain.data import describe
from retrain.exceptions import MissingColumnError
from retrain.validation import gx, load_suite, validate
from retrain.validation.infer import infer

pytestmark = pytest.mark.integration


def batch(seed, rows):
    """Rows of one distribution: tails of every weight, rare and common nulls, categories with a long tail, keys."""
    rng = np.random.default_rng([rows, seed])
    tail = 1 / np.arange(1, 41) ** 1.5
    frame = pd.DataFrame(
        {
            "normal": rng.normal(10, 3, rows),
            "exponential": rng.exponential(2, rows),
            "lognormal": rng.lognormal(0, 2, rows),
            "cauchy": rng.standard_cauchy(rows),
            "count": rng.poisson(3, rows),
            "constant": np.ones(rows),
            "rare_null": np.where(rng.random(rows) < 0.002, np.nan, rng.normal(size=rows)),
            "null": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            "long_tail": np.char.add("c", rng.choice(40, rows, p=tail / tail.sum()).astype(str)),
            "rare": rng.choice(["a", "b"], rows, p=[0.99, 0.01]),
            "key": np.char.add("k", rng.permutation(10**6)[:rows].astype(str)),
            "accidental_key": rng.integers(0, rows**2, rows),
            "flag": rng.random(rows) < 0.3,
            "at": pd.Timestamp("2013-01-01") + pd.to_timedelta(rng.integers(0, 10**6, rows), unit="s"),
            "y": (rng.random(rows) < 0.2).astype(float),
        }
    )
    return frame.assign(email=np.char.add(frame["key"].to_numpy(dtype=str), "@example.org"))


def inferred(frame, **changes):
    return infer(frame, **{"target": "y", "event_time": "at", "pii": ["email"], **changes})


def broken(suite, frame):
    """What a batch breaks of a suite: (type, column)."""
    loaded = load_suite(suite)
    outcomes = gx.run(frame.reset_index(drop=True), gx.build(loaded))
    pairs = zip(loaded.expectations, outcomes, strict=True)
    return {(one.type, one.kwargs.get("column")) for one, outcome in pairs if not outcome.success}


@pytest.mark.parametrize(("rows", "seeds"), [(200, 6), (1_000, 4), (10_000, 2)])
def test_nothing_has_changed_and_nothing_is_said(rows, seeds):
    alarms = 0
    for seed in range(seeds):
        reference = batch(seed, rows)
        suite = inferred(reference)
        assert broken(suite, reference) == set()
        alarms += bool(broken(suite, batch(seed + 1_000, rows)))
        alarms += bool(broken(suite, batch(seed + 2_000, rows // 2 + 1)))
    assert alarms <= 0.05 * 2 * seeds


FAULTS = {
    "nulls": (lambda f: f.assign(normal=f["normal"].where(f.index % 10 > 0)), "warn", "normal"),
    "null times": (lambda f: f.assign(at=f["at"].where(f.index % 10 > 0)), "fail", "at"),
    "another unit": (lambda f: f.assign(normal=f["normal"] * 100), "warn", "normal"),
    "infinity": (lambda f: f.assign(normal=f["normal"].where(f.index % 10 > 0, np.inf)), "warn", "normal"),
    "a new category": (lambda f: f.assign(rare=f["rare"].where(f.index % 10 > 0, "z")), "warn", "rare"),
    "a column less": (lambda f: f.drop(columns="count"), "fail", "count"),
    "a column more": (lambda f: f.assign(more=1), "fail", None),
    "a column renamed": (lambda f: f.rename(columns={"count": "counts"}), "fail", "count"),
    "numbers as text": (lambda f: f.assign(count=f["count"].astype(str) + " pieces"), "fail", "count"),
    "fractions of whole numbers": (lambda f: f.assign(count=f["count"] / 7), "fail", "count"),
    "text as numbers": (lambda f: f.assign(email=1.5), "fail", "email"),
    "delivered twice": (lambda f: pd.concat([f, f], ignore_index=True), "warn", "key"),
    "cut short": (lambda f: f.head(300), "warn", None),
    "labels flipped": (lambda f: f.assign(y=1 - f["y"]), "warn", "y"),
    "another label": (lambda f: f.assign(y=f["y"].where(f.index % 10 > 0, 2.0)), "fail", "y"),
    "labels missing": (lambda f: f.assign(y=f["y"].where(f.index % 10 > 0)), "fail", "y"),
}


@pytest.fixture(scope="module")
def suite_of_a_thousand():
    return inferred(batch(1, 1_000))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(suite_of_a_thousand, fault):
    change, status, column = FAULTS[fault]
    verdict = validate(change(batch(2, 1_000)), suite_of_a_thousand)
    assert verdict.status == status
    assert column in {one.column for one in verdict.failures}


def test_the_fresh_batch_without_a_fault_passes(suite_of_a_thousand):
    assert validate(batch(2, 1_000), suite_of_a_thousand).status == "pass"


def test_nothing_of_a_private_column_is_in_the_suite(suite_of_a_thousand):
    about = [one for one in suite_of_a_thousand["expectations"] if one["kwargs"].get("column") == "email"]
    assert [one["type"] for one in about] == [
        "expect_column_to_be_of_kind",
        "expect_column_values_to_not_be_null",
    ]
    assert "@example" not in json.dumps(suite_of_a_thousand)
    target = inferred(batch(1, 1_000), pii=["email", "y", "normal", "rare"])
    private = [one for one in target["expectations"] if one["kwargs"].get("column") in ("y", "normal", "rare")]
    assert {one["type"] for one in private} == {one["type"] for one in about}


def test_each_entry_says_what_was_seen_and_the_suite_is_plain_json(suite_of_a_thousand):
    assert all(one["notes"].startswith("seen: ") for one in suite_of_a_thousand["expectations"])
    assert json.loads(json.dumps(suite_of_a_thousand, allow_nan=False)) == suite_of_a_thousand
    assert "1,000 rows" in suite_of_a_thousand["meta"]["notes"]


def entries(suite, column):
    return {
        one["type"]: one["kwargs"] | {"severity": one["severity"]}
        for one in suite["expectations"]
        if one["kwargs"].get("column") == column
    }


def test_schema_and_label_are_critical_and_values_are_warnings(suite_of_a_thousand):
    severities = {(one["type"], one["severity"]) for one in suite_of_a_thousand["expectations"]}
    assert severities == {
        ("expect_table_columns_to_match_set", "critical"),
        ("expect_column_to_be_of_kind", "critical"),
        ("expect_label_definition", "critical"),
        ("expect_column_values_to_not_be_null", "critical"),  # the event time's
        ("expect_column_values_to_not_be_null", "warning"),
        ("expect_batch_size_to_be_between", "warning"),
        ("expect_column_values_to_be_between", "warning"),
        ("expect_column_values_to_be_in_set", "warning"),
        ("expect_column_values_to_be_unique", "warning"),
        ("expect_label_share_to_be_between", "warning"),
    }


def test_a_measurement_is_no_key_and_a_category_is_no_range(suite_of_a_thousand):
    assert "expect_column_values_to_be_unique" in entries(suite_of_a_thousand, "key")
    assert "expect_column_values_to_be_unique" not in entries(suite_of_a_thousand, "normal")
    assert entries(suite_of_a_thousand, "rare")["expect_column_values_to_be_in_set"]["value_set"] == ["a", "b"]
    assert entries(suite_of_a_thousand, "flag")["expect_column_values_to_be_in_set"]["value_set"] == [False, True]
    declared = inferred(batch(1, 1_000), categorical=["count"])
    assert set(entries(declared, "count")["expect_column_values_to_be_in_set"]["value_set"]) <= set(range(20))


def test_a_target_that_is_a_quantity_gets_a_range_and_no_definition():
    kwargs = entries(inferred(batch(1, 1_000), target="normal"), "normal")
    assert "expect_label_definition" not in kwargs
    assert kwargs["expect_column_values_to_not_be_null"]["severity"] == "critical"
    assert "expect_column_values_to_be_between" in kwargs


@pytest.mark.parametrize(("labels", "positive"), [([0, 1], 1), ([True, False], True), (["spam", "ham"], "spam")])
def test_the_share_that_is_watched_is_of_the_positive_or_rarer_label(labels, positive):
    frame = pd.DataFrame({"y": [labels[0]] * 300 + [labels[1]] * 700, "x": range(1_000)})
    found = entries(infer(frame, target="y"), "y")
    assert found["expect_label_share_to_be_between"]["positive"] == positive
    assert sorted(map(str, found["expect_label_definition"]["values"])) == sorted(map(str, labels))
    assert validate(frame, infer(frame, target="y")).status == "pass"


def test_three_labels_have_a_definition_and_no_share():
    frame = pd.DataFrame({"y": ["a", "b", "c"] * 100})
    assert set(entries(infer(frame, target="y"), "y")) == {"expect_column_to_be_of_kind", "expect_label_definition"}


def test_labels_that_the_reference_lacks_in_part_may_lack_again():
    frame = pd.DataFrame({"y": [0.0, 1.0, 0.0, None] * 100})
    suite = infer(frame, target="y")
    assert 0.3 < entries(suite, "y")["expect_label_definition"]["mostly"] < 0.75
    assert validate(frame, suite).status == "pass"
    assert validate(frame.assign(y=None).astype(float), suite).status == "fail"


def test_odd_columns_get_what_can_be_said_of_them():
    frame = pd.DataFrame(
        {
            "blank": [None] * 100,
            "list": [[1]] * 100,
            "name with {braces} ü/..": range(100),
            "infinite": [np.inf] * 100,
            "large": [2**60 + i for i in range(100)],
            "dates": [pd.Timestamp("2013-01-01").date()] * 100,
        }
    )
    suite = infer(frame)
    assert entries(suite, "blank") == {}
    assert set(entries(suite, "list")) == {"expect_column_values_to_not_be_null"}
    assert validate(frame, suite).status == "pass"


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_few_rows_give_a_suite_that_they_fulfil(rows):
    frame = batch(1, 200).head(rows)
    assert broken(infer(frame, target="y", event_time="at"), frame) == set()


def test_two_thousand_columns_give_a_suite():
    frame = pd.DataFrame(np.random.default_rng(1).normal(size=(200, 2_000))).rename(columns=lambda i: f"c{i}")
    assert len(infer(frame)["expectations"]) == 2 + 3 * 2_000


@pytest.mark.parametrize(
    "named",
    [{"target": "z"}, {"event_time": "z"}, {"pii": ["z"]}, {"categorical": ["z"]}],
    ids=lambda one: next(iter(one)),
)
def test_a_column_that_is_not_there_is_named(named):
    with pytest.raises(MissingColumnError, match="'z'"):
        infer(batch(1, 200), **named)


def test_a_month_of_flights_passes_and_the_season_is_noticed(tmp_path):
    january = describe(landing.land("2013-01", tmp_path), partition="2013-01")
    suite = infer(january, target="late", event_time="sched_dep", pii=["tailnum"])
    assert suite["meta"]["notes"].startswith("Inferred from 2013-01: 27,004 rows, 17 columns")
    assert validate(january, suite).status == "pass"
    assert validate(landing.land("2013-02", tmp_path), suite).status == "pass"
    july = validate(landing.land("2013-07", tmp_path), suite)
    assert july.status == "warn"
    assert {one.column for one in july.failures} == {"temp", "dest"}  # summer, and where people fly in summer
