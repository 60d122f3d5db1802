"""One loss per row: what the performance of a model is watched by once labels are there."""

from typing import TYPE_CHECKING, Any

from retrain.evaluation.arrays import Takes, check_shape, class_codes, label_codes, numbers, plain
from retrain.evaluation.metrics import log_losses
from retrain.exceptions import ConfigurationError, DataError

if TYPE_CHECKING:
    from retrain.evaluation.arrays import Array
    from retrain.evaluation.influence import Floats


def row_losses(y_true: Any, prediction: Any, *, takes: Takes) -> "Floats":
    """Return the loss of each row: log loss for "score" and "proba", 0 or 1 for "label", squared error for "value".

    A score of one number per row is the probability of the positive class (the greater label; of a single class only 1
    or True is taken for positive); scores that leave [0, 1] are read as log-odds, as `decision_function` gives them. A
    row whose prediction is missing or not finite gets NaN.
    """
    import numpy as np

    y = plain(y_true)
    array = check_shape("prediction", plain(prediction), len(y), takes)
    losses = np.full(len(y), np.nan)
    whole = _whole(array)
    y, array = y[whole], array[whole]
    if len(y) == 0:
        return losses
    if takes == "label":
        codes, predicted, _ = label_codes(y, array)
        losses[whole] = codes != predicted
    elif takes == "value":
        losses[whole] = (numbers(y, "y_true") - numbers(array, "prediction")) ** 2
    elif takes in ("score", "proba"):
        losses[whole] = _log_losses(y, numbers(array, "prediction"))
    else:
        raise ConfigurationError(f"takes is {takes!r}", expected="score | proba | label | value")
    return losses


def _log_losses(y: "Array", score: "Floats") -> "Floats":
    import numpy as np

    if score.ndim == 2:
        return log_losses(class_codes(y, score.shape[1]), score)
    positive = _positive(y)
    if score.min() < 0 or score.max() > 1:
        losses: Floats = np.logaddexp(0.0, np.where(positive, -score, score))
        return losses
    return log_losses(positive.astype(np.int64), np.column_stack([1 - score, score]))


def _positive(y: "Array") -> "Array":
    import numpy as np

    classes = np.unique(y)
    if len(classes) > 2:
        raise DataError(
            f"one score per row and {len(classes)} classes in y_true",
            expected="two classes",
            remedy="Give an n x k array of class probabilities",
        )
    if len(classes) == 2:
        positive: Array = y == classes[1]
        return positive
    only = classes[0]
    return np.full(len(y), y.dtype.kind in "biuf" and only == 1)


def _whole(array: "Array") -> "Array":
    import numpy as np

    if array.dtype == object:
        whole: Array = np.array([item is not None for item in array.ravel()], dtype=bool).reshape(array.shape)
    elif array.dtype.kind == "f":
        whole = np.isfinite(array)
    else:
        whole = np.ones(array.shape, dtype=bool)
    return whole if whole.ndim == 1 else np.asarray(whole.all(axis=1))
