import numpy as np
import pytest

from retrain import drift
from retrain.exceptions import DataError, DeclarationError


def rows(count, seed, spread=2.0, scale=1.0):
    """Labels and (over-confident by `scale`) probabilities; a smaller spread makes the labels harder to tell."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(0, spread, count)
    labels = (generator.random(count) < 1 / (1 + np.exp(-truth))).astype(float)
    return labels, 1 / (1 + np.exp(-scale * truth))


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc"])
@pytest.mark.parametrize("spread", [2.0, 0.7])
def test_the_estimate_is_close_to_what_labels_will_tell(metric, spread):
    labels, known = rows(5000, 1, scale=2.0)
    later, fresh = rows(5000, 2, spread=spread, scale=2.0)
    found = drift.estimate(labels, known, fresh, metric=metric)
    truth = drift.estimate(later, fresh, fresh, metric=metric).realised
    assert found.value == pytest.approx(truth, abs=0.025)
    assert found.estimated
    assert found.status == ("ok" if spread == 2.0 else "decay")


def test_unchanged_rows_are_ok():
    labels, known = rows(3000, 1)
    assert all(drift.estimate(labels, known, rows(500, seed)[1]).status == "ok" for seed in range(10, 20))


def test_few_rows_are_inconclusive():
    labels, known = rows(3000, 1)
    assert drift.estimate(labels, known, known[:10]).status == "inconclusive"


def test_what_is_no_probability_or_no_label_is_refused():
    labels, known = rows(100, 1)
    with pytest.raises(DataError, match="outside"):
        drift.estimate(labels, known, known * 2)
    with pytest.raises(DataError, match="binary"):
        drift.estimate(labels + 1, known, known)
    with pytest.raises(DeclarationError, match="accuracy"):
        drift.estimate(labels, known, known, metric="rmse")
