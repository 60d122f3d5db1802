"""How often the gate is wrong, over simulated pairs whose true difference is known."""

import numpy as np
import pytest
from scipy.stats import norm

from retrain.evaluation import judge
from retrain.records import GateStatus

PAIRS = 300
MARGIN = 0.02


def _auc_pair(generator, rows, gap):
    """Two binormal scores with errors that correlate; the second's area under the curve is lower by `gap`."""
    y = (generator.random(rows) < 0.3).astype(int)
    common = generator.normal(size=rows)
    champion, challenger = (
        2**0.5 * norm.ppf(area) * y + 0.8**0.5 * common + 0.2**0.5 * generator.normal(size=rows)
        for area in (0.75, 0.75 - gap)
    )
    return y, champion, challenger


def _accuracy_pair(generator, rows, gap):
    """Two classifiers that both err on 6% of the rows, and each alone on 4% (the second on `gap` more)."""
    y, draw = generator.integers(0, 2, rows), generator.random(rows)
    both, old, new = draw < 0.06, (draw >= 0.06) & (draw < 0.10), (draw >= 0.10) & (draw < 0.14 + gap)
    return y, np.where(both | old, 1 - y, y), np.where(both | new, 1 - y, y)


def _rates(make, metric, rows, margins_worse):
    generator = np.random.default_rng([rows, margins_worse])
    verdicts = [
        judge(*make(generator, rows, margins_worse * MARGIN), metric=metric, margin=MARGIN).status for _ in range(PAIRS)
    ]
    return {status: verdicts.count(status) / PAIRS for status in GateStatus}


def _noise(rate):
    return 2.3 * (rate * (1 - rate) / PAIRS) ** 0.5


@pytest.mark.parametrize("rows", [150, 2000])
@pytest.mark.parametrize(("make", "metric"), [(_auc_pair, "roc_auc"), (_accuracy_pair, "accuracy")])
class TestErrorRates:
    def test_worse_by_three_margins_is_promoted_in_at_most_1_percent(self, make, metric, rows):
        assert _rates(make, metric, rows, 3)[GateStatus.PASS] <= 0.01

    def test_worse_by_one_margin_is_promoted_in_at_most_5_percent(self, make, metric, rows):
        assert _rates(make, metric, rows, 1)[GateStatus.PASS] <= 0.05 + _noise(0.025)

    def test_equally_good_fails_in_at_most_2_percent(self, make, metric, rows):
        assert _rates(make, metric, rows, 0)[GateStatus.FAIL] <= 0.02 + _noise(0.01)


def test_equally_good_passes_once_the_rows_are_many():
    assert _rates(_auc_pair, "roc_auc", 5000, 0)[GateStatus.PASS] > 0.9
