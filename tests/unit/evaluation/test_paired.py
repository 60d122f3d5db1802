import numpy as np
import pytest

from retrain.evaluation import Metric, get_metric
from retrain.evaluation.paired import compare

ROWS = 500


def _pair(seed=3, rows=ROWS):
    generator = np.random.default_rng(seed)
    y = (generator.random(rows) < 0.3).astype(int)
    common = generator.normal(size=rows)
    champion = 0.9 * y + common + 0.4 * generator.normal(size=rows)
    challenger = 1.0 * y + common + 0.4 * generator.normal(size=rows)
    return y, np.round(champion, 1), np.round(challenger, 1)


def _as(takes, scores, y):
    proba = 1 / (1 + np.exp(-scores))
    return {"score": scores, "proba": proba, "label": (proba > 0.6).astype(int), "value": scores}[takes]


def _error_by_bootstrap(metric, y, champion, challenger, weight, draws=600):
    generator = np.random.default_rng(1)
    differences = []
    for _ in range(draws):
        rows = generator.integers(0, len(y), len(y))
        old = metric.score(y[rows], champion[rows], weight[rows])
        differences.append(metric.score(y[rows], challenger[rows], weight[rows]) - old)
    return np.std(differences)


def _delong_by_pairs(y, champion, challenger):
    """DeLong et al. (1988) as written: over all pairs of a positive and a negative row."""

    def placements(score):
        wins = (score[y == 1][:, None] > score[y == 0]) + 0.5 * (score[y == 1][:, None] == score[y == 0])
        return wins.mean(axis=1), wins.mean(axis=0)

    (old10, old01), (new10, new01) = placements(champion), placements(challenger)
    return np.var(new10 - old10, ddof=1) / len(new10) + np.var(new01 - old01, ddof=1) / len(new01)


def test_roc_auc_error_is_delongs_with_ties():
    y, champion, challenger = _pair()
    estimate = compare(get_metric("roc_auc"), y, champion, challenger, np.ones(ROWS))
    assert estimate.error**2 == pytest.approx(_delong_by_pairs(y, champion, challenger), rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    "name", ["roc_auc", "average_precision", "log_loss", "brier", "accuracy", "balanced_accuracy", "f1", "precision",
             "recall", "matthews_corrcoef", "mse", "rmse", "mae", "r2"],
)  # fmt: skip
def test_error_is_that_of_a_paired_bootstrap(name, weighted):
    metric = get_metric(name)
    y, *scores = _pair()
    champion, challenger = (_as(metric.takes, score, y) for score in scores)
    weight = np.random.default_rng(5).uniform(0.5, 2, ROWS) if weighted else np.ones(ROWS)
    estimate = compare(metric, y, champion, challenger, weight)
    assert estimate.error == pytest.approx(_error_by_bootstrap(metric, y, champion, challenger, weight), rel=0.15)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "accuracy", "f1", "log_loss", "rmse", "neg_log_loss"])
def test_swapping_the_models_turns_the_sign(name):
    metric = get_metric(name)
    y, *scores = _pair()
    champion, challenger = (_as(metric.takes, score, y) for score in scores)
    there = compare(metric, y, champion, challenger, np.ones(ROWS))
    back = compare(metric, y, challenger, champion, np.ones(ROWS))
    assert there.difference == pytest.approx(-back.difference)
    assert there.interval(0.95) == pytest.approx(tuple(-bound for bound in back.interval(0.95))[::-1])


def test_whole_number_weights_move_the_difference_as_repeated_rows_do():
    y, champion, challenger = _pair()
    weight = np.random.default_rng(2).integers(1, 4, ROWS)
    repeated = np.repeat(np.arange(ROWS), weight)
    for name in ("roc_auc", "average_precision"):
        weighted = compare(get_metric(name), y, champion, challenger, weight.astype(float))
        copied = compare(
            get_metric(name), y[repeated], champion[repeated], challenger[repeated], np.ones(len(repeated))
        )
        assert weighted.difference == pytest.approx(copied.difference)


def test_labels_that_agree_everywhere_are_bounded_by_the_rule_of_three():
    y = np.arange(300) % 2
    estimate = compare(get_metric("accuracy"), y, y, y, np.ones(300))
    assert estimate.difference == 0
    assert estimate.lower(0.95) == pytest.approx(-3 / 300, rel=0.02)


def test_two_perfect_rankings_are_not_taken_for_certain():
    y = np.arange(40) % 2
    estimate = compare(get_metric("roc_auc"), y, y + 0.1, y * 2.0, np.ones(40))
    assert estimate.difference == 0
    assert estimate.lower(0.95) < -0.1


def test_a_metric_of_ones_own_is_judged_by_a_seeded_bootstrap():
    y, champion, challenger = _pair()
    own = Metric("own auc", True, "score", function=lambda y, p, w: get_metric("roc_auc").score(y, p, w))
    first = compare(own, y, champion, challenger, np.ones(ROWS))
    assert first == compare(own, y, champion, challenger, np.ones(ROWS))
    delong = compare(get_metric("roc_auc"), y, champion, challenger, np.ones(ROWS))
    assert first.difference == pytest.approx(delong.difference)
    assert first.error == pytest.approx(delong.error, rel=0.1)
