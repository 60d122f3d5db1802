"""Whatever comes in, the gate ends in a verdict with reasons, or in an error of its own that names the misuse."""

import itertools
import json

import numpy as np
import pytest

from retrain.evaluation import judge
from retrain.exceptions import DataError, RetrainError
from retrain.records import GateStatus

PASS, FAIL, INCONCLUSIVE = GateStatus.PASS, GateStatus.FAIL, GateStatus.INCONCLUSIVE
TARGETS = {
    "two classes": lambda n: np.arange(n) % 2,
    "one class": lambda n: np.ones(n, int),
    "one positive": lambda n: (np.arange(n) < 1).astype(int),
    "three classes": lambda n: np.arange(n) % 3,
    "text": lambda n: np.array(["no", "yes"] * n)[:n],
    "text and numbers": lambda n: np.array([1, "a"] * n, dtype=object)[:n],
    "numbers": lambda n: np.random.default_rng(1).normal(size=n),
    "huge": lambda n: np.full(n, 1e200),
    "dates": lambda n: np.array(["2020-01-01", "2021-01-01"] * n, dtype="datetime64[ns]")[:n],
    "two columns": lambda n: np.zeros((n, 2)),
}
PREDICTIONS = {
    "random": lambda n: np.random.default_rng(2).random(n),
    "constant": lambda n: np.full(n, 0.5),
    "one NaN": lambda n: np.where(np.arange(n) == 0, np.nan, 0.5),
    "infinite": lambda n: np.full(n, np.inf),
    "huge": lambda n: np.where(np.arange(n) % 2, 1e300, -1e300),
    "text": lambda n: np.array(["a"] * n),
    "labels": lambda n: np.arange(n) % 2,
    "dates": lambda n: np.array(["2020-01-01"] * n, dtype="datetime64[ns]"),
    "complex": lambda n: np.full(n, 1j),
    "objects": lambda n: np.array([object()] * n, dtype=object),
    "a scalar": lambda n: 0.5,
    "nothing": lambda n: np.array([]),
    "three columns": lambda n: np.full((n, 3), 1 / 3),
    "three axes": lambda n: np.zeros((n, 2, 2)),
}


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "roc_auc_ovr", "accuracy", "f1", "rmse", "r2", "mape"])
@pytest.mark.parametrize("rows", [0, 5, 40])
def test_every_combination_ends_in_a_verdict_or_in_an_error_of_our_own(metric, rows):
    for target, champion, challenger in itertools.product(TARGETS.values(), [None, "random", "constant"], PREDICTIONS):
        old = None if champion is None else PREDICTIONS[champion](rows)
        try:
            verdict = judge(target(rows), old, PREDICTIONS[challenger](rows), metric=metric, margin=0.01)
        except RetrainError:
            continue
        assert verdict.reasons
        assert json.dumps(verdict.to_dict(), allow_nan=False)
        if verdict.status is PASS:
            assert rows == 40
            assert challenger not in ("one NaN", "infinite", "constant")


@pytest.mark.parametrize(("metric", "constant"), [("roc_auc", 0.5), ("log_loss", 0.3), ("rmse", 0.0)])
def test_a_challenger_that_is_the_same_everywhere_fails(metric, constant):
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 500)
    same, other = np.full(500, constant), generator.random(500)
    verdict = judge(y, other, same, metric=metric, margin=10.0)
    assert verdict.status is FAIL
    assert "same for all 500 rows" in verdict.reasons[0]
    assert judge(y, same, same, metric=metric, margin=10.0).status is INCONCLUSIVE
    assert judge(y, None, same, metric=metric, margin=0.1).status is FAIL


def test_constant_labels_are_judged_by_accuracy_and_not_by_a_balanced_metric():
    y = (np.arange(1000) % 20 == 0).astype(int)
    none, every = np.zeros(1000, int), np.ones(1000, int)
    assert judge(y, none, every, metric="accuracy", margin=0.01).status is FAIL
    assert judge(y, none, none, metric="accuracy", margin=0.01).status is PASS
    assert judge(y, none, every, metric="balanced_accuracy", margin=0.01).status is INCONCLUSIVE


def test_predictions_beyond_all_numbers_fail_and_do_not_warn():
    y = np.random.default_rng(0).normal(size=100)
    verdict = judge(y, y + 1, y * 1e300, metric="rmse", margin=0.1)
    assert verdict.status is FAIL
    assert "infinite" in verdict.reasons[0]
    assert judge(y, y * 1e300, y + 1, metric="rmse", margin=0.1).status is INCONCLUSIVE


def test_labels_of_several_types_are_refused():
    with pytest.raises(DataError, match="labels of the types int and text"):
        judge(np.array([1, "a"] * 50, dtype=object), np.ones(100), np.arange(100), metric="roc_auc", margin=0.1)


def test_weights_that_rest_on_few_rows_are_inconclusive():
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 1000)
    weight = np.where(np.arange(1000) < 10, 1e6, 1e-3)
    verdict = judge(y, y + 1.0, y + generator.normal(size=1000), metric="roc_auc", margin=0.1, sample_weight=weight)
    assert verdict.status is INCONCLUSIVE
    assert "1,000 count as 10" in verdict.reasons[0]
    nothing = judge(y, y, y, metric="accuracy", margin=0.1, sample_weight=np.zeros(1000))
    assert (nothing.status, nothing.rows) == (INCONCLUSIVE, 0)


def test_slices_may_be_empty_overlap_or_lack_a_class():
    generator = np.random.default_rng(0)
    y = (generator.random(2000) < 0.3).astype(int)
    champion = y + generator.normal(size=2000)
    index = np.arange(2000)
    slices = {"empty": index < 0, "all": index >= 0, "first": index < 1500, "last": index > 500, "one class": y == 1}
    verdict = judge(y, champion, champion + 0.01 * y, metric="roc_auc", margin=0.05, slices=slices)
    assert verdict.status is PASS
    assert {name: part["status"] for name, part in verdict.slices.items()} == {
        **dict.fromkeys(("empty", "one class"), "inconclusive"),
        **dict.fromkeys(("all", "first", "last"), "pass"),
    }
