"""What a person sees of a drift, without MLflow: pages in the store, and a verdict that stands when MLflow is away."""

import json

import pandas as pd
import pytest

from retrain import drift
from retrain.data import storage, write_parquet
from retrain.jobs import run_job
from scripts.services.processes import free_port

STEPS = ("profile", "drift", "performance", "prediction", "label", "concept", "estimate", "report")


@pytest.fixture
def watch(desk):
    """Run the watching steps on a partition against a champion that was trained on the desk's reference."""
    uri = storage.join(desk.store, "training.json")
    storage.write_json(uri, drift.profile(desk.reference, target="y").to_dict())

    def run(ref, *, tracking_uri=None, **inputs):
        champion = {"version": "3", "model_uri": "models:/m-3", "run_id": "r", "profile_uri": uri, "metric": 0.7}
        request = desk.request(
            *STEPS, inputs={"partition": ref.to_dict(), "champion": champion, **inputs}, tracking_uri=tracking_uri
        )
        result = run_job(request)
        assert result.error is None, result.error
        return json.loads(json.dumps(result.outputs))

    return run


def test_each_kind_that_cannot_be_judged_says_why(desk, watch):
    outputs = watch(desk.current)
    assert outputs["drift"]["status"] == "drift"
    for step in ("performance", "prediction", "label", "concept", "estimate"):
        assert outputs[step]["status"] is None
        assert outputs[step]["reason"].startswith("The champion was never judged here")


def test_a_drift_is_drawn_on_one_page_with_the_past_and_evidently_only_where_asked(desk, watch):
    pytest.importorskip("matplotlib")
    past = [{"partition": "2023-12", "status": "ok", "drivers": []}]
    report = watch(desk.current, draw_report=False, past=past)["report"]
    assert report["uri"] is None
    page = storage.read_bytes(report["summary_uri"]).decode()
    assert "m: 2024-02" in page
    assert "data:image/png;base64," in page
    assert len(page) < 500_000
    assert "<script" not in page


def test_without_drift_nothing_is_drawn(desk, watch):
    report = watch(desk.reference)["report"]
    assert report == {"uri": None, "monitoring_run_id": None}


def test_the_verdict_stands_when_mlflow_does_not_answer(desk, watch, caplog):
    outputs = watch(desk.current, draw_report=False, tracking_uri=f"http://127.0.0.1:{free_port()}")
    assert outputs["drift"]["status"] == "drift"
    assert outputs["report"]["monitoring_run_id"] is None
    assert outputs["report"]["summary_uri"]
    assert "MLflow did not take what was seen on 2024-02@v1" in caplog.text


@pytest.mark.parametrize("late", ["absent", "empty"])
def test_labels_that_are_not_there_yet_are_no_drift(desk, watch, late):
    frame = pd.read_parquet(desk.reference.uri)
    frame = (
        frame.drop(columns="y") if late == "absent" else frame.assign(y=pd.Series([None] * len(frame), dtype="Int64"))
    )
    ref = write_parquet(frame, str(desk.root / "data" / "late.parquet"), partition="2024-03", version=1)
    assert watch(ref)["drift"]["status"] == "ok"


def test_names_from_the_data_are_escaped_on_the_page():
    sides = [pd.DataFrame({"<script>": [float(n % 7) + shift for n in range(300)]}) for shift in (0, 50)]
    page = drift.page(*sides, title="<b>")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>:" not in page
