"""Ranking metrics by their names, over queries, and as a gate's case."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from retrain.evaluation import Evidence, GateCase, assess, get_metric, judge_case, judge_ranking, ndcg, query_values
from retrain.evaluation.case import QUERY, TARGET
from retrain.evaluation.per_query import per_query
from retrain.evaluation.plots import draw, further_metrics
from retrain.exceptions import ConfigurationError
from retrain.records import GateStatus


@pytest.fixture
def rows() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 4, 1600)
    champion, challenger = y + generator.normal(size=(2, len(y)))
    query = generator.permutation(np.repeat(np.arange(200), 8))
    return pd.DataFrame({TARGET: y, "champion": champion, "challenger": challenger, QUERY: query})


@pytest.mark.parametrize(
    ("name", "called", "takes", "k"),
    [("ndcg", "ndcg", "value", 0), ("ndcg@10", "ndcg_at_10", "value", 10), ("ndcg@3[score]", "ndcg_at_3", "score", 3)],
)
def test_a_ranking_metric_is_known_by_its_name(name: str, called: str, takes: str, k: int) -> None:
    metric = get_metric(name)
    assert (metric.name, metric.takes, metric.k, metric.sign) == (called, takes, k, 1)


@pytest.mark.parametrize("name", ["ndcg@", "ndcg@0", "ndcg@3[label]", "ndcg_score"])
def test_another_form_is_refused_with_the_right_one(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ndcg@10"):
        get_metric(name)


def test_a_metric_of_rows_is_none_of_queries_and_the_other_way_round() -> None:
    with pytest.raises(ConfigurationError, match="roc_auc is no metric of queries"):
        per_query("roc_auc")
    with pytest.raises(ConfigurationError, match="no influence function"):
        get_metric("ndcg").score([0, 1], [0.1, 0.2])


def test_queries_are_valued_in_the_order_in_which_they_come_and_those_without_an_answer_are_left_out() -> None:
    y, score = np.array([1, 0, 0, 0, 0, 1]), np.array([0.9, 0.1, 0.5, 0.4, 0.7, 0.2])
    query = np.array(["z", "z", "m", "m", "a", "a"])
    assert query_values("ndcg", y, score, query).tolist() == [1.0, pytest.approx(ndcg(y[4:], score[4:]))]


def test_assessing_with_queries_is_judging_the_ranking(rows: pd.DataFrame) -> None:
    given = {"margin": 0.05, "rule": "superior", "confidence": 0.9}
    evidence = Evidence(rows[TARGET], rows["challenger"], rows["champion"], metric="ndcg@3", queries=rows[QUERY])
    expected = judge_ranking(
        rows[TARGET], rows["champion"], rows["challenger"], queries=rows[QUERY], function=per_query("ndcg@3"),
        name="ndcg_at_3", **given,
    )  # fmt: skip
    assert assess(evidence, **given) == expected
    assert expected.rows == 200


def test_a_kept_case_is_judged_by_query_its_limit_included_and_no_picture_shows_residuals(rows: pd.DataFrame) -> None:
    case = GateCase("ndcg", 0.05)
    verdict = judge_case(case, rows)
    assert (verdict.status, verdict.rows) == (GateStatus.PASS, 200)
    best = dataclasses.replace(case, minimum=0.999)
    assert judge_case(best, rows).status is GateStatus.FAIL
    assert draw(case, rows, verdict) == further_metrics(case, rows) == {}


def test_a_champion_that_answers_nan_is_nothing_to_compare_with(rows: pd.DataFrame) -> None:
    verdict = judge_case(GateCase("ndcg", 0.05), rows.assign(champion=np.nan))
    assert verdict.status is GateStatus.INCONCLUSIVE
    assert "the champion cannot be scored" in verdict.reasons[0]
