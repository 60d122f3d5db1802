"""A kept case is judged again to the same verdict, by the gate and by the command line."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.special import expit

from retrain.cli.judge import command
from retrain.data import storage, write_parquet
from retrain.evaluation import DataAge, FairnessGap, GateCase, Latency, Slices, judge_case
from retrain.evaluation.case import columns_of, predictions, require_free
from retrain.exceptions import DeclarationError
from retrain.records import GateStatus

ROWS = 3000
SERVING = {"status": "pass", "reasons": ["load: fine"], "p50_ms": 3.0, "p99_ms": 9.0, "model_bytes": 10}
CONDITIONS = (
    Slices(0.05, by=("carrier",), where={"late": "hour > 12"}, found=2),
    FairnessGap("carrier", 0.5),
    Latency(p99_ms=10),
    DataAge(40),
)


def rows(champion: bool = True) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    logit = generator.normal(size=ROWS)
    y = (generator.random(ROWS) < expit(logit)).astype(int)
    frame = pd.DataFrame({"carrier": generator.choice(["AA", "B6"], ROWS), "hour": generator.integers(0, 24, ROWS)})
    columns: dict[str, Any] = {"y_true": y}
    for who in ("challenger", "champion")[: 1 + champion]:
        score = expit(logit + 0.3 * generator.normal(size=ROWS))
        columns.update(columns_of(who, {"score": score, "label": (score > 0.5).astype(int)}, "roc_auc"))
    return pd.concat([pd.DataFrame(columns), frame], axis=1)


def case(**changes: Any) -> GateCase:
    fields: dict[str, Any] = {
        "metric": "roc_auc", "margin": 0.03, "conditions": tuple(one.to_dict() for one in CONDITIONS),
        "serving": SERVING, "serving_asked": True, "rows": ROWS,
        "facts": {"now": dt.datetime(2024, 2, 1, tzinfo=dt.UTC).isoformat(), "trained_until": "2024-01-01T00:00:00"},
    }  # fmt: skip
    return GateCase(**{**fields, **changes})


def test_everything_that_was_declared_is_judged() -> None:
    verdict = judge_case(case(), rows())
    assert verdict.status is GateStatus.PASS, verdict.reasons
    assert [found["name"] for found in verdict.conditions] == [
        "slices", "fairness_gap selection_rate carrier", "latency", "data_age", "serving check",
    ]  # fmt: skip
    assert {"carrier=AA", "carrier=B6", "late"} <= set(verdict.slices)
    assert verdict.baseline == 0.5


@pytest.mark.parametrize(
    ("serving", "asked", "status"),
    [
        ({**SERVING, "status": "fail", "reasons": ["load: hangs"]}, True, GateStatus.FAIL),
        ({**SERVING, "status": "inconclusive", "reasons": ["nothing to feed"]}, True, GateStatus.INCONCLUSIVE),
        (None, True, GateStatus.INCONCLUSIVE),
        (None, False, GateStatus.PASS),
    ],
)
def test_only_what_passes_the_serving_check_passes(serving: Any, asked: bool, status: GateStatus) -> None:
    verdict = judge_case(case(conditions=(), serving=serving, serving_asked=asked), rows())
    assert verdict.status is status
    assert ("serving check" in verdict.reasons[-1]) == asked


def test_an_obstacle_is_told_beside_the_serving_check() -> None:
    failed = {"status": "fail", "reasons": ["load: hangs"]}
    obstacle = {"status": "fail", "reason": "it was not scored"}
    verdict = judge_case(case(obstacle=obstacle, serving=failed), None)
    assert verdict.status is GateStatus.FAIL
    assert verdict.reasons == ("it was not scored", "serving check: fail (load: hangs)")
    open_ = judge_case(case(obstacle={"status": "inconclusive", "reason": "no rows"}), rows())
    assert (open_.status, open_.rows_needed) == (GateStatus.INCONCLUSIVE, None)


def test_predictions_of_every_kind_come_back() -> None:
    given = {"proba": np.arange(6.0).reshape(2, 3), "label": np.array(["a", "b"])}
    kept = pd.DataFrame(columns_of("challenger", given, "log_loss"))
    assert list(kept) == ["challenger_0", "challenger_1", "challenger_2", "challenger.label"]
    back = predictions(kept, "challenger", "log_loss")
    assert {kind: values.tolist() for kind, values in back.items()} == {
        "label": ["a", "b"], "proba": given["proba"].tolist()
    }  # fmt: skip
    assert predictions(kept, "champion", "log_loss") == {}


def test_columns_named_like_predictions_are_refused() -> None:
    with pytest.raises(DeclarationError, match=r"\['challenger_0', 'champion', 'y_true'\]"):
        require_free(["hour", "champion", "y_true", "challenger_0", "champions"])


def invoke(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(command, [*arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("champion", [True, False])
def test_the_command_gives_the_same_verdict_on_a_kept_case(tmp_path: Path, champion: bool) -> None:
    uri = write_parquet(rows(champion), str(tmp_path / "p.parquet")).uri
    kept = case(predictions_uri=uri, cold_start=not champion)
    case_uri = storage.write_json(str(tmp_path / "case.json"), kept.to_dict())
    said = judge_case(GateCase.from_dict(storage.read_json(case_uri)), rows(champion))
    assert invoke(case_uri) == (0, said.to_dict())
    code, other = invoke(case_uri, "--minimum", "0.99")
    assert (code, other["status"]) == (1, "fail")


def test_predictions_alone_need_their_terms(tmp_path: Path) -> None:
    uri = write_parquet(rows(), str(tmp_path / "p.parquet")).uri
    result = CliRunner().invoke(command, [uri, "--challenger", "challenger"])
    assert result.exit_code == 2
    assert "--metric, --margin: needed" in result.stderr
