import numpy as np
import pytest
import sklearn.metrics as sk

from retrain.evaluation import row_losses
from retrain.exceptions import DataError

Y = np.array([0, 1, 1, 0])
P = np.array([0.1, 0.8, 0.4, 0.5])


def test_probability_of_the_positive_class_gives_log_loss():
    losses = row_losses(Y, P, takes="score")
    assert losses == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.5]))
    assert losses.mean() == pytest.approx(sk.log_loss(Y, P))


def test_columns_of_probabilities_give_log_loss():
    assert row_losses(Y, np.column_stack([1 - P, P]), takes="proba") == pytest.approx(row_losses(Y, P, takes="score"))
    assert row_losses([2, 0], [[0.2, 0.3, 0.5], [1.0, 0, 0]], takes="proba") == pytest.approx([-np.log(0.5), 0.0])


def test_scores_outside_0_and_1_are_log_odds():
    odds = np.log(P / (1 - P)) * 3
    assert row_losses(Y, odds, takes="score") == pytest.approx(row_losses(Y, 1 / (1 + np.exp(-odds)), takes="score"))


def test_labels_give_0_or_1_and_values_squared_error():
    assert list(row_losses(["a", "b"], ["a", "c"], takes="label")) == [0.0, 1.0]
    assert list(row_losses([1.0, 2.0], [3.0, 2.0], takes="value")) == [4.0, 0.0]


def test_missing_prediction_has_no_loss():
    assert np.isnan(row_losses(Y, [0.1, np.nan, 0.4, np.inf], takes="score")).tolist() == [False, True, False, True]
    assert np.isnan(row_losses([1, 0], [None, 0], takes="label")).tolist() == [True, False]


def test_a_batch_of_one_class_knows_the_positive_one():
    assert row_losses([1, 1], [0.9, 0.9], takes="score") == pytest.approx(-np.log([0.9, 0.9]))
    assert row_losses([0, 0], [0.9, 0.9], takes="score") == pytest.approx(-np.log([0.1, 0.1]))


def test_no_rows_have_no_losses():
    assert row_losses([], [], takes="score").shape == (0,)


def test_lengths_that_differ_are_refused():
    with pytest.raises(DataError, match="prediction has 2 rows and y_true has 4"):
        row_losses(Y, [0.1, 0.2], takes="score")


def test_one_score_for_several_classes_is_refused():
    with pytest.raises(DataError, match="3 classes"):
        row_losses([0, 1, 2], [0.1, 0.2, 0.3], takes="score")
