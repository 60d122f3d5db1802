"""The champion's predictions on a partition, made once per job, and those on its hold-out, as they were kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError
from retrain.jobs.steps import StepContext
from retrain.records import DataRef

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from retrain.evaluation.metrics import Metric


@dataclass
class Scored:
    """The champion's predictions on a partition: on its labelled rows, or on all where there is no label yet."""

    frame: "pd.DataFrame"
    labels: "pd.Series | None"
    predicted: "np.ndarray[Any, Any]"
    metric: "Metric"


def scored_partition(context: StepContext, champion: Mapping[str, Any]) -> Scored:
    """Score the champion once per job; what it cannot predict is told again by each step that asks."""
    kept = context.frames.get("scored")
    if kept is None:
        try:
            kept = _score(context, champion)
        except DataError as error:
            kept = error
        context.frames["scored"] = kept
    if isinstance(kept, DataError):
        raise kept
    scored: Scored = kept
    return scored


def _score(context: StepContext, champion: Mapping[str, Any]) -> Scored:
    from retrain.evaluation import get_metric
    from retrain.training import load_model, predict_for_metric, release

    frame = context.read(watched_ref(context), step="performance")
    target = context.spec.target
    known = frame[target].notna() if target in frame.columns else None
    if known is not None and not known.any():
        known = None
    rows = frame if known is None else frame[known]
    metric = get_metric(context.spec.metric)
    model = load_model(
        champion["model_uri"], tracking_uri=context.tracking_uri("performance"), digest=champion.get("digest")
    )
    context.closing.callback(release, model)
    predicted = predict_for_metric(model, rows, metric.takes, pii=context.spec.pii)
    return Scored(rows, None if known is None else rows[target], predicted, metric)


def watched_ref(context: StepContext) -> DataRef:
    """Return the partition with its labels, where these arrive apart and are joined; else what validation accepted."""
    joined = (context.outputs.get("labels") or {}).get("accepted") or context.request.inputs.get("labelled")
    return DataRef.from_dict(joined) if joined else context.partition("performance")


def in_time(context: StepContext, frame: "pd.DataFrame") -> "np.ndarray[Any, Any]":
    """Return the order of the rows in time, where the declaration says which column tells it; else as they are."""
    import numpy as np

    name = context.spec.event_time
    if not name or name not in frame.columns:
        return np.arange(len(frame))
    return frame[name].reset_index(drop=True).sort_values(kind="stable").index.to_numpy()


def holdout(champion: Mapping[str, Any]) -> dict[str, Any]:
    """Return the champion's predictions on its hold-out and the labels there, as they were kept when it was judged."""
    from retrain.data import read

    frame = read(champion["predictions_uri"])
    several = [name for name in frame.columns if name.startswith("challenger_")]
    predicted = frame[several] if several else frame["challenger"]
    return {"labels": frame["y_true"], "predicted": predicted.to_numpy()}


def predictions_of(values: "np.ndarray[Any, Any]", metric: "Metric") -> "pd.DataFrame":
    """Return one column: the number, the predicted class, or of several probabilities the likeliest class."""
    import pandas as pd

    of_two = positive(values) if values.ndim == 2 else None
    if of_two is not None:
        values = of_two
    elif values.ndim == 2:
        return pd.DataFrame({"prediction": [f"class {number}" for number in values.argmax(axis=1)]})
    if metric.takes == "label":
        return pd.DataFrame({"prediction": [str(value) for value in values]})
    return pd.DataFrame({"prediction": values})


def positive(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any] | None":
    """Return the probabilities of the positive class, where these are probabilities of two classes."""
    if values.ndim == 2:
        if values.shape[1] != 2:
            return None
        values = values[:, 1]
    if values.dtype.kind not in "fiub":
        return None
    numbers = values.astype(float)
    return numbers if ((numbers >= 0) & (numbers <= 1)).all() else None
