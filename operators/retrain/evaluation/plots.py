"""Pictures of a gate's case: curves, calibration, residuals, and the metric per slice. Needs matplotlib.

They hold sums over rows, never a row; the residuals of a regression are a histogram and a median per decile.
"""

import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retrain.evaluation.arrays import binary_codes, plain
from retrain.evaluation.calibration import calibration
from retrain.evaluation.case import GateCase, evidence_of
from retrain.evaluation.evidence import Evidence
from retrain.evaluation.rows import MIN_ROWS
from retrain.exceptions import ConfigurationError, DataError, MissingDependencyError
from retrain.records import Verdict

if TYPE_CHECKING:
    import pandas as pd

WHO = ("champion", "challenger")
COLOURS = {"champion": "#7f8c9b", "challenger": "#d9622b"}
STATES = {"pass": "#4c9f70", "fail": "#c0392b", "inconclusive": "#c9a227"}
MOST_SLICES = 30


def draw(case: GateCase, frame: "pd.DataFrame", verdict: Verdict) -> dict[str, bytes]:
    """Return the pictures that the case allows, as PNG by name; champion and challenger in one each.

    `curves` (ROC and precision against recall) and `calibration` of two classes, `calibration` of several, `residuals`
    of a regression, `slices` where there are any. Raises MissingDependencyError without matplotlib.
    """
    evidence = evidence_of(case, frame)
    pictures: dict[str, bytes] = {}
    if len(frame) >= MIN_ROWS:
        pictures.update(_curves(evidence))
        pictures.update(_calibration(evidence))
        pictures.update(_residuals(evidence))
    pictures.update(_slices(verdict))
    return pictures


def _curves(evidence: Evidence) -> dict[str, bytes]:
    import numpy as np

    scores = _of_each(evidence, "score")
    y = plain(evidence.y_true)
    if not scores or len(np.unique(y)) != 2:
        return {}
    from sklearn.metrics import precision_recall_curve, roc_curve

    codes, weight = binary_codes(y, "curves"), evidence.sample_weight
    figure, (roc, recall) = _figure(2)
    for who, score in scores.items():
        across, up, _ = roc_curve(codes, score, sample_weight=weight)
        precision, recalled, _ = precision_recall_curve(codes, score, sample_weight=weight)
        roc.plot(across, up, color=COLOURS[who], label=who)
        recall.plot(recalled, precision, color=COLOURS[who], label=who)
    roc.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8, linestyle=":")
    recall.axhline(float(np.average(codes, weights=weight)), color="#bbbbbb", linewidth=0.8, linestyle=":")
    _named(roc, "ROC", "false positive rate", "true positive rate")
    _named(recall, "precision and recall", "recall", "precision")
    return {"curves": _png(figure)}


def _calibration(evidence: Evidence) -> dict[str, bytes]:
    drawn = {}
    for who, proba in _of_each(evidence, "proba").items():
        try:
            drawn[who] = calibration(evidence.y_true, proba, sample_weight=evidence.sample_weight)
        except DataError:  # scores that are no probabilities
            continue
    if not drawn:
        return {}
    figure, (axes,) = _figure(1)
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8, linestyle=":")
    for who, found in drawn.items():
        _, said, seen = zip(*found.bins, strict=True)
        axes.plot(said, seen, color=COLOURS[who], marker="o", markersize=3, label=f"{who}, error {found.error:.3g}")
    _named(axes, "calibration", "mean probability of a bin", "share that came true")
    return {"calibration": _png(figure)}


def _residuals(evidence: Evidence) -> dict[str, bytes]:
    import numpy as np

    values = _of_each(evidence, "value")
    if not values:
        return {}
    y = plain(evidence.y_true).astype(float)
    residuals = {who: y - value.astype(float) for who, value in values.items()}
    reach = float(np.quantile(np.abs(np.concatenate(list(residuals.values()))), 0.99)) or 1.0
    figure, (counts, medians) = _figure(2)
    for who, residual in residuals.items():
        edges = np.linspace(-reach, reach, 41)
        heights = np.histogram(np.clip(residual, -reach, reach), edges)[0] / len(residual)
        counts.stairs(heights, edges, color=COLOURS[who], label=who, fill=who == "champion", alpha=0.8)
        deciles = [part for part in np.array_split(np.argsort(values[who]), 10) if len(part)]
        across = [float(np.median(values[who][part])) for part in deciles]
        up = [float(np.median(residual[part])) for part in deciles]
        medians.plot(across, up, color=COLOURS[who], marker="o", markersize=3, label=who)
    medians.axhline(0, color="#bbbbbb", linewidth=0.8, linestyle=":")
    _named(counts, "residuals", "observed minus predicted", "share of the rows")
    _named(medians, "residuals by prediction", "median prediction of a decile", "median residual")
    return {"residuals": _png(figure)}


