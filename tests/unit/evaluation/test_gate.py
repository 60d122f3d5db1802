import json

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

from retrain.evaluation import Metric, judge
from retrain.exceptions import ConfigurationError, DataError, UserCodeError
from retrain.records import GateStatus, Verdict

PASS, FAIL, INCONCLUSIVE = GateStatus.PASS, GateStatus.FAIL, GateStatus.INCONCLUSIVE


def _scores(rows=4000, lift=0.0, seed=1):
    generator = np.random.default_rng(seed)
    y = (generator.random(rows) < 0.3).astype(int)
    common = generator.normal(size=rows)
    champion = y + common + 0.3 * generator.normal(size=rows)
    return y, champion, (1 + lift) * y + common + 0.3 * generator.normal(size=rows)


def test_an_equally_good_challenger_passes_non_inferiority_and_not_superiority():
    y, champion, challenger = _scores()
    verdict = judge(y, champion, challenger, metric="roc_auc", margin=0.02)
    assert verdict.status is PASS
    assert verdict.interval[0] > -0.02
    assert verdict.interval[0] < verdict.difference < verdict.interval[1]
    assert verdict.difference == pytest.approx(verdict.challenger - verdict.champion)
    assert judge(y, champion, challenger, metric="roc_auc", margin=0.02, rule="superior").status is FAIL
    assert judge(y, champion, challenger, metric="roc_auc", margin=0.0, rule="superior").status is INCONCLUSIVE


def test_a_better_challenger_passes_both_rules():
    y, champion, challenger = _scores(lift=0.3)
    for rule in ("non_inferior", "superior"):
        assert judge(y, champion, challenger, metric="roc_auc", margin=0.01, rule=rule).status is PASS


def test_a_worse_challenger_fails_with_numbers_in_its_reasons():
    y, champion, challenger = _scores(lift=-0.3)
    verdict = judge(y, champion, challenger, metric="roc_auc", margin=0.01)
    assert verdict.status is FAIL
    assert f"{verdict.challenger:.4g}" in verdict.reasons[0]
    assert "same 4,000 rows" in verdict.reasons[0]
    assert "significantly worse" in verdict.reasons[1]


def test_significantly_worse_is_never_promoted_even_within_the_margin():
    y, champion, challenger = _scores(rows=40_000, lift=-0.05)
    verdict = judge(y, champion, challenger, metric="roc_auc", margin=0.1)
    assert verdict.interval[0] > -0.1
    assert verdict.status is FAIL
    assert "(at 99%), although within the margin 0.1" in verdict.reasons[1]


def test_a_loss_is_judged_in_the_direction_of_improvement():
    generator = np.random.default_rng(0)
    y = generator.normal(size=2000)
    champion, challenger = y + generator.normal(size=2000), y + 0.8 * generator.normal(size=2000)
    for name in ("mse", "neg_mean_squared_error"):
        verdict = judge(y, champion, challenger, metric=name, margin=0.05, rule="superior")
        assert verdict.status is PASS
        assert verdict.difference > 0.2
    assert judge(y, challenger, champion, metric="mae", margin=0.05).status is FAIL


def test_inconclusive_names_rows_that_settle_it():
    y, champion, challenger = _scores(rows=300)
    verdict = judge(y, champion, challenger, metric="roc_auc", margin=0.01)
    assert verdict.status is INCONCLUSIVE
    assert verdict.rows_needed > 300
    assert f"{verdict.rows_needed - 300:,} more" in verdict.reasons[-1]


def test_rows_needed_settle_it_most_of_the_time():
    generator = np.random.default_rng(4)
    y = generator.normal(size=400)
    noise = generator.normal(size=400)
    champion = y + 1.0
    challenger = y + 1.0 + 0.05 * (noise - noise.mean())  # a difference of nearly 0 in the mean absolute error
    needed = judge(y, champion, challenger, metric="mae", margin=0.004).rows_needed
    settled = []
    for seed in range(60):
        fresh = np.random.default_rng(seed).normal(size=needed)
        verdict = judge(np.zeros(needed), np.ones(needed), 1 + 0.05 * fresh, metric="mae", margin=0.004)
        settled.append(verdict.status is PASS)
    assert 0.65 < np.mean(settled) < 0.95


