"""The pictures of a case: which there are, and that they hold what the models predicted."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrain.evaluation import GateCase, Slices, judge_case
from retrain.evaluation.case import columns_of
from retrain.evaluation.plots import draw, further_metrics

ROWS = 400


def kept(y: Any, metric: str, **given: dict[str, Any]) -> pd.DataFrame:
    columns: dict[str, Any] = {"y_true": y, "part": np.arange(len(y)) % 3}
    for who, kinds in given.items():
        columns.update(columns_of(who, kinds, metric))
    return pd.DataFrame(columns)


def pictures(case: GateCase, frame: pd.DataFrame) -> dict[str, bytes]:
    drawn = draw(case, frame, judge_case(case, frame))
    assert all(content.startswith(b"\x89PNG") for content in drawn.values())
    return drawn


def noisy(y: Any, seed: int) -> Any:
    return np.clip(0.3 * y + 0.7 * np.random.default_rng(seed).random(len(y)), 0, 1)


def test_two_classes_have_curves_calibration_and_slices() -> None:
    y = np.arange(ROWS) % 2
    case = GateCase("roc_auc", 0.1, conditions=(Slices(0.3, by=("part",)).to_dict(),))
    frame = kept(y, "roc_auc", champion={"score": noisy(y, 0)}, challenger={"score": noisy(y, 1), "label": y})
    drawn = pictures(case, frame)
    assert set(drawn) == {"curves", "calibration", "slices"}
    assert pictures(case, frame) == drawn
    other = kept(y, "roc_auc", champion={"score": noisy(y, 2)}, challenger={"score": noisy(y, 1), "label": y})
    assert all(content != drawn[name] for name, content in pictures(case, other).items())
    assert set(further_metrics(case, frame)) == {
        "roc_auc", "average_precision", "log_loss", "brier_score", "accuracy", "f1_macro"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "given", "names", "metrics"),
    [
        ("rmse", {"value": np.linspace(0, 2, ROWS)}, {"residuals"}, {"rmse", "mae", "r2"}),
        ("log_loss", {"proba": np.full((ROWS, 3), 1 / 3)}, {"calibration"}, {"log_loss", "brier_score"}),
        ("accuracy", {"label": np.arange(ROWS) % 2}, set(), {"accuracy", "f1_macro"}),
        ("roc_auc", {"score": np.full(ROWS, np.nan)}, set(), set()),
        ("roc_auc", {"score": np.linspace(-3, 3, ROWS)}, {"curves"}, {"roc_auc", "average_precision"}),
    ],
)
def test_what_is_drawn_depends_on_what_was_predicted(metric: str, given: Any, names: set, metrics: set) -> None:
    y = np.arange(ROWS) % (3 if "proba" in given else 2)
    frame = kept(y, metric, challenger=given)
    assert set(pictures(GateCase(metric, 0.1), frame)) == names
    assert set(further_metrics(GateCase(metric, 0.1), frame)) == metrics


def test_few_rows_and_one_class_are_not_drawn() -> None:
    y = np.arange(10) % 2
    assert pictures(GateCase("roc_auc", 0.1), kept(y, "roc_auc", challenger={"score": noisy(y, 0)})) == {}
    one = np.zeros(ROWS)
    frame = kept(one, "roc_auc", challenger={"score": noisy(one, 0)})
    assert "curves" not in pictures(GateCase("roc_auc", 0.1), frame)
    assert further_metrics(GateCase("roc_auc", 0.1), frame) == {}
