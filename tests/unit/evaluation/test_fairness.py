import numpy as np
import pytest

from retrain.evaluation import fairness_gap
from retrain.exceptions import ConfigurationError


def _groups(rows, count=3):
    return {f"group={number}": np.arange(rows) % count == number for number in range(count)}


@pytest.mark.parametrize("metric", ["selection_rate", "false_positive_rate", "recall", "accuracy"])
def test_interval_of_the_widest_gap_is_seldom_above_nothing_where_groups_are_alike(metric):
    above = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        y, prediction = generator.integers(0, 2, (2, 450))
        gap = fairness_gap(y, prediction, _groups(450), metric=metric)
        above += gap.interval[0] > 0
    assert above / 200 <= 0.07


def test_a_true_gap_lies_within_its_interval():
    inside = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        groups = _groups(600)
        share = np.select(list(groups.values()), [0.3, 0.4, 0.6])
        prediction = (generator.random(600) < share).astype(int)
        gap = fairness_gap(generator.integers(0, 2, 600), prediction, groups, metric="selection_rate")
        inside += gap.interval[0] <= 0.3 <= gap.interval[1]
    assert inside / 200 >= 0.93


def test_groups_and_their_values_are_named():
    y = np.array(["no", "yes"])[np.arange(400) % 2]
    groups = {"a": np.arange(400) < 200, "b": np.arange(400) >= 200, "tiny": np.zeros(400, bool)}
    prediction = np.where(groups["a"], y, "no")
    gap = fairness_gap(y, prediction, groups, metric="selection_rate")
    assert (gap.low, gap.high, gap.size, gap.left_out) == ("b", "a", 0.5, ("tiny",))
    alone = fairness_gap(y, prediction, {"a": groups["a"]}, metric="recall")
    assert (alone.size, alone.interval) == (None, None)


def test_groups_that_overlap_are_refused():
    y = np.arange(100) % 2
    with pytest.raises(ConfigurationError, match="overlap"):
        fairness_gap(y, y, {"a": y == 1, "b": np.ones(100, bool)}, metric="accuracy")
    with pytest.raises(ConfigurationError, match="no standard error"):
        fairness_gap(y, y, {"a": y == 1}, metric="median_absolute_error")