def _slices(verdict: Verdict) -> dict[str, bytes]:
    known = {name: part for name, part in verdict.slices.items() if part.get("difference") is not None}
    shown = dict(sorted(known.items(), key=lambda item: item[1]["difference"])[:MOST_SLICES])
    if not shown:
        return {}
    figure, (axes,) = _figure(1, height=1.2 + 0.24 * len(shown), width=8)
    for row, part in enumerate(shown.values()):
        axes.plot([part["champion"], part["challenger"]], [row, row], color=STATES[part["status"]], linewidth=1.5)
    for who in WHO:
        axes.scatter([part[who] for part in shown.values()], range(len(shown)), color=COLOURS[who], s=18, label=who)
    labels = [f"{name} ({part['rows']:,})" for name, part in shown.items()]
    axes.set_yticks(range(len(shown)), labels)
    axes.invert_yaxis()
    left_out = f", the worst {len(shown)} of {len(known)}" if len(known) > len(shown) else ""
    _named(axes, f"{verdict.metric} per slice{left_out}", verdict.metric, "")
    return {"slices": _png(figure)}


def _of_each(evidence: Evidence, takes: str) -> Mapping[str, Any]:
    """Return the finite predictions of that kind of each model that has them."""
    import numpy as np

    found: dict[str, Any] = {}
    if takes == "value" and evidence.queries is not None:  # they only rank: how far off they are says nothing
        return found
    for who in WHO:
        try:
            values = evidence.prediction(who, takes)
        except ConfigurationError:  # predictions of other kinds
            continue
        if values is not None and values.dtype.kind in "biuf" and np.isfinite(values).all():
            found[who] = values
    return found


def _figure(panels: int, *, height: float = 4.0, width: float | None = None) -> tuple[Any, list[Any]]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            f"the pictures need matplotlib ({error})", remedy="Install airflow-provider-retrain[report]"
        ) from error
    figure = Figure(figsize=(width or 4.6 * panels, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, panels, number + 1) for number in range(panels)]


def _named(axes: Any, title: str, across: str, up: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _png(figure: Any) -> bytes:
    drawn = io.BytesIO()
    # Without the time of drawing: equal cases give equal bytes.
    figure.savefig(drawn, format="png", metadata={"Software": None})
    return drawn.getvalue()


def further_metrics(case: GateCase, frame: "pd.DataFrame") -> dict[str, float]:
    """Return the usual metrics of the challenger beside the declared one, as far as its predictions allow."""
    from retrain.evaluation.metrics import get_metric

    evidence, found = evidence_of(case, frame), {}
    for name in _usual(evidence):
        metric = get_metric(name)
        value = metric.score(evidence.y_true, evidence.prediction("challenger", metric.takes), evidence.sample_weight)
        if math.isfinite(value):
            found[name] = value
    return found


def _usual(evidence: Evidence) -> list[str]:
    import numpy as np

    classes = len(np.unique(plain(evidence.y_true)))
    names: list[str] = []
    if _of_challenger(evidence, "score") and classes == 2:
        names += ["roc_auc", "average_precision"]
    if _of_challenger(evidence, "proba") and classes > 1:
        names += ["log_loss", "brier_score"]
    if "label" in evidence.challenger and classes > 1:
        names += ["accuracy", "f1_macro"]
    if _of_challenger(evidence, "value"):
        names += ["rmse", "mae", "r2"]
    return names


def _of_challenger(evidence: Evidence, takes: str) -> bool:
    return "challenger" in _of_each(evidence, takes)
