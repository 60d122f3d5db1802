"""May the challenger replace the champion? Metrics and paired tests on the same rows.

`judge` is the rule on one metric; `assess` adds conditions (`retrain.evaluation.conditions`): other metrics, slices,
calibration, gaps between groups, latency, size, age, and functions of one's own. `judge_ranking` is for rankers.

Every metric comes with its influence: how much each row moves it. The difference of two models' influences, row by
row, is what a paired test needs; its variance needs no resampling (see `influence`).
"""

from retrain.evaluation.assessment import assess
from retrain.evaluation.calibration import Calibration, calibration
from retrain.evaluation.case import GateCase, judge_case
from retrain.evaluation.conditions import (
    CalibrationError,
    Compared,
    Condition,
    FairnessGap,
    Minimum,
    Slices,
    conditions_from_dicts,
)
from retrain.evaluation.declared import condition_problems, plain_conditions, ranking_problems
from retrain.evaluation.evidence import Evidence, Finding
from retrain.evaluation.fairness import Gap, fairness_gap
from retrain.evaluation.gate import evaluate, judge
from retrain.evaluation.limits import Custom, DataAge, Latency, ModelSize
from retrain.evaluation.losses import row_losses
from retrain.evaluation.metrics import Metric, get_metric, metric_names
from retrain.evaluation.per_query import query_values
from retrain.evaluation.queries import judge_ranking, ndcg
from retrain.evaluation.slicing import FoundSlice, find_slices, slices_by, slices_where

__all__ = [
    "Calibration",
    "CalibrationError",
    "Compared",
    "Condition",
    "Custom",
    "DataAge",
    "Evidence",
    "FairnessGap",
    "Finding",
    "FoundSlice",
    "Gap",
    "GateCase",
    "Latency",
    "Metric",
    "Minimum",
    "ModelSize",
    "Slices",
    "assess",
    "calibration",
    "condition_problems",
    "conditions_from_dicts",
    "evaluate",
    "fairness_gap",
    "find_slices",
    "get_metric",
    "judge",
    "judge_case",
    "judge_ranking",
    "metric_names",
    "ndcg",
    "plain_conditions",
    "query_values",
    "ranking_problems",
    "row_losses",
    "slices_by",
    "slices_where",
]
