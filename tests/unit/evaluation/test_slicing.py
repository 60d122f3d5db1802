import numpy as np
import pandas as pd
import pytest

from retrain.evaluation import find_slices, judge, slices_by, slices_where
from retrain.exceptions import ConfigurationError, MissingColumnError
from retrain.records import GateStatus


def _frame(rows=8000, seed=0):
    generator = np.random.default_rng(seed)
    return pd.DataFrame({
        "carrier": generator.choice(["AA", "B6", "UA"], rows),
        "hour": generator.integers(0, 24, rows),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(generator.integers(0, 300, rows), unit="D"),
        "distance": np.where(generator.random(rows) < 0.1, np.nan, generator.random(rows)),
        "tail": [f"N{number}" for number in generator.integers(0, 500, rows)],
    })  # fmt: skip


def test_values_quartiles_the_rest_and_missing_values_part_the_rows():
    frame = _frame()
    for column in frame.columns:
        masks = slices_by(frame, [column], most=20)
        assert (np.sum(list(masks.values()), axis=0) == 1).all(), column
    names = set(slices_by(frame, ["carrier", "distance", "tail"]))
    assert {"carrier=AA", "carrier=B6", "carrier=UA", "distance is missing", "tail=other"} <= names
    assert len([name for name in names if name.startswith("distance in")]) == 4
    with pytest.raises(MissingColumnError, match="no column 'price'"):
        slices_by(frame, ["price"])


def test_categories_and_booleans_with_holes_are_values():
    frame = pd.DataFrame({
        "kind": pd.Categorical(["a", "b", None, "a"], categories=["a", "b", "never"]),
        "flag": pd.array([True, None, False, True], dtype="boolean"),
    })  # fmt: skip
    masks = slices_by(frame, ["kind", "flag"])
    assert set(masks) == {"kind=a", "kind=b", "kind is missing", "flag=True", "flag=False", "flag is missing"}
    assert masks["flag=True"].tolist() == [True, False, False, True]


def test_expressions_speak_of_columns_alone():
    frame = _frame()
    masks = slices_where(frame, {"evening AA": "hour >= 18 and carrier == 'AA'"})
    assert masks["evening AA"].tolist() == ((frame["hour"] >= 18) & (frame["carrier"] == "AA")).tolist()
    with pytest.raises(MissingColumnError, match=r"slice 'x'.*'price' is not defined"):
        slices_where(frame, {"x": "price > 1"})
    for wrong in ("hour +", "hour + 1", "@frame.hour > 1", "hour.__class__", "hour.max()"):
        with pytest.raises(ConfigurationError, match="slice 'x'"):
            slices_where(frame, {"x": wrong})


def test_the_worst_slice_is_found_by_name_and_judged_on_other_rows():
    frame = _frame()
    generator = np.random.default_rng(1)
    bad = (frame["carrier"] == "B6") & (frame["hour"] > 17)
    harm = 0.8 * bad.to_numpy() + generator.normal(size=len(frame))
    frame["evening"] = frame["hour"] > 17
    found = find_slices(frame, harm, columns=["carrier", "evening", "distance"])
    assert found[0].name == "carrier=B6 & evening=True"
    assert found[0].harm == pytest.approx(0.8, abs=0.2)
    assert 0.4 < found[0].mask.sum() / bad.sum() < 0.6
    assert not (found[0].mask & ~bad.to_numpy()).any()


def test_slices_found_in_noise_are_not_failed_more_often_than_the_level():
    failed = 0
    for seed in range(30):
        frame = _frame(rows=1500, seed=seed)
        generator = np.random.default_rng([seed, 1])
        y = generator.normal(size=1500)
        old, new = y + generator.normal(size=(2, 1500))
        slices = {one.name: one.mask for one in find_slices(frame, (new - y) ** 2 - (old - y) ** 2)}
        verdict = judge(y, old, new, metric="mse", margin=0.0, slices=slices)
        failed += any(part["status"] is GateStatus.FAIL for part in verdict.slices.values())
    assert failed <= 2


def test_no_rows_or_no_harm_finds_nothing():
    frame = _frame(rows=40)
    assert find_slices(frame, np.zeros(40)) == []
    assert find_slices(frame.head(0), np.zeros(0), columns=["carrier"]) == []
    assert find_slices(_frame(), np.full(8000, np.nan)) == []
