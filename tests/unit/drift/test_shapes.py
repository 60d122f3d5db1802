import numpy as np
import pandas as pd
import pytest

from retrain import drift


def partition(seed, moved):
    generator = np.random.default_rng(seed)
    flag = generator.random(500) < 0.2 + 0.3 * moved
    return drift.profile(pd.DataFrame({"x": generator.normal(2 * moved, 1, 500), "flag": flag}))


@pytest.mark.parametrize(
    ("way", "shape"),
    [
        ([0, 0, 0, 0, 0, 0], "sudden"),
        ([0, 0, 0, 0, 1, 1], "sudden"),
        ([0, 0, 0.35, 0.5, 0.65, 0.9], "incremental"),
        ([0, 0, 1, 0, 1, 0], "gradual"),
        ([1, 1, 0, 0, 0, 0], "recurring"),
        ([0, 1, 1, 0, 0, 0, 0], "recurring"),
    ],
)
def test_the_shape_is_told_from_the_way_of_past_partitions(way, shape):
    from retrain.drift.shapes import shape as told

    reference, current = partition(0, 0), partition(1, 1)
    history = [partition(10 + index, moved) for index, moved in enumerate(way)]
    assert told(reference, current, history, "x") == shape
    assert told(reference, current, history, "flag") in (shape, "gradual", "incremental")


def test_a_verdict_with_history_has_a_shape_severity_and_kind():
    history = [partition(seed, 0) for seed in range(10)]
    verdict = drift.compare(history[0], partition(99, 2), history=history)
    assert (verdict.shape, verdict.severity, verdict.kinds) == ("sudden", "high", ("feature",))
    assert "severity high, sudden" in verdict.summary


def test_without_history_there_is_no_shape_and_without_drift_no_severity():
    assert drift.compare(partition(1, 0), partition(2, 1)).shape is None
    assert drift.compare(partition(1, 0), partition(2, 0)).severity is None
