"""A model that ranks, from training to registration: judged by query, with a metric of one's own too."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from retrain.cli.judge import command
from retrain.data import read, save_snapshot
from retrain.records import ModelSpec, Snapshot
from retrain.registry import RegistryClient
from scripts.services.mlflow import MlflowServer
from tests.support.project import Project, orders
from tests.support.retraining import Retraining

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
TRAIN = """
from sklearn.ensemble import HistGradientBoostingRegressor

def fit(data, params):
    model = HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=0, max_iter=20)
    return model.fit(data.features, data.target)
"""
METRIC = """
def hit_first(relevance, predictions):
    return float(relevance[predictions.argmax()] > 0) if relevance.any() else None
"""


def baskets(seed: int, rows: int = 600) -> pd.DataFrame:
    """Orders in baskets of six: which of them come back?"""
    names = np.random.default_rng(seed).permutation(np.repeat(np.arange(rows // 6), 6))
    return orders(rows, seed=seed).assign(basket=[f"basket {name}" for name in names])


@pytest.fixture
def retraining(tmp_path: Path, project: Project, mlflow: MlflowServer) -> Retraining:
    project.write("orders/train.py", TRAIN)
    project.write("orders/metrics.py", METRIC)
    return Retraining(tmp_path, project, mlflow.uri)


def done(retraining: Retraining, spec: ModelSpec, *months: int, **inputs: Any) -> dict[str, Any]:
    refs = tuple(retraining.project.partition(f"2024-{month:02}", baskets(month)) for month in months)
    uri = save_snapshot(Snapshot("orders", refs), retraining.store)
    return retraining.done(spec, snapshot_uri=uri, holdout=baskets(99, 900), **inputs)


@pytest.mark.parametrize("own", [False, True])
def test_rankers_are_trained_judged_by_query_watched_and_judged_again(retraining: Retraining, own: bool) -> None:
    metric = retraining.project.reference("metrics:hit_first[value]") if own else "ndcg@3"
    name = "hit_first" if own else "ndcg_at_3"
    # The names of queries are private, and are kept nowhere.
    spec = retraining.spec(metric=metric, query="basket", pii=("basket",))
    first = done(retraining, spec, 1)
    assert (first["gate"]["status"], first["gate"]["cold_start"]) == ("pass", True), first["gate"]["reasons"]
    champion = retraining.as_champion(first)
    second = done(retraining, spec, 1, 2, champion=champion, benchmark=[champion])
    verdict = second["gate"]
    assert (verdict["status"], verdict["metric"]) == ("pass", name), verdict["reasons"]
    assert 100 < verdict["rows"] <= 150
    assert verdict["baseline"] < second["evaluate"]["challenger"] == pytest.approx(verdict["challenger"])
    assert second["evaluate"]["benchmark"][champion["version"]]["rows"] == verdict["rows"]
    assert "basket" not in set(read(second["evaluate"]["predictions_uri"]))
    assert len(read(second["evaluate"]["losses_uri"])) == verdict["rows"]
    run = RegistryClient(retraining.tracking_uri).mlflow.get_run(second["train"]["run_id"])
    assert run.data.metrics[f"holdout_{name}"] == verdict["challenger"]
    if not own:
        result = CliRunner().invoke(command, [second["evaluate"]["case_uri"], "--json"])
        assert json.loads(result.stdout) == verdict

    for fresh, status in ((baskets(7, 900), "ok"), (baskets(7, 900).assign(amount=0.0, items=1), "decay")):
        arrived = retraining.project.partition("2024-11", fresh).to_dict()
        watched = retraining.done(spec, champion=champion, steps=("performance",), partition=arrived)["performance"]
        assert watched["status"] == status, watched
        assert watched["reference_metric"] == first["evaluate"]["challenger"]


def test_a_row_without_a_query_is_an_error_that_names_the_column(retraining: Retraining) -> None:
    spec = retraining.spec(metric="ndcg", query="session")
    refs = (retraining.project.partition("2024-01", baskets(1)),)
    uri = save_snapshot(Snapshot("orders", refs), retraining.store)
    result = retraining.run(spec, snapshot_uri=uri, holdout=baskets(99))
    assert result.error is not None
    assert "no column 'session' of queries" in result.error.message
