import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from retrain.evaluation import judge_ranking, ndcg
from retrain.exceptions import DataError, UserCodeError
from retrain.records import GateStatus

PASS, FAIL, INCONCLUSIVE = GateStatus.PASS, GateStatus.FAIL, GateStatus.INCONCLUSIVE


def _rows(queries=300, items=8, seed=0):
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 4, queries * items)
    query = np.repeat(np.arange(queries), items)
    shuffled = generator.permutation(len(y))
    good, other = y + generator.normal(size=(2, len(y)))
    return y[shuffled], good[shuffled], other[shuffled], query[shuffled], generator


def test_rankers_are_compared_by_query():
    y, good, other, query, generator = _rows()
    verdict = judge_ranking(y, good, other, queries=query, margin=0.05)
    assert (verdict.status, verdict.metric, verdict.rows) == (PASS, "ndcg", 300)
    each = [ndcg(y[query == one], other[query == one]) for one in range(300)]
    assert verdict.challenger == pytest.approx(np.mean(each))
    assert verdict.baseline < verdict.challenger
    noise = generator.normal(size=len(y))
    assert judge_ranking(y, good, noise, queries=query, margin=0.05).status is FAIL


@pytest.mark.parametrize("k", [None, 3])
def test_ndcg_is_scikit_learns_ties_included(k):
    generator = np.random.default_rng(0)
    for _ in range(50):
        y, score = generator.integers(0, 4, 9), generator.integers(0, 5, 9)
        assert ndcg(y, score, k=k) == pytest.approx(ndcg_score([y], [score], k=k))
    assert ndcg(np.zeros(5), score[:5]) is None


def test_the_first_ranker_is_compared_with_no_order_at_all():
    y, good, _, query, generator = _rows()
    first = judge_ranking(y, None, good, queries=query, margin=0.05)
    assert (first.status, first.cold_start, first.champion) == (PASS, True, None)
    passed = 0
    for seed in range(40):
        y, _, _, query, generator = _rows(50, seed=seed)
        noise = generator.normal(size=len(y))
        passed += judge_ranking(y, None, noise, queries=query, margin=0.05).status is PASS
    assert passed <= 4


def test_queries_that_cannot_be_judged_are_left_out_for_both():
    y, good, other, query, _ = _rows()
    y[query < 250] = 0
    assert judge_ranking(y, good, other, queries=query, margin=0.5).rows == 50
    verdict = judge_ranking(y, good, other, queries=query, margin=0.5, slices={"some": query > 265})
    assert verdict.slices["some"]["rows"] == 34
    y[:] = 0
    assert judge_ranking(y, good, other, queries=query, margin=0.5).status is INCONCLUSIVE


def test_a_callable_of_ones_own_is_held_to_its_contract():
    y, good, other, query, _ = _rows(60)

    def hit_first(relevance, score):
        return float(relevance[score.argmax()] == relevance.max())

    verdict = judge_ranking(y, good, other, queries=query, function=hit_first, name="hit@1", margin=0.5)
    assert (verdict.status, verdict.metric) == (PASS, "hit@1")
    with pytest.raises(UserCodeError, match="returned nan"):
        judge_ranking(y, good, other, queries=query, function=lambda *_: np.nan, margin=0.5)
    with pytest.raises(UserCodeError, match="raised TypeError"):
        judge_ranking(y, good, other, queries=query, function=lambda one: 1.0, margin=0.5)
    with pytest.raises(DataError, match="one query per row"):
        judge_ranking(y, good, other, queries=query[:5], margin=0.5)
    broken = np.where(np.arange(len(y)) == 0, np.nan, good)
    assert judge_ranking(y, good, broken, queries=query, margin=0.5).status is FAIL
