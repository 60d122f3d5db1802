"""What predictions are worth by the declared metric: over rows, or over queries where the model ranks."""

from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError
from retrain.records import ModelSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from retrain.evaluation.influence import Floats


def losses_of(spec: ModelSpec, frame: "pd.DataFrame", prediction: Any) -> "Floats":
    """Return one loss per row, in their order; of a ranking one per query, the metric turned so that less is better."""
    from retrain.evaluation import get_metric, query_values, row_losses

    metric = get_metric(spec.metric)
    if spec.query is None:
        return row_losses(frame[spec.target], prediction, takes=metric.takes)
    values = query_values(metric, frame[spec.target], prediction, queries_of(spec, frame))
    losses: Floats = -metric.sign * values
    return losses


def value_of(spec: ModelSpec, frame: "pd.DataFrame", prediction: Any, weight: Any = None) -> float | None:
    """Return the metric; None where the rows hold one class or value only, or no query that can be judged."""
    from retrain.evaluation import get_metric, query_values

    target = frame[spec.target]
    if target.nunique() <= 1:
        return None
    metric = get_metric(spec.metric)
    if spec.query is None:
        return metric.score(target, prediction, weight)
    values = query_values(metric, target, prediction, queries_of(spec, frame))
    return float(values.mean()) if len(values) else None


def queries_of(spec: ModelSpec, frame: "pd.DataFrame") -> "np.ndarray[Any, Any] | None":
    """Return a number for the query of each row, None where the model does not rank; DataError where one has none."""
    if spec.query is None:
        return None
    if spec.query not in frame.columns:
        raise DataError(f"the data has no column {spec.query!r} of queries", expected="query= as declared")
    if missing := int(frame[spec.query].isna().sum()):
        raise DataError(
            f"{missing:,} of {len(frame):,} rows have no query in {spec.query!r}", expected="the query of every row"
        )
    import pandas as pd

    codes: np.ndarray[Any, Any] = pd.factorize(frame[spec.query])[0]
    return codes
