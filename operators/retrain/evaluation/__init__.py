"""May the challenger replace the champion? Metrics and paired tests on the same rows.

Every metric comes with its influence: how much each row moves it. The difference of two models' influences, row by
row, is what a paired test needs; its variance needs no resampling (see `influence`).
"""

from retrain.evaluation.gate import evaluate, judge
from retrain.evaluation.losses import row_losses
from retrain.evaluation.metrics import Metric, get_metric, metric_names

__all__ = ["Metric", "evaluate", "get_metric", "judge", "metric_names", "row_losses"]
