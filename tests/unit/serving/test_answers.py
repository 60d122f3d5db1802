import math

import numpy as np
import pandas as pd
import pytest

from retrain.exceptions import DataError
from retrain.records import GateStatus
from retrain.serving.answers import compare, judge_finite, judge_replay, judge_schema
from retrain.serving.verdict import Limits

TABLE = {"columns": ["prediction", "score"], "rows": [["a", 0.1], ["b", 0.9]]}


def _frame(**columns):
    return pd.DataFrame({"prediction": ["a", "b"], "score": [0.1, 0.9], **columns})


def test_the_same_answers_differ_by_nothing():
    assert compare(TABLE, _frame(), 1e-9) == (0.0, 0.0)


def test_predictions_are_counted_and_scores_are_averaged():
    changed, difference = compare(TABLE, _frame(prediction=["a", "a"], score=[0.2, 0.8]), 1e-9)
    assert (changed, difference) == (0.5, pytest.approx(0.1))


def test_a_number_alone_is_prediction_and_score():
    table = {"columns": ["prediction"], "rows": [[1.0], [2.0]]}
    assert compare(table, pd.DataFrame({"prediction": [1.0, 3.0]}), 1e-9) == (0.5, 0.5)
    assert compare(table, pd.DataFrame({"prediction": np.array([1, 2])}), 1e-9) == (0.0, 0.0)


def test_answers_that_do_not_fit_are_refused():
    for other in (_frame().head(1), pd.DataFrame({"late": [1, 2]})):
        with pytest.raises(DataError, match="cannot be compared"):
            compare(TABLE, other, 1e-9)


def test_the_replay_is_measured_and_judged_only_by_a_limit():
    other = _frame(prediction=["b", "b"])
    assert judge_replay(TABLE, other, Limits()).status is GateStatus.PASS
    assert judge_replay(TABLE, other, Limits(changed_share=0.5)).status is GateStatus.PASS
    assert judge_replay(TABLE, other, Limits(changed_share=0.4)).status is GateStatus.FAIL


@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
def test_what_is_not_finite_is_counted(bad):
    found = judge_finite("input example", {"columns": ["score"], "rows": [[0.1], [bad]]})
    assert (found.status, found.value) == (GateStatus.FAIL, 1.0)
    assert judge_finite("input example", TABLE).status is GateStatus.PASS


def test_rows_and_columns_are_those_that_were_asked_for():
    assert judge_schema("requests", TABLE, 2, ["prediction", "score"]).status is GateStatus.PASS
    assert judge_schema("requests", TABLE, None, None).status is GateStatus.PASS
    assert judge_schema("requests", TABLE, 3, None).status is GateStatus.FAIL
    assert judge_schema("requests", TABLE, 2, ["prediction"]).status is GateStatus.FAIL
