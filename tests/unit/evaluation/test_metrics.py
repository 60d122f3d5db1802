import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.evaluation import Metric, evaluate, get_metric, metric_names
from retrain.exceptions import ConfigurationError, DataError, DeclarationError, RetrainError, UserCodeError

GENERATOR = np.random.default_rng(7)
ROWS = 400
BINARY = GENERATOR.integers(0, 2, ROWS)
CLASSES = GENERATOR.integers(0, 4, ROWS)
SCORES = np.round(BINARY + GENERATOR.normal(size=ROWS), 1)  # with ties
SHARE = np.clip(0.25 + 0.5 * BINARY + 0.15 * GENERATOR.normal(size=ROWS), 0.0, 1.0)
PROBA = GENERATOR.dirichlet(np.ones(4), ROWS)
LABELS = np.where(GENERATOR.random(ROWS) < 0.7, BINARY, 1 - BINARY)
MANY_LABELS = np.where(GENERATOR.random(ROWS) < 0.6, CLASSES, GENERATOR.integers(0, 4, ROWS))
VALUES = GENERATOR.normal(2, 1, ROWS)
FORECAST = VALUES + GENERATOR.normal(size=ROWS)
WEIGHTS = GENERATOR.exponential(size=ROWS)

RATIOS = {"f1": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score, "jaccard": sk.jaccard_score}
POSITIVE, GUESS = np.abs(VALUES) + 0.1, np.abs(FORECAST) + 0.1
RESAMPLED = [
    ("median_absolute_error", VALUES, FORECAST, sk.median_absolute_error, {}),
    ("explained_variance", VALUES, FORECAST, sk.explained_variance_score, {}),
    ("d2_absolute_error_score", VALUES, FORECAST, sk.d2_absolute_error_score, {}),
    ("mean_squared_log_error", POSITIVE, GUESS, sk.mean_squared_log_error, {}),
    ("root_mean_squared_log_error", POSITIVE, GUESS, sk.root_mean_squared_log_error, {}),
    ("mean_poisson_deviance", POSITIVE, GUESS, sk.mean_poisson_deviance, {}),
    ("mean_gamma_deviance", POSITIVE, GUESS, sk.mean_gamma_deviance, {}),
]
EXPECTED = [
    ("roc_auc", BINARY, SCORES, sk.roc_auc_score, {}),
    ("average_precision", BINARY, SCORES, sk.average_precision_score, {}),
    ("roc_auc_ovr", CLASSES, PROBA, sk.roc_auc_score, {"multi_class": "ovr"}),
    ("roc_auc_ovr_weighted", CLASSES, PROBA, sk.roc_auc_score, {"multi_class": "ovr", "average": "weighted"}),
    ("log_loss", BINARY, SHARE, sk.log_loss, {}),
    ("log_loss", CLASSES, PROBA, sk.log_loss, {}),
    ("brier", BINARY, SHARE, sk.brier_score_loss, {}),
    ("accuracy", CLASSES, MANY_LABELS, sk.accuracy_score, {}),
    ("balanced_accuracy", CLASSES, MANY_LABELS, sk.balanced_accuracy_score, {}),
    ("matthews_corrcoef", CLASSES, MANY_LABELS, sk.matthews_corrcoef, {}),
    *((name, BINARY, LABELS, function, {}) for name, function in RATIOS.items()),
    *(
        (f"{name}_{average}", CLASSES, MANY_LABELS, function, {"average": average})
        for name, function in RATIOS.items()
        for average in ("macro", "micro", "weighted")
    ),
    ("mse", VALUES, FORECAST, sk.mean_squared_error, {}),
    ("rmse", VALUES, FORECAST, sk.root_mean_squared_error, {}),
    ("mae", VALUES, FORECAST, sk.mean_absolute_error, {}),
    ("mape", VALUES, FORECAST, sk.mean_absolute_percentage_error, {}),
    *RESAMPLED,
    ("r2", VALUES, FORECAST, sk.r2_score, {}),
]


def _sklearn(function, y, prediction, weight, options):
    return function(y, prediction, sample_weight=weight, **options)


@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize(("name", "y", "prediction", "function", "options"), EXPECTED)
def test_value_is_that_of_scikit_learn(name, y, prediction, function, options, weight):
    ours = get_metric(name).score(y, prediction, weight)
    assert ours == pytest.approx(_sklearn(function, y, prediction, weight, options), rel=1e-9)


@pytest.mark.parametrize("name", [name for name in metric_names() if name in sk.get_scorer_names()])
def test_scorer_names_have_the_sign_of_scikit_learn(name):
    # A scikit-learn scorer is always "greater is better", and so is ours of that name.
    assert get_metric(name).greater_is_better
    assert (sk.get_scorer(name)._sign < 0) == name.startswith("neg_")


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(1, 3)), min_size=4, max_size=40).filter(
        lambda rows: len({row[0] for row in rows}) == 2
    )
)
@settings(max_examples=60, deadline=None)
def test_ranking_metrics_agree_on_small_and_tied_samples(rows):
    y, score, weight = (np.array(column) for column in zip(*rows, strict=True))
    assert get_metric("roc_auc").score(y, score, weight) == pytest.approx(
        sk.roc_auc_score(y, score, sample_weight=weight)
    )
    assert get_metric("average_precision").score(y, score, weight) == pytest.approx(
        sk.average_precision_score(y, score, sample_weight=weight)
    )


