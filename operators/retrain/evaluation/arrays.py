"""What callers hand over (lists, arrays, pandas, nullable columns) as plain arrays, and what is wrong with it."""

from typing import TYPE_CHECKING, Any, Literal

from retrain.exceptions import ConfigurationError, DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from retrain.evaluation.influence import Floats, Ints

    Array = npt.NDArray[Any]

Takes = Literal["score", "label", "value", "proba"]

# Probabilities that went through float32 or a text file still add up to one within this.
SUM_TOLERANCE = 1e-3


def _is_missing(value: Any) -> bool:
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def plain(values: Any) -> "Array":
    """Return a NumPy array; numbers with holes become floats with NaN, other values with holes hold None."""
    import numpy as np

    array = np.asarray(values)
    if array.dtype != object:
        return array
    flat = [None if _is_missing(item) else item for item in array.ravel()]
    if all(item is None or isinstance(item, bool | int | float | np.number | np.bool_) for item in flat):
        return np.array([np.nan if item is None else item for item in flat], dtype=float).reshape(array.shape)
    filled = np.empty(len(flat), dtype=object)
    filled[:] = flat
    return filled.reshape(array.shape)


def count_bad(array: "Array") -> int:
    """Count the rows that hold a missing or an infinite number."""
    import numpy as np

    if array.dtype == object:
        bad = np.array([item is None for item in array.ravel()], dtype=bool).reshape(array.shape)
    elif array.dtype.kind == "f":
        bad = ~np.isfinite(array)
    else:
        return 0
    return int(bad.reshape(len(array), -1).any(axis=1).sum()) if len(array) else 0


def flaw(prediction: "Array", takes: Takes) -> str | None:
    """Say why no metric can be computed from `prediction`; None where it can."""
    import numpy as np

    if bad := count_bad(prediction):
        return f"{bad:,} of {len(prediction):,} predictions are NaN, infinite or missing"
    if takes != "label" and prediction.dtype.kind not in "biuf":
        example = f" (for example {prediction.ravel()[0]!r})" if prediction.size else ""
        return f"the predictions are not numbers{example}"
    if takes != "proba" or not len(prediction):
        return None
    if prediction.min() < 0 or prediction.max() > 1:
        return (
            f"the predictions lie in [{prediction.min():.4g}, {prediction.max():.4g}], not in [0, 1] as probabilities"
        )
    if prediction.ndim == 2 and prediction.shape[1] > 1 and np.abs(prediction.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        return "the class probabilities of a row do not add up to 1"
    return None


def check_shape(name: str, prediction: "Array", rows: int, takes: Takes) -> "Array":
    """Return `prediction` without a superfluous second axis; DataError names the lengths that do not fit."""
    if prediction.ndim == 0 or len(prediction) != rows:
        have = "a single value" if prediction.ndim == 0 else f"{len(prediction):,} rows"
        raise DataError(
            f"{name} has {have} and y_true has {rows:,}",
            expected="the same rows in the same order",
            remedy="Score exactly the rows of y_true",
        )
    if prediction.ndim == 2 and prediction.shape[1] == 1:
        return prediction[:, 0]
    if prediction.ndim == 2 and prediction.shape[1] == 2 and takes == "score":
        return prediction[:, 1]
    if prediction.ndim == 1 or (prediction.ndim == 2 and takes == "proba"):
        return prediction
    raise DataError(
        f"{name} has the shape {prediction.shape}",
        expected="one row per class probability vector" if takes == "proba" else "one number or label per row",
        remedy="Give what the metric takes: scores, labels, values, or an n x k array of probabilities",
    )


def same_kind(y: "Array", labels: "Array") -> None:
    """Refuse to compare numbers with text: NumPy would turn 1 into "1" without a word."""
    if len(y) and len(labels) and _kind(y) != _kind(labels):
        raise DataError(
            f"y_true holds labels such as {y[0]!r} and the prediction such as {labels[0]!r}",
            expected="labels of one type",
            remedy="Predict the labels as they stand in the target",
        )


def _kind(labels: "Array") -> str:
    """Return what can be compared and sorted with what: numbers, text, dates, or another type by its name."""
    if labels.dtype != object:
        kind = labels.dtype.kind
        return "number" if kind in "biuf" else "text" if kind in "UT" else str(labels.dtype)
    kinds = {"text" if isinstance(item, str) else type(item).__name__ for item in labels}
    return " and ".join(sorted(kinds))


def sortable(y: "Array") -> None:
    """Refuse a target whose values have no order: labels of several types, or of one that does not compare."""
    import numpy as np

    try:
        np.unique(y)
    except TypeError:
        raise DataError(
            f"y_true holds labels of the types {_kind(y)}, which cannot be sorted",
            expected="labels of one type",
            remedy="Make them all text or all numbers",
        ) from None


def label_codes(y: "Array", labels: "Array") -> tuple["Ints", "Ints", "Array"]:
    """Encode both sides by the sorted union of their classes."""
    import numpy as np

    same_kind(y, labels)
    classes, codes = np.unique(np.concatenate([y, labels]), return_inverse=True)
    return codes[: len(y)], codes[len(y) :], classes


def binary_codes(y: "Array", metric: str) -> "Ints":
    """Encode two classes as 0 and 1; the greater label is the positive one, as in scikit-learn."""
    import numpy as np

    classes = np.unique(y)
    if len(classes) != 2:
        raise ConfigurationError(
            f"{metric} is for two classes and y_true holds {len(classes)}: {_some(classes)}",
            expected="a target of two classes",
            remedy="Use accuracy, log_loss, roc_auc_ovr, f1_macro or another metric for several classes",
        )
    codes: Ints = np.asarray(y == classes[1], dtype=np.int64)
    return codes


def class_codes(y: "Array", columns: int) -> "Ints":
    """Encode the classes as columns of an n x k array of probabilities, which follow the sorted labels.

    Rows that lack a class are fine where the labels are the integers 0 to k - 1; else nobody could say which column
    is whose, and DataError says so.
    """
    import numpy as np

    classes, found = np.unique(y, return_inverse=True)
    whole_numbers = y.dtype.kind in "biuf" and all(float(label) in range(columns) for label in classes)
    if len(classes) == columns or whole_numbers:
        codes: Ints = np.asarray(y if whole_numbers else found, dtype=np.int64)
        return codes
    raise DataError(
        f"the prediction has {columns} columns and y_true holds {len(classes)} classes: {_some(classes)}",
        expected="one column per class, in the order of the sorted labels",
        remedy="Encode the target as 0 to k - 1, so that rows without some class can be scored too",
    )


def numbers(values: "Array", name: str) -> "Floats":
    """Return floats; DataError names what is not a number."""
    import numpy as np

    if values.dtype.kind not in "biuf":
        raise DataError(f"{name} holds {values.ravel()[0]!r}", expected="numbers", remedy="Check the target column")
    return values.astype(np.float64)


def _some(classes: "Array") -> str:
    shown = ", ".join(str(label) for label in list(classes)[:5])
    return shown + (", ..." if len(classes) > 5 else "")