def test_cold_start_passes_what_beats_the_best_constant():
    y, champion, _ = _scores(rows=500)
    verdict = judge(y, None, champion, metric="roc_auc", margin=0.01)
    assert (verdict.status, verdict.cold_start, verdict.champion) == (PASS, True, None)
    assert verdict.difference == pytest.approx(verdict.challenger - 0.5)
    assert "trivial baseline" in verdict.reasons[0]


@pytest.mark.parametrize(
    "metric",
    [
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier",
        "accuracy",
        "f1",
        "recall",
        "matthews_corrcoef",
        "mse",
        "mae",
        "r2",
    ],
)
def test_cold_start_does_not_pass_noise(metric):
    generator = np.random.default_rng(9)
    y, noise = generator.integers(0, 2, 400), generator.random(400)
    prediction = (noise > 0.5).astype(int) if metric in ("accuracy", "f1", "recall", "matthews_corrcoef") else noise
    verdict = judge(y, None, prediction, metric=metric, margin=0.01)
    assert verdict.cold_start
    assert verdict.status is not PASS


@pytest.mark.parametrize("metric", ["accuracy", "f1", "precision", "recall", "jaccard", "matthews_corrcoef"])
def test_cold_start_passes_a_model_that_has_learned(metric):
    generator = np.random.default_rng(10)
    y = generator.integers(0, 2, 1000)
    learned = np.where(generator.random(1000) < 0.85, y, 1 - y)
    assert judge(y, None, learned, metric=metric, margin=0.01).status is PASS
    # "always positive" has all the recall there is, and is no model
    assert judge(y, None, np.ones(1000, dtype=int), metric=metric, margin=0.01).status is not PASS


def test_a_champion_that_says_the_same_of_every_row_can_be_replaced():
    y = np.arange(600) % 2
    verdict = judge(y, np.zeros(600, dtype=int), y, metric="matthews_corrcoef", margin=0.01)
    assert (verdict.status, verdict.champion, verdict.challenger) == (PASS, 0.0, pytest.approx(1.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, None])
def test_a_challenger_that_is_not_finite_fails_by_name(bad):
    y, champion, challenger = _scores(rows=100)
    values = list(challenger)
    values[3] = bad
    verdict = judge(y, champion, values, metric="roc_auc", margin=0.01)
    assert verdict.status is FAIL
    assert "1 of 100 predictions are NaN, infinite or missing" in verdict.reasons[0]
    assert judge(y, values, champion, metric="roc_auc", margin=0.01).status is INCONCLUSIVE


def test_probabilities_outside_their_range_fail():
    y = np.arange(100) % 2
    half = np.full(100, 0.5)
    assert "not in [0, 1]" in judge(y, half, half * 3, metric="log_loss", margin=0.1).reasons[0]
    lopsided = np.full((100, 2), 0.3)
    assert "add up to 1" in judge(y, half, lopsided, metric="brier", margin=0.1).reasons[0]


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([], "0 rows"),
        ([0, 1] * 5, "10 rows"),
        ([1] * 60, "all 60 rows are of the class 1"),
        ([1] * 60 + [0] * 3, "only 3"),
    ],
)
def test_too_few_rows_or_classes_are_inconclusive(y, said):
    verdict = judge(y, np.arange(len(y)), np.arange(len(y)), metric="roc_auc", margin=0.01)
    assert verdict.status is INCONCLUSIVE
    assert said in verdict.reasons[0]
    assert verdict.rows_needed > len(y)
    assert verdict.interval is None


def test_a_stray_third_class_is_told_as_what_it_is():
    y = [0, 1] * 50 + [-1]
    with pytest.raises(ConfigurationError, match="roc_auc is for two classes and y_true holds 3: -1, 0, 1"):
        judge(y, np.arange(101), np.arange(101), metric="roc_auc", margin=0.01)


def test_a_column_is_taken_for_the_values_in_it():
    y, champion, challenger = _scores(rows=200)
    flat = judge(y, champion, challenger, metric="roc_auc", margin=0.02)
    frame = pd.DataFrame({"y": y})
    assert judge(frame, champion.reshape(-1, 1), challenger, metric="roc_auc", margin=0.02) == flat


