"""Ranking within queries (or any groups): one value per query by a callable, the queries compared in pairs."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from retrain.evaluation import influence
from retrain.evaluation.arrays import check_shape, count_bad, plain
from retrain.evaluation.gate import judge
from retrain.evaluation.metrics import Metric
from retrain.evaluation.slices import masks
from retrain.exceptions import DataError, UserCodeError
from retrain.records import GateStatus, Verdict

if TYPE_CHECKING:
    from retrain.evaluation.arrays import Array
    from retrain.evaluation.influence import Floats

    PerQuery = Callable[[Array, Array], float | None]


def ndcg(y: Any, score: Any, *, k: int | None = None) -> float | None:
    """Return the normalised discounted cumulative gain of one query; None where nothing is relevant.

    The value is scikit-learn's (relevance as gain, ties averaged as in McSherry & Najork, 2008), whose checks of its
    input take fifty times longer than the sum: here there may be a hundred thousand queries.
    """
    import numpy as np

    y, score = np.asarray(y, dtype=float), np.asarray(score, dtype=float)
    if len(y) < 2 or not (y > 0).any():
        return None
    discount = 1 / np.log2(np.arange(len(y)) + 2)
    if k is not None:
        discount[k:] = 0
    _, tie, count = np.unique(-score, return_inverse=True, return_counts=True)
    ends = np.cumsum(discount)[np.cumsum(count) - 1]
    shared = np.diff(ends, prepend=0) / count
    return float((shared[tie] * y).sum() / (discount * np.sort(y)[::-1]).sum())


def judge_ranking(
    y_true: Any,
    champion: Any | None,
    challenger: Any,
    *,
    queries: Any,
    function: "PerQuery" = ndcg,
    name: str = "ndcg",
    margin: float,
    rule: str = "non_inferior",
    confidence: float = 0.95,
    slices: Mapping[str, Any] | None = None,
    greater_is_better: bool = True,
    minimum: float | None = None,
) -> Verdict:
    """Judge two rankers by the mean over the queries of `function(relevance, scores)`, paired by query.

    `queries` names each row's query; the verdict's `rows` are queries, as are `rows_needed`. A query for which the
    function gives None is left out for both. `slices` are masks over the rows; a query belongs to a slice when all its
    rows do. `champion=None` asks for better than scores that are all equal. `minimum`: the worst mean that may pass.
    """
    import numpy as np

    y, query = plain(y_true), plain(queries)
    if len(query) != len(y) or query.ndim != 1:
        raise DataError(f"queries has the shape {query.shape}", expected=f"one query per row of {len(y):,}")
    new = check_shape("challenger", plain(challenger), len(y), "score")
    old = np.zeros(len(y)) if champion is None else check_shape("champion", plain(champion), len(y), "score")
    if bad := count_bad(new):
        reason = f"the challenger cannot be scored: {bad:,} of {len(y):,} predictions are NaN, infinite or missing"
        return Verdict(GateStatus.FAIL, name, rule, (reason,), len(y), margin=margin, confidence=confidence)
    if bad := count_bad(old):
        reason = f"the champion cannot be scored: {bad:,} of {len(y):,} predictions are NaN, infinite or missing"
        return Verdict(GateStatus.INCONCLUSIVE, name, rule, (reason,), len(y), margin=margin, confidence=confidence)
    _, codes = np.unique(query, return_inverse=True)
    parts = _parts(codes)
    one = functools.partial(_values, y=y, parts=parts, function=function, name=name)
    equal, after = one(np.zeros(len(y))), one(new)
    before = equal if champion is None else one(old)
    kept = np.isfinite(before) & np.isfinite(after)
    by_query = {
        slice_: np.array([mask[part].all() for part in parts], dtype=bool)[kept]
        for slice_, mask in masks(slices, len(y)).items()
    }
    metric = Metric(name, greater_is_better, "value", scorer=_mean_over_queries, differs=False)
    verdict = judge(
        np.zeros(int(kept.sum())),
        before[kept],
        after[kept],
        metric=metric,
        margin=0.0 if champion is None else margin,
        rule="superior" if champion is None else rule,
        confidence=confidence,
        slices=None if champion is None else by_query,
        minimum=minimum,
    )
    baseline = float(equal[kept].mean()) if kept.any() else None
    verdict = dataclasses.replace(verdict, baseline=baseline, rule=rule, margin=margin)
    return dataclasses.replace(verdict, champion=None, cold_start=True) if champion is None else verdict


def _mean_over_queries(y: "Array", values: "Array", weight: "Floats") -> influence.Scored:  # noqa: ARG001
    return influence.mean(values.astype(float), weight)


def values_by_query(score: "Array", y: "Array", codes: "Array", function: "PerQuery", name: str) -> "Floats":
    """Return the value of each query, in the order of `codes` (each row's query); NaN where it cannot be judged."""
    return _values(score, y=y, parts=_parts(codes), function=function, name=name)


def _parts(codes: "Array") -> Any:
    """Return the rows of each query."""
    import numpy as np

    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(codes) else []


def _values(score: "Array", *, y: "Array", parts: Any, function: "PerQuery", name: str) -> "Floats":
    import numpy as np

    values = np.full(len(parts), np.nan)
    for index, part in enumerate(parts):
        try:
            value = function(y[part], score[part])
        except Exception as error:
            raise UserCodeError(
                f"{name} raised {type(error).__name__}: {error}",
                expected="function(relevance, scores) -> float, or None for a query that cannot be judged",
                remedy="Try the function on the rows of one query",
            ) from error
        if value is not None and not math.isfinite(value):
            raise UserCodeError(f"{name} returned {value}", expected="a finite number or None")
        values[index] = np.nan if value is None else value
    return values
