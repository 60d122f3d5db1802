"""Ranking metrics by their names in a declaration: what is asked of each query, and its value over all of them.

`ndcg`, `ndcg@10` and `ndcg@10[score]` are known; `shop.metrics:hit_first[value]` is a function of one's own,
`function(relevance, predictions) -> float`, or None for a query that cannot be judged. In brackets stands what of the
model's output ranks: `value`, what it predicts, or `score`, the probability of the positive class.
"""

import functools
import re
from typing import TYPE_CHECKING, Any

from retrain.evaluation.metrics import Metric, get_metric
from retrain.evaluation.own_metric import Named
from retrain.exceptions import ConfigurationError

if TYPE_CHECKING:
    from retrain.evaluation.influence import Floats
    from retrain.evaluation.queries import PerQuery

_NDCG = re.compile(r"ndcg(?:@(?P<k>[1-9]\d*))?(?:\[(?P<takes>score|value)\])?")
_EXPECTED = "ndcg, ndcg@10, or a function of your own: package.module:function[value]"


def is_ndcg(name: str) -> bool:
    """Say whether a metric's name is one of those that only rank."""
    return _NDCG.fullmatch(name) is not None


def ndcg_metric(name: str) -> Metric:
    """Return the metric of the name; by itself it has no value, only over queries. Imports nothing heavy."""
    found = _NDCG.fullmatch(name)
    if found is None:
        raise ConfigurationError(f"the metric is {name!r}", expected=_EXPECTED)
    takes: Any = found["takes"] or "value"
    # As MLflow takes names, which have no @.
    return Metric(f"ndcg_at_{found['k']}" if found["k"] else "ndcg", True, takes, k=int(found["k"] or 0))


def per_query(name: str | Metric) -> "PerQuery":
    """Return what is asked of each query; ConfigurationError for a metric that is none of queries."""
    from retrain.evaluation.queries import ndcg

    metric = get_metric(name)
    if isinstance(metric.function, Named):
        own = metric.function
        return lambda relevance, predictions: own.load()(relevance, predictions)  # type: ignore[call-arg]
    if metric.k is None:
        raise ConfigurationError(f"{metric.name} is no metric of queries", expected=_EXPECTED)
    return functools.partial(ndcg, k=metric.k or None)


def query_values(name: str | Metric, y_true: Any, prediction: Any, queries: Any) -> "Floats":
    """Return the value of each query that can be judged, in the order in which the queries come first."""
    import numpy as np

    from retrain.evaluation.arrays import check_shape, plain
    from retrain.evaluation.queries import values_by_query

    metric, y, query = get_metric(name), plain(y_true), plain(queries)
    scores = check_shape("prediction", plain(prediction), len(y), "score")
    _, first, codes = np.unique(query, return_index=True, return_inverse=True)
    places = np.argsort(np.argsort(first))[codes]
    found = values_by_query(scores, y, places, per_query(metric), metric.name)
    kept: Floats = found[np.isfinite(found)]
    return kept