def test_a_confidence_of_almost_1_is_not_rounded_to_it():
    y, champion, challenger = _scores(rows=200)
    verdict = judge(y, champion, challenger, metric="roc_auc", margin=0.02, confidence=0.999999)
    assert "99.9999% interval" in verdict.reasons[0]


def test_one_class_named_by_text_is_inconclusive_for_probabilities_too():
    half = np.full((50, 2), 0.5)
    assert judge(["yes"] * 50, half, half, metric="log_loss", margin=0.01).status is INCONCLUSIVE


def test_a_constant_target_is_inconclusive_for_r2():
    verdict = judge(np.ones(50), np.arange(50.0), np.arange(50.0) + 1, metric="r2", margin=0.01)
    assert verdict.status is INCONCLUSIVE
    assert "constant" in verdict.reasons[0]


def test_shapes_labels_and_weights_that_do_not_fit_are_named():
    y, champion, challenger = _scores(rows=100)
    with pytest.raises(DataError, match="challenger has 99 rows and y_true has 100"):
        judge(y, champion, challenger[:99], metric="roc_auc", margin=0.01)
    with pytest.raises(DataError, match="champion has 1 rows"):
        judge(y, champion[:1], challenger, metric="roc_auc", margin=0.01)
    with pytest.raises(DataError, match="2 of 100 rows of y_true have no finite label"):
        judge(np.where(np.arange(100) < 2, np.nan, y), champion, challenger, metric="roc_auc", margin=0.01)
    with pytest.raises(DataError, match="sample_weight"):
        judge(y, champion, challenger, metric="roc_auc", margin=0.01, sample_weight=-np.ones(100))
    with pytest.raises(DataError, match="slices is a list"):
        judge(y, champion, challenger, metric="roc_auc", margin=0.01, slices=["a"])
    with pytest.raises(DataError, match=r"slice 'a'.*boolean mask of 100 rows"):
        judge(y, champion, challenger, metric="roc_auc", margin=0.01, slices={"a": [True]})


@pytest.mark.parametrize(
    "terms",
    [
        *({"margin": bad} for bad in (-0.1, float("nan"), None, "0.01")),
        *({"confidence": bad} for bad in (1.0, None, "0.95")),
        *({"metric": bad} for bad in ("auroc", None, 3)),
        *({"minimum": bad} for bad in (float("nan"), "0.5")),
        {"rule": "better"},
    ],
)
def test_terms_that_mean_nothing_are_refused(terms):
    y, champion, challenger = _scores(rows=100)
    with pytest.raises(ConfigurationError):
        judge(y, champion, challenger, **{"metric": "roc_auc", "margin": 0.01, **terms})


def test_the_same_predictions_pass_as_the_same_model():
    y, champion, _ = _scores(rows=100)
    verdict = judge(y, champion, champion.copy(), metric="roc_auc", margin=0.01)
    assert (verdict.status, verdict.difference) == (PASS, 0.0)


def test_minimum_fails_a_challenger_that_is_only_relatively_good():
    y, champion, challenger = _scores()
    assert judge(y, champion, challenger, metric="roc_auc", margin=0.02, minimum=0.6).status is PASS
    failed = judge(y, champion, challenger, metric="roc_auc", margin=0.02, minimum=0.99)
    assert failed.status is FAIL
    assert "at least 0.99" in failed.reasons[-1]
    values = np.random.default_rng(0).normal(size=(2, 200))
    assert "at most 0.1" in judge(values[0], values[1], values[1], metric="mae", margin=1, minimum=0.1).reasons[-1]


def test_a_harmed_slice_fails_a_challenger_that_is_better_on_the_whole():
    y, champion, challenger = _scores(rows=6000, lift=0.6)
    harmed = np.arange(6000) < 1000
    challenger = np.where(harmed, np.random.default_rng(3).normal(size=6000), challenger)
    slices = {"harmed": harmed, "rest": ~harmed, "tiny": np.arange(6000) < 10}
    assert judge(y, champion, challenger, metric="roc_auc", margin=0.02).status is PASS
    verdict = judge(y, champion, challenger, metric="roc_auc", margin=0.02, slices=slices)
    assert verdict.status is FAIL
    assert {name: slice_["status"] for name, slice_ in verdict.slices.items()} == {
        "tiny": "inconclusive",
        "harmed": "fail",
        "rest": "pass",
    }
    assert verdict.slices["harmed"]["rows"] == 1000
    assert any("slice 'harmed'" in reason for reason in verdict.reasons)