@pytest.mark.parametrize(
    ("name", "y", "prediction", "function", "options"), [row for row in EXPECTED if row not in RESAMPLED]
)
def test_influence_is_the_derivative_in_a_rows_weight(name, y, prediction, function, options):
    metric, step = get_metric(name), 1e-4
    influence = metric.scored(y, prediction, WEIGHTS).influence
    assert abs(influence.sum()) < 1e-2 * np.abs(influence).sum()
    for row in (0, 11, 222):
        up, down = WEIGHTS.copy(), WEIGHTS.copy()
        up[row] *= 1 + step
        down[row] *= 1 - step
        slope = (metric.score(y, prediction, up) - metric.score(y, prediction, down)) / (2 * step)
        assert influence[row] == pytest.approx(slope, rel=0.01, abs=1e-6)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_one_vs_one_is_that_of_scikit_learn(average):
    name = "roc_auc_ovo" if average == "macro" else "roc_auc_ovo_weighted"
    expected = sk.roc_auc_score(CLASSES, PROBA, multi_class="ovo", average=average)
    assert get_metric(name).score(CLASSES, PROBA) == pytest.approx(expected)
    with pytest.raises(UserCodeError, match="sample_weight"):
        get_metric(name).score(CLASSES, PROBA, WEIGHTS)
    with pytest.raises(UserCodeError, match="4 columns and rows of 3 classes"):
        get_metric(name).score(np.minimum(CLASSES, 2), PROBA)


@pytest.mark.parametrize("name", [None, 3, len])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ConfigurationError, match="Metric"):
        get_metric(name)


def test_a_constant_side_has_a_matthews_correlation_of_0_that_no_row_moves():
    constant = get_metric("matthews_corrcoef").scored(BINARY, np.zeros(ROWS, dtype=int), np.ones(ROWS))
    assert (constant.value, constant.flip) == (0, 0)
    assert not constant.influence.any()


def test_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"unknown metric 'auroc'.*roc_auc"):
        get_metric("auroc")


def test_binary_metric_refuses_several_classes():
    with pytest.raises(ConfigurationError, match="two classes"):
        get_metric("roc_auc").score(CLASSES, SCORES)


def test_scores_given_as_labels_are_refused():
    with pytest.raises(RetrainError, match=r"f1_macro|different labels"):
        get_metric("f1").score(BINARY, SCORES)


def test_text_labels_and_numbers_are_not_compared():
    with pytest.raises(DataError, match="labels of one type"):
        get_metric("accuracy").score(np.array(["a", "b", "a"]), np.array([0, 1, 0]))


def test_text_labels_nullable_columns_and_booleans_are_taken():
    names = np.array(["late", "on time"])
    expected = sk.f1_score(BINARY, LABELS)
    assert get_metric("f1").score(names[BINARY], pd.Series(names[LABELS])) == pytest.approx(expected)
    assert get_metric("f1").score(BINARY.astype(bool), pd.array(LABELS, dtype="Int64")) == pytest.approx(expected)
    assert get_metric("roc_auc").score(pd.array(BINARY, dtype="boolean"), list(SCORES)) == pytest.approx(
        sk.roc_auc_score(BINARY, SCORES)
    )


def test_two_columns_of_probabilities_are_those_of_two_classes():
    both = np.column_stack([1 - SHARE, SHARE])
    for name in ("roc_auc", "log_loss", "brier"):
        assert get_metric(name).score(BINARY, both) == pytest.approx(get_metric(name).score(BINARY, SHARE))


def test_predictions_that_are_not_finite_have_no_value():
    assert np.isnan(get_metric("mae").score([1.0, 2.0], [1.0, np.inf]))
    assert np.isnan(get_metric("log_loss").score([0, 1], [0.5, 1.5]))


def test_evaluate_gives_a_value_per_metric():
    assert evaluate(VALUES, FORECAST, ["mae", "r2"]) == {
        "mae": pytest.approx(sk.mean_absolute_error(VALUES, FORECAST)),
        "r2": pytest.approx(sk.r2_score(VALUES, FORECAST)),
    }


def test_a_metric_of_ones_own_is_passed_through():
    own = Metric("share", True, "label", function=lambda y, prediction, weight: 0.5)
    assert get_metric(own) is own
    assert own.score(BINARY, LABELS) == 0.5


def test_a_function_of_ones_own_is_named_with_what_it_takes_and_imported_when_it_is_called():
    own = get_metric("statistics:no_such_thing[value, lower]")
    assert (own.name, own.takes, own.greater_is_better) == ("no_such_thing", "value", False)
    assert get_metric("a.b:c[label]").greater_is_better
    with pytest.raises(DeclarationError, match="statistics:no_such_thing cannot be imported"):
        own.score([1.0, 2.0], [1.0, 2.0])
    for wrong in ("a:b", "a:b[rank]", "a:b[label, faster]", "a:b()[label]"):
        with pytest.raises(ConfigurationError, match=r"package\.module:function\[takes\]"):
            get_metric(wrong)
