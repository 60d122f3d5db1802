"""Which columns go together, as a profile tells it."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from retrain import drift
from retrain.drift.pairs import strongest_pairs


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=rows)
    shop = np.where(x > 1, "big", np.where(generator.random(rows) < 0.5, "small", "medium"))
    return pd.DataFrame(
        {
            "x": x,
            "y": np.exp(-x + generator.normal(0, 0.3, rows)),
            "shop": shop,
            "flag": generator.random(rows) < 0.3,
            "alone": generator.normal(size=rows),
        }
    )


def test_the_strongest_come_first_and_name_the_level() -> None:
    pairs = strongest_pairs(drift.profile(table(1_500)))
    assert (pairs[0].first, pairs[0].second, pairs[0].first_level) == ("x", "y", None)
    assert pairs[0].correlation < -0.9
    assert {(pair.second, pair.second_level) for pair in pairs[1:3]} == {("shop", "big")}
    assert all(abs(pair.correlation) < 0.1 for pair in pairs if "alone" in (pair.first, pair.second))
    assert [abs(pair.correlation) for pair in pairs] == sorted([abs(pair.correlation) for pair in pairs], reverse=True)


def test_it_is_the_rank_correlation_of_the_sample() -> None:
    frame = table(1_500)
    (pair,) = [one for one in strongest_pairs(drift.profile(frame)) if (one.first, one.second) == ("x", "y")]
    scores = [stats.norm.ppf((stats.rankdata(frame[name]) - 0.5) / len(frame)) for name in ("x", "y")]
    assert pair.correlation == pytest.approx(np.corrcoef(*scores)[0, 1], abs=1e-3)


def test_the_document_carries_them_and_a_merge_makes_them_anew() -> None:
    parts = [table(800, 1), table(800, 2).assign(y=lambda frame: frame["alone"])]
    merged = drift.profile(parts[0]).merge(drift.profile(parts[1]))
    assert drift.Profile.from_dict(json.loads(json.dumps(merged.to_dict()))) == merged
    told, whole = merged.to_dict()["pairs"], drift.profile(pd.concat(parts)).to_dict()["pairs"]
    assert [(one["first"], one["second"]) for one in told] == [(one["first"], one["second"]) for one in whole]
    assert [one["correlation"] for one in told] == pytest.approx([one["correlation"] for one in whole], abs=1e-3)


def test_a_private_column_is_in_no_pair() -> None:
    pairs = strongest_pairs(drift.profile(table(500), pii=["y"]))
    assert pairs
    assert not any("y" in (pair.first, pair.second) for pair in pairs)


@pytest.mark.parametrize("rows", [0, 1, 29])
def test_too_few_rows_tell_of_no_pair(rows: int) -> None:
    assert drift.profile(table(rows)).to_dict()["pairs"] == []


def test_constant_and_empty_columns_are_passed_over() -> None:
    frame = table(200).assign(constant=1.0, nothing=None, infinite=np.inf)
    names = {name for pair in strongest_pairs(drift.profile(frame)) for name in (pair.first, pair.second)}
    assert names == {"x", "y", "shop", "flag", "alone"}
