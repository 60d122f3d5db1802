"""What a model's performance probably is while the labels are not there: an estimate, and marked as one.

Confidence-based performance estimation, the idea of NannyML's CBPE: a calibrated probability says itself how often the
prediction is right. It sees what a shift of the features does to the performance. It cannot see concept drift: if
P(y|x) changed, the probabilities are wrong and the estimate with them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrain.drift.losses import MIN_ROWS
from retrain.exceptions import DataError, DeclarationError
from retrain.records import PerformanceStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

# A drop counts beyond three standard deviations of the estimate on reference rows of the same number.
DEVIATIONS = 3.0
DRAWS = 50
METRICS = ("accuracy", "roc_auc")


@dataclass(frozen=True)
class PerformanceEstimate:
    """An estimate, never a measurement: `value` on the current rows without labels, `realised` on the reference.

    `spread` is the standard deviation of the estimate over reference samples as large as the current rows.
    """

    status: PerformanceStatus
    metric: str
    value: float | None
    realised: float | None
    spread: float | None
    reason: str
    estimated: bool = True


def estimate(
    reference_labels: "ArrayLike",
    reference_probabilities: "ArrayLike",
    current_probabilities: "ArrayLike",
    *,
    metric: str = "roc_auc",
    min_drop: float = 0.02,
) -> PerformanceEstimate:
    """Estimate a binary classifier's accuracy or ROC AUC on rows whose labels are not known yet.

    Probabilities of the positive class; those of the reference come with labels (0/1), on rows that the model was not
    trained on: they calibrate (isotonic regression). `decay` where the estimate is `min_drop` and three deviations
    below that of the reference. Blind to concept drift.
    """
    import numpy as np
    from sklearn.isotonic import IsotonicRegression

    if metric not in METRICS:
        raise DeclarationError(f"{metric!r} cannot be estimated", expected=" or ".join(METRICS))
    labels, known, fresh = (
        np.asarray(values, dtype=np.float64)
        for values in (reference_labels, reference_probabilities, current_probabilities)
    )
    _check(labels, known, fresh)
    if min(len(known), len(fresh)) < MIN_ROWS:
        reason = f"{len(fresh):,} rows against {len(known):,}: at least {MIN_ROWS} are needed on either side"
        return PerformanceEstimate(PerformanceStatus.INCONCLUSIVE, metric, None, None, None, reason)
    calibrate = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(known, labels)
    of = _accuracy if metric == "accuracy" else _roc_auc
    value, usual = of(fresh, calibrate.predict(fresh)), of(known, calibrate.predict(known))
    generator = np.random.default_rng(0)
    drawn = [generator.choice(known, size=len(fresh)) for _ in range(DRAWS)]
    spread = float(np.std([of(sample, calibrate.predict(sample)) for sample in drawn], ddof=1))
    drop = usual - value
    status = PerformanceStatus.DECAY if drop >= max(min_drop, DEVIATIONS * spread) else PerformanceStatus.OK
    reason = (
        f"estimated {metric} {value:.4f} without labels, {usual:.4f} on the reference by the same estimate "
        f"(deviation {spread:.4f}, floor {min_drop:g}); blind to a change of P(y|x)"
    )
    return PerformanceEstimate(status, metric, value, _realised(metric, labels, known), spread, reason)


def _check(labels: "Floats", known: "Floats", fresh: "Floats") -> None:
    import numpy as np

    if labels.shape != known.shape or labels.ndim != 1 or fresh.ndim != 1:
        raise DataError(
            f"labels {labels.shape}, probabilities {known.shape} and {fresh.shape}", expected="one number per row (1-d)"
        )
    if not np.isin(labels, (0.0, 1.0)).all():
        raise DataError("the labels are not binary", expected="0 and 1")
    for values in (known, fresh):
        if not ((values >= 0) & (values <= 1)).all():
            raise DataError("there are probabilities outside 0 to 1, or missing", expected="probabilities")


def _accuracy(scores: "Floats", probabilities: "Floats") -> float:
    import numpy as np

    return float(np.where(scores >= 0.5, probabilities, 1 - probabilities).mean())


def _roc_auc(scores: "Floats", probabilities: "Floats") -> float:
    """Expected concordance: pairs weighted by how probably one is positive and the other negative."""
    import numpy as np

    distinct, place = np.unique(scores, return_inverse=True)
    positive = np.bincount(place, weights=probabilities, minlength=len(distinct))
    negative = np.bincount(place, weights=1 - probabilities, minlength=len(distinct))
    below = np.cumsum(negative) - negative / 2
    pairs = positive.sum() * negative.sum()
    return float((positive * below).sum() / pairs) if pairs > 0 else 0.5


def _realised(metric: str, labels: "Floats", known: "Floats") -> float:
    return _accuracy(known, labels) if metric == "accuracy" else _roc_auc(known, labels)
