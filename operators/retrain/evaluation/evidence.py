"""What a gate's conditions are judged on, and what one of them finds."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.evaluation.arrays import plain
from retrain.evaluation.metrics import Metric, get_metric
from retrain.exceptions import ConfigurationError
from retrain.records import GateStatus

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evidence:
    """The rows, both models' predictions on them, and what is known of the challenger beside.

    `champion` and `challenger` are what the metric takes, or a mapping from `score`, `label`, `proba`, `value` to
    arrays, where conditions use metrics of several kinds. `frame` holds the columns of the same rows that slices and
    groups are made of. `p50_ms`, `p99_ms`, `memory_bytes` and `model_bytes` come from the serving check;
    `trained_until` is the time of the newest training data. What is None was not measured, and its conditions are
    inconclusive. `queries` names each row's query where the models rank.
    """

    y_true: Any
    challenger: Any
    champion: Any | None = None
    metric: str | Metric = "roc_auc"
    sample_weight: Any = None
    frame: "pd.DataFrame | None" = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_bytes: int | None = None
    model_bytes: int | None = None
    trained_until: dt.datetime | None = None
    now: dt.datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    queries: Any = None

    def prediction(self, who: str, takes: str) -> Any:
        """Return the predictions of "champion" or "challenger" of the kind that a metric takes; None: no champion."""
        given = self.champion if who == "champion" else self.challenger
        if given is None:
            return None
        if not isinstance(given, Mapping):
            own = get_metric(self.metric).takes
            given = {own: given}
        if takes in given:
            return given[takes]
        derived = _derived(given, takes)
        if derived is None:
            raise ConfigurationError(
                f"a condition needs the {who}'s predictions of the kind {takes!r}; there are {sorted(given)}",
                expected="score | label | proba | value as the condition's metric takes it",
                remedy="Keep these predictions too, or choose a metric that takes what is there",
            )
        return derived

    def columns(self, asked: str) -> "pd.DataFrame":
        """Return the frame; ConfigurationError where it was not kept or has other rows."""
        if self.frame is None or len(self.frame) != len(self.y_true):
            have = "no columns were kept" if self.frame is None else f"the columns have {len(self.frame):,} rows"
            raise ConfigurationError(
                f"{asked} needs columns of the judged rows, and {have}",
                expected=f"a frame of the {len(self.y_true):,} judged rows",
            )
        return self.frame


@dataclass(frozen=True)
class Finding:
    """What one condition says. `value` and `limit` are in the condition's own unit."""

    status: GateStatus
    reason: str
    value: float | None = None
    limit: float | None = None
    interval: tuple[float, float] | None = None
    rows_needed: int | None = None
    slices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _derived(given: Mapping[str, Any], takes: str) -> Any:
    """Scores that are probabilities serve as both; labels are not guessed from a threshold."""
    if takes == "score" and "proba" in given:
        proba = plain(given["proba"])
        return proba if proba.ndim == 1 else proba[:, 1] if proba.shape[1] == 2 else None
    if takes == "proba" and "score" in given:
        score = plain(given["score"])
        inside = score.dtype.kind in "biuf" and len(score) and score.min() >= 0 and score.max() <= 1
        return score if inside else None
    return None
