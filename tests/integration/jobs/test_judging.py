"""The judging steps of a retraining, with real models on a real MLflow server."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from retrain.cli.judge import command
from retrain.data import read, storage
from retrain.evaluation import Custom, DataAge, FairnessGap, Latency, ModelSize, Slices
from retrain.registry import RegistryClient
from scripts.services.mlflow import MlflowServer
from tests.support.project import Project, orders
from tests.support.retraining import CHECKED, Retraining

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
CONDITIONS = (
    Slices(0.3, by=("shop",), where={"many": "items > 4"}, found=2),
    FairnessGap("shop", 0.9),
    Latency(p99_ms=5_000),
    ModelSize(50_000_000),
    DataAge(100_000),
)


@pytest.fixture
def retraining(tmp_path: Path, project: Project, mlflow: MlflowServer) -> Retraining:
    return Retraining(tmp_path, project, mlflow.uri)


def rejudged(outputs: dict[str, Any]) -> dict[str, Any]:
    result = CliRunner().invoke(command, [outputs["evaluate"]["case_uri"], "--json"])
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def numbered(rows: int, seed: int, first: int = 0) -> pd.DataFrame:
    return orders(rows, seed=seed).assign(order=range(first, first + rows))


class TestGate:
    def test_what_is_declared_is_judged_and_can_be_judged_again_from_what_was_kept(
        self, retraining: Retraining
    ) -> None:
        conditions = tuple(one.to_dict() for one in CONDITIONS)
        spec = retraining.spec(conditions=conditions, event_time="placed_at", serving=CHECKED)
        first = retraining.done(spec)
        assert (first["gate"]["status"], first["gate"]["cold_start"]) == ("pass", True), first["gate"]["reasons"]
        second = retraining.done(spec, months=("2024-01", "2024-02"), champion=retraining.as_champion(first))
        verdict = second["gate"]
        assert verdict["status"] == "pass", verdict["reasons"]
        assert [(found["name"], found["status"]) for found in verdict["conditions"]] == [
            ("slices", "pass"), ("fairness_gap selection_rate shop", "pass"), ("latency", "pass"),
            ("model_size", "pass"), ("data_age", "pass"), ("serving check", "pass"),
        ]  # fmt: skip
        assert {"shop=north", "shop is missing", "many"} <= set(verdict["slices"])
        assert verdict["baseline"] == 0.5
        for outputs in (first, second):
            assert rejudged(outputs) == outputs["gate"]
        kept = read(second["evaluate"]["predictions_uri"])
        assert {"y_true", "champion", "challenger", "champion.label", "challenger.label", "shop"} <= set(kept)

    def test_the_serving_check_is_kept_whole_and_its_digest_proves_the_champion(self, retraining: Retraining) -> None:
        spec = retraining.spec(serving=CHECKED)
        outputs = retraining.done(spec)
        serving = outputs["serving"]
        whole = storage.read_json(serving["verdict_uri"])
        assert whole["digest"] == serving["digest"]
        assert {check["name"] for check in whole["checks"]} >= {"artifact", "parity", "load", "same answers", "secrets"}
        again = retraining.done(spec, months=("2024-01", "2024-02"), champion=retraining.as_champion(outputs))
        replayed = storage.read_json(again["serving"]["verdict_uri"])["checks"]
        assert "champion replay" in {check["name"] for check in replayed}

    def test_without_its_serving_check_nothing_passes_unless_it_is_declared_off(self, retraining: Retraining) -> None:
        steps = ("train", "evaluate", "gate")
        verdict = retraining.done(retraining.spec(serving={}), steps=steps)["gate"]
        assert verdict["status"] == "inconclusive"
        assert verdict["reasons"][-1] == "serving check: inconclusive (it is declared and was not made)"
        off = retraining.done(steps=("train", "serving", "evaluate", "gate"))
        assert off["serving"]["status"] is None
        assert off["gate"]["status"] == "pass"

    def test_limits_of_the_serving_check_decide(self, retraining: Retraining) -> None:
        tight = {"limits": {"calls": 5, "p99_ms": 0.001}}
        outputs = retraining.done(retraining.spec(serving=tight, conditions=(Latency(p99_ms=0.001).to_dict(),)))
        assert outputs["serving"]["status"] == outputs["gate"]["status"] == "fail"
        assert outputs["evaluate"]["challenger"] > 0.5
        assert [found["status"] for found in outputs["gate"]["conditions"]] == ["fail", "fail"]


class TestMlflow:
    def test_shows_metrics_of_the_model_on_the_hold_out_pictures_and_tables_once(self, retraining: Retraining) -> None:
        slices = (Slices(0.3, by=("shop",)).to_dict(),)
        first = retraining.done()
        spec = retraining.spec(conditions=slices)
        done = retraining.done(spec, months=("2024-01", "2024-02"), champion=retraining.as_champion(first))
        client = RegistryClient(retraining.tracking_uri).mlflow
        run_id, model_uri = done["train"]["run_id"], done["train"]["model_uri"]
        run = client.get_run(run_id)
        assert run.data.metrics["holdout_roc_auc"] == done["gate"]["challenger"]
        assert run.data.metrics["holdout_roc_auc_of_champion"] == done["gate"]["champion"]
        assert run.data.metrics["holdout_roc_auc_of_baseline"] == 0.5
        assert {"holdout_log_loss", "holdout_accuracy", "holdout_brier_score"} <= set(run.data.metrics)
        (held,) = [one for one in run.inputs.dataset_inputs if one.tags[0].value == "evaluation"]
        assert held.dataset.name == "orders/2024-12 (hold-out)"
        model = client.get_logged_model(model_uri.removeprefix("models:/"))
        of_model = {metric.key: metric.dataset_name for metric in model.metrics}
        assert of_model["holdout_roc_auc"] == "orders/2024-12 (hold-out)"
        names = {Path(file.path).name for file in client.list_artifacts(run_id, "evaluation")}
        assert names == {
            "verdict.json", "conditions.json", "slices.json", "curves.png", "calibration.png", "slices.png"
        }  # fmt: skip
        retraining.done(
            spec, steps=("register",), trained=done["train"], evaluated=done["evaluate"], gated=done["gate"]
        )
        history = client.get_metric_history(run_id, "holdout_roc_auc")
        assert len(history) == 1


class TestBenchmark:
    def test_earlier_versions_are_compared_on_demand_and_decide_nothing(
        self, retraining: Retraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        first = retraining.done()
        champion = retraining.as_champion(first)
        held = retraining.project.partition("2024-12", orders(400, seed=99))
        cheat = retraining.done(**snapshot(retraining, held), steps=("train",))["train"]
        gone = "models:/m-0123456789abcdef0123456789abcdef"
        asked = [
            {"version": "1", "model_uri": champion["model_uri"], "snapshot_uri": champion["snapshot_uri"]},
            {"version": "2", "model_uri": cheat["model_uri"], "snapshot_uri": cheat["snapshot_uri"]},
            {"version": "3", "model_uri": gone, "snapshot_uri": None},
        ]
        spec = retraining.spec(conditions=(Slices(0.5, found=3).to_dict(),))
        second = retraining.done(spec, months=("2024-01", "2024-02"), champion=champion, benchmark=asked)
        compared = second["evaluate"]["benchmark"]
        assert compared["1"]["difference"] == second["gate"]["difference"]
        assert compared["1"]["interval"] == second["gate"]["interval"]
        assert compared["2"]["status"] is None
        assert "was trained on the hold-out partitions ['2024-12']" in compared["2"]["reasons"][0]
        assert compared["3"]["status"] is None
        kept = read(second["evaluate"]["predictions_uri"])
        assert kept["version_1"].equals(kept["champion"].rename("version_1"))
        assert not any("version_" in name for name in second["gate"]["slices"])
        assert second["gate"]["status"] == "pass"
        # What was copied to be loaded is gone with the job, also where its process ends without tidying up.
        assert not list((tmp_path / "temporary").glob("retrain-model-*"))


class TestOwnFunctions:
    def test_a_metric_and_a_condition_of_ones_own_judge_and_a_broken_one_is_named(self, retraining: Retraining) -> None:
        retraining.project.write(
            "orders/gates.py",
            """
            def cost(y_true, prediction, sample_weight):
                return float((3 * ((y_true == 1) & (prediction < 0.5)) + ((y_true == 0) & (prediction >= 0.5))).mean())

            def fast(evidence):
                return evidence.facts["now"] > "2020", "it is later than 2020"

            def broken(evidence):
                raise ZeroDivisionError("no luck")
            """,
        )
        own = retraining.project.reference("gates")
        fields = {"metric": f"{own}:cost[score, lower]", "margin": 0.5}
        spec = retraining.spec(conditions=(Custom("fast", f"{own}:fast").to_dict(),), **fields)
        first = retraining.done(spec)
        second = retraining.done(spec, months=("2024-01", "2024-02"), champion=retraining.as_champion(first))
        verdict = second["gate"]
        assert (verdict["status"], verdict["metric"]) == ("pass", "cost"), verdict["reasons"]
        assert "bootstrap" in verdict["reasons"][0]
        assert verdict["difference"] == pytest.approx(verdict["champion"] - verdict["challenger"])
        assert verdict["reasons"][-1] == "fast: pass (it is later than 2020)"
        arguments = [second["evaluate"]["case_uri"], "--json", "--project-root", str(retraining.project.root)]
        assert json.loads(CliRunner().invoke(command, arguments).stdout) == verdict
        arrived = retraining.project.partition("2024-11", orders(200, seed=3)).to_dict()
        watched = retraining.done(
            spec, champion=retraining.as_champion(first), steps=("performance",), partition=arrived
        )
        assert 0 < watched["performance"]["metric"] < 1
        wrong = retraining.spec(conditions=(Custom("broken", f"{own}:broken").to_dict(),), **fields)
        result = retraining.run(wrong)
        assert result.error is not None
        assert result.error.type == "UserCodeError"
        assert "'broken' raised ZeroDivisionError: no luck" in result.error.message


class TestServing:
    def test_behind_the_scoring_server_with_recorded_requests_and_a_lock(self, retraining: Retraining) -> None:
        recorded = retraining.project.partition("requests", orders(7, seed=5).drop(columns="returned"))
        lock = retraining.project.write("requirements.lock", f"pandas=={pd.__version__}\n# a comment\nnot-there==1.0\n")
        serving = {
            "mode": "scoring_server", "requests": recorded.uri, "rows": 5,
            "lock": str(lock.relative_to(retraining.project.root)), "limits": {"calls": 3, "parity": "exact"},
        }  # fmt: skip
        outputs = retraining.done(retraining.spec(serving=serving))
        whole = storage.read_json(outputs["serving"]["verdict_uri"])
        checks = {check["name"]: check for check in whole["checks"] if check["name"] != "schema"}
        assert outputs["gate"]["status"] == "fail"
        assert [name for name, check in checks.items() if check["status"] != "pass"] == ["parity"]
        assert "not-there: ==1.0 is asked and it is not installed" in checks["parity"]["reason"]
        assert checks["same answers"]["reason"] == "the answers are those of the evaluation"
        assert any("5 answers to the recorded requests" in check["reason"] for check in whole["checks"])
        # A wrong environment is no harm to the evaluation.
        assert outputs["evaluate"]["challenger"] > 0.5


class TestRows:
    def test_rows_whose_key_was_trained_on_are_left_out(self, retraining: Retraining) -> None:
        project, spec = (
            retraining.project,
            retraining.spec(key=("order",), prepare=None, train=mean_of_items(retraining)),
        )
        january = project.partition("2024-01", numbered(300, 0))
        february = project.partition("2024-02", numbered(300, 1, first=1000))
        # 100 rows of January, in another type, 50 of February, and 250 that nobody has seen.
        held = pd.concat([numbered(100, 5), numbered(50, 6, first=1000), numbered(250, 7, first=5000)])
        held["order"] = held["order"].astype("float64")
        first = retraining.done(spec, holdout=held, **snapshot(retraining, january))
        assert (first["evaluate"]["rows"], first["evaluate"]["left_out"]) == (300, 100)
        champion = retraining.as_champion(first)
        second = retraining.done(spec, holdout=held, champion=champion, **snapshot(retraining, february))
        assert (second["evaluate"]["rows"], second["evaluate"]["left_out"]) == (250, 150)
        assert set(read(second["evaluate"]["predictions_uri"])["order"]) == set(range(5000, 5250))

    def test_no_unseen_row_is_inconclusive(self, retraining: Retraining) -> None:
        spec = retraining.spec(key=("order",), prepare=None, train=mean_of_items(retraining))
        january = retraining.project.partition("2024-01", numbered(300, 0))
        outputs = retraining.done(spec, holdout=numbered(100, 5), **snapshot(retraining, january))
        assert outputs["gate"]["status"] == "inconclusive"
        assert "all 100 rows of the hold-out have keys that a model was trained on" in outputs["gate"]["reasons"][0]
        assert outputs["register"]["version"] == "1"

    def test_a_hold_out_without_the_key_is_inconclusive(self, retraining: Retraining) -> None:
        spec = retraining.spec(key=("order",), prepare=None, train=mean_of_items(retraining))
        january = retraining.project.partition("2024-01", numbered(300, 0))
        outputs = retraining.done(spec, **snapshot(retraining, january))
        assert outputs["gate"]["status"] == "inconclusive"
        assert "lacks the key columns ['order']" in outputs["gate"]["reasons"][0]

    def test_rows_may_have_weights(self, retraining: Retraining) -> None:
        held = orders(400, seed=99).assign(weight=[1.0] * 200 + [0.0] * 200)
        spec = retraining.spec(weight="weight")
        weighted = retraining.done(spec, holdout=held)
        half = retraining.done(holdout=held.head(200))
        assert weighted["evaluate"]["challenger"] == half["evaluate"]["challenger"]
        assert weighted["gate"]["difference"] == half["gate"]["difference"]

    @pytest.mark.parametrize("rows", [orders(5, seed=3), orders(200, seed=3).assign(returned=0)])
    def test_five_rows_or_one_class_are_inconclusive(self, retraining: Retraining, rows: pd.DataFrame) -> None:
        outputs = retraining.done(holdout=rows)
        assert outputs["gate"]["status"] == "inconclusive", outputs["gate"]["reasons"]


class TestWhatCannotBeCompared:
    def test_a_column_that_the_champion_needs_and_the_hold_out_lacks_is_inconclusive(
        self, retraining: Retraining
    ) -> None:
        champion = retraining.as_champion(retraining.done())
        retraining.project.write("orders/features.py", "def prepare(frame):\n    return frame[['items']]\n")
        held = orders(400, seed=99).drop(columns=["amount", "shop"])
        outputs = retraining.done(months=("2024-01", "2024-02"), holdout=held, champion=champion)
        verdict = outputs["gate"]
        assert verdict["status"] == "inconclusive"
        assert "the champion, version 1, cannot be scored" in verdict["reasons"][0]
        assert "['amount', 'shop']" in verdict["reasons"][0] or "'shop'" in verdict["reasons"][0]
        # What is known of the challenger is kept: a person may promote it, and it can be watched then.
        assert outputs["evaluate"]["challenger"] > 0.5
        assert outputs["evaluate"]["losses_uri"]
        assert rejudged(outputs) == verdict

    def test_a_column_that_the_challenger_needs_fails_it(self, retraining: Retraining) -> None:
        outputs = retraining.done(holdout=orders(400, seed=99).drop(columns=["amount"]))
        assert outputs["gate"]["status"] == "fail"
        assert outputs["register"]["version"] == "1"

    def test_a_slice_whose_column_is_not_there_is_inconclusive(self, retraining: Retraining) -> None:
        asked = (Slices(0.5, by=("region",)).to_dict(), Slices(0.5, where={"far": "region == 'x'"}).to_dict())
        first = retraining.done()
        spec = retraining.spec(conditions=asked)
        outputs = retraining.done(spec, months=("2024-01", "2024-02"), champion=retraining.as_champion(first))
        assert [found["status"] for found in outputs["gate"]["conditions"]][:2] == ["inconclusive"] * 2
        assert "region" in outputs["gate"]["conditions"][0]["reason"]


def snapshot(retraining: Retraining, *refs: Any) -> dict[str, str]:
    from retrain.data import save_snapshot
    from retrain.records import Snapshot

    return {"snapshot_uri": save_snapshot(Snapshot("orders", refs), retraining.store)}


def mean_of_items(retraining: Retraining) -> str:
    """A training on numbers alone, without a preparation."""
    retraining.project.write(
        "orders/plain.py",
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.compose import make_column_transformer

        def fit(data, params):
            model = make_pipeline(make_column_transformer(("passthrough", ["items"])), LogisticRegression())
            return model.fit(data.features, data.target)
        """,
    )
    return retraining.project.reference("plain:fit")
