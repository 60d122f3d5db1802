import functools

import numpy as np
import pytest
from scipy.special import expit

from retrain.evaluation import calibration
from retrain.exceptions import DataError


def _rows(rows, seed, sharp=1.0):
    generator = np.random.default_rng(seed)
    logit = generator.normal(size=rows) * 1.5
    return (generator.random(rows) < expit(logit)).astype(int), expit(sharp * logit)


@functools.cache
def _truth(sharp):
    """The error over so many rows that noise is no matter."""
    logit = np.random.default_rng(0).normal(size=400_000) * 1.5
    said = expit(sharp * logit)
    order = np.argsort(said)
    gaps = (expit(logit) - said)[order].reshape(20, -1)
    return float(np.abs(gaps.mean(axis=1)).mean())


@pytest.mark.parametrize("rows", [200, 2000])
@pytest.mark.parametrize("sharp", [1.0, 1.3, 2.5])
def test_interval_covers_the_true_error(rows, sharp):
    truth = _truth(sharp)
    inside = []
    for seed in range(200):
        low, high = calibration(*_rows(rows, seed, sharp)).interval
        inside.append(low - 1e-3 <= truth <= high + 1e-3)
    assert np.mean(inside) >= 0.93


def test_few_rows_of_a_calibrated_model_do_not_prove_an_error():
    proven = [calibration(*_rows(150, seed)).interval[0] > 0.005 for seed in range(200)]
    assert np.mean(proven) <= 0.05


def test_an_overconfident_model_is_found_out():
    found = calibration(*_rows(5000, 1, sharp=3.0))
    assert found.interval[0] > 0.08
    assert found.reliability > 0.01


def test_parts_add_up_to_the_brier_score():
    y, proba = _rows(20_000, 2, sharp=1.5)
    proba = np.round(proba, 1)  # equal within each bin, where the decomposition is exact
    found = calibration(y, proba)
    assert found.reliability - found.resolution + found.uncertainty == pytest.approx(found.brier, abs=1e-9)
    assert found.brier == pytest.approx(np.mean((proba - y) ** 2))


def test_several_classes_are_judged_by_the_most_probable_one():
    generator = np.random.default_rng(3)
    proba = generator.dirichlet(np.ones(4), 5000)
    y = (np.cumsum(proba, axis=1) < generator.random(5000)[:, None]).sum(axis=1)
    assert calibration(y, proba).interval[0] < 0.01
    assert calibration((y + 1) % 4, proba).interval[0] > 0.1


def test_text_labels_weights_and_one_class_are_taken():
    y, proba = _rows(500, 4)
    named = calibration(np.array(["no", "yes"])[y], np.column_stack([1 - proba, proba]))
    assert named == calibration(y, proba) == calibration(y, proba, sample_weight=np.full(500, 3.0))
    assert calibration(np.zeros(100, int), np.full(100, 0.0)).error == 0


def test_what_is_no_probability_is_refused():
    with pytest.raises(DataError, match="not in"):
        calibration([0, 1], [0.1, 1.5])
    with pytest.raises(DataError, match="no rows"):
        calibration([], [])