def test_twenty_harmless_slices_do_not_block():
    failed = 0
    for seed in range(40):
        y, champion, challenger = _scores(rows=4000, seed=seed)
        slices = {str(part): np.arange(4000) % 20 == part for part in range(20)}
        failed += judge(y, champion, challenger, metric="roc_auc", margin=0.02, slices=slices).status is FAIL
    assert failed <= 2


def test_slices_may_lack_a_class_and_masks_may_be_a_series_of_another_index():
    generator = np.random.default_rng(0)
    y = np.array(["a", "b", "c"])[generator.integers(0, 3, 900)]
    proba = generator.dirichlet(np.ones(3), 900)
    mask = pd.Series(y != "c", index=range(5000, 5900))
    verdict = judge(y, proba, proba, metric="log_loss", margin=0.1, slices={"no c": mask})
    assert verdict.status is PASS
    assert verdict.slices["no c"]["rows"] == int(mask.sum())


def test_rows_of_no_weight_are_not_counted():
    y, champion, challenger = _scores(rows=2000)
    weight = (np.arange(2000) < 1000).astype(float)
    part = judge(y[:1000], champion[:1000], challenger[:1000], metric="roc_auc", margin=0.02)
    whole = judge(y, champion, challenger, metric="roc_auc", margin=0.02, sample_weight=weight)
    assert whole == part


def test_verdict_travels_as_json():
    y, champion, challenger = _scores(rows=300)
    slices = {"half": np.arange(300) < 150}
    verdict = judge(y, champion, challenger, metric="roc_auc", margin=0.01, slices=slices)
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict


def test_a_metric_of_ones_own_that_raises_is_named():
    y, champion, challenger = _scores(rows=100)

    def broken(y, prediction, weight):
        raise ZeroDivisionError("no rows")

    with pytest.raises(UserCodeError, match="'mine' raised ZeroDivisionError: no rows"):
        judge(y, champion, challenger, metric=Metric("mine", True, "score", function=broken), margin=0.01)


def profit(y_true, prediction):
    return float(np.mean(np.where(prediction == y_true, 1.0, -2.0)))


def weighted_profit(y_true, prediction, sample_weight=None):
    return float(np.average(np.where(prediction == y_true, 1.0, -2.0), weights=sample_weight))


def squared_loss(y_true, prediction):
    return float(np.mean((y_true - prediction) ** 2))


def test_a_function_of_ones_own_is_a_metric():
    generator = np.random.default_rng(11)
    y = generator.integers(0, 2, 600)
    old, new = (np.where(generator.random(600) < share, y, 1 - y) for share in (0.7, 0.95))
    verdict = judge(y, old, new, metric=profit, margin=0.05)
    assert (verdict.status, verdict.metric) == (PASS, "profit")
    assert verdict.difference == pytest.approx(profit(y, new) - profit(y, old))
    assert judge(y, new, old, metric=profit, margin=0.05).status is FAIL
    weight = generator.exponential(size=600)
    weighted = judge(y, old, new, metric=weighted_profit, margin=0.05, sample_weight=weight)
    assert weighted.challenger == pytest.approx(weighted_profit(y, new, weight))
    with pytest.raises(UserCodeError, match="no parameter sample_weight"):
        judge(y, old, new, metric=profit, margin=0.05, sample_weight=weight)


def test_a_function_whose_name_ends_as_that_of_a_loss_is_one():
    generator = np.random.default_rng(12)
    y = generator.normal(size=300)
    near, far = y + 0.1 * generator.normal(size=300), y + generator.normal(size=300)
    assert judge(y, far, near, metric=squared_loss, margin=0.01).status is PASS
    assert judge(y, near, far, metric=squared_loss, margin=0.01).status is FAIL


def test_functions_of_scikit_learn_are_taken_by_their_names():
    y, champion, challenger = _scores(rows=500)
    assert judge(y, champion, challenger, metric=sk.roc_auc_score, margin=0.02) == judge(
        y, champion, challenger, metric="roc_auc_score", margin=0.02
    )
