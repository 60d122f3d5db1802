import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from retrain.evaluation import (
    CalibrationError,
    Compared,
    Custom,
    DataAge,
    Evidence,
    FairnessGap,
    Latency,
    Minimum,
    ModelSize,
    Slices,
    assess,
    conditions_from_dicts,
)
from retrain.exceptions import ConfigurationError, DeclarationError, UserCodeError
from retrain.records import GateStatus, Verdict

PASS, FAIL, INCONCLUSIVE = GateStatus.PASS, GateStatus.FAIL, GateStatus.INCONCLUSIVE
ROWS = 6000


@pytest.fixture(scope="module")
def evidence():
    """The challenger is better and calibrated, but useless for carrier B6, and it selects fewer of group b."""
    generator = np.random.default_rng(0)
    logit = 1.5 * generator.normal(size=ROWS)
    y = (generator.random(ROWS) < expit(logit)).astype(int)
    frame = pd.DataFrame({
        "carrier": generator.choice(["AA", "B6", "UA"], ROWS, p=[0.5, 0.1, 0.4]),
        "group": generator.choice(["a", "b"], ROWS),
        "hour": generator.integers(0, 24, ROWS),
    })  # fmt: skip
    noise = generator.normal(size=(2, ROWS))
    champion, challenger = expit(logit + 1.2 * noise[0]), expit(logit + 0.2 * noise[1])
    challenger = np.where(frame["carrier"] == "B6", expit(generator.normal(size=ROWS)), challenger)
    label = ((challenger > 0.5) & ~((frame["group"] == "b") & (challenger < 0.7))).astype(int).to_numpy()
    return Evidence(
        y,
        {"score": challenger, "label": label},
        {"score": champion, "label": (champion > 0.5).astype(int)},
        frame=frame,
        p50_ms=4.0,
        p99_ms=30.0,
        model_bytes=2_000_000,
        trained_until=dt.datetime(2024, 1, 1),
        now=dt.datetime(2024, 1, 31, tzinfo=dt.UTC),
    )


@pytest.mark.parametrize(
    ("condition", "status", "said"),
    [
        (Minimum(0.7), PASS, "at least 0.7 is asked"),
        (Minimum(0.99), FAIL, "at least 0.99 is asked"),
        (Minimum(0.9, metric="log_loss"), PASS, "at most 0.9 is asked"),
        (Compared("log_loss", margin=0.2), PASS, "not worse by the margin"),
        (Compared("log_loss", margin=0.5, rule="superior"), FAIL, "not better"),
        (Slices(0.02, by=("carrier",)), FAIL, "the worst 'carrier=B6'"),
        (Slices(0.02, where={"late": "hour > 12"}), PASS, ""),
        (Slices(0.02, found=3), FAIL, "found: carrier=B6"),
        (Slices(0.02, where={"few": "hour == 1 and carrier == 'B6'"}, strict=True), INCONCLUSIVE, "cannot be told"),
        (CalibrationError(0.2), PASS, "expected calibration error"),
        (CalibrationError(0.001), FAIL, "reliability"),
        (FairnessGap("group", 0.02), FAIL, "selection_rate is"),
        (FairnessGap("group", 0.4), PASS, "group=a"),
        (FairnessGap("group", 0.05, metric="roc_auc"), PASS, "roc_auc is"),
        (FairnessGap("carrier", 0.3, metric="recall", groups=("AA", "UA")), PASS, "recall is"),
        (Latency(p50_ms=10, p99_ms=50), PASS, "30 ms"),
        (Latency(p50_ms=10, p99_ms=20), FAIL, "p99 latency is 30 ms"),
        (ModelSize(1_000_000), FAIL, "2e+06 bytes; at most 1e+06 bytes"),
        (DataAge(31), PASS, "30 days"),
        (DataAge(29), FAIL, "at most 29 days"),
        (Custom("mine", lambda evidence: evidence.model_bytes < 10), FAIL, "mine: fail"),
        (Custom("mine", lambda evidence: (None, "no news")), INCONCLUSIVE, "no news"),
        (Custom("mine", lambda evidence: (np.True_, "fine")), PASS, "fine"),
    ],
)
def test_each_condition_has_its_verdict_with_numbers(evidence, condition, status, said):
    verdict = assess(evidence, margin=0.1, conditions=[condition])
    assert [found["status"] for found in verdict.conditions] == [status], verdict.reasons
    assert verdict.status is status
    assert said in verdict.reasons[-1] or said in str(list(verdict.slices))
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))).to_dict() == verdict.to_dict()


def test_the_worst_condition_decides(evidence):
    verdict = assess(evidence, margin=0.1, conditions=[Latency(p99_ms=50), Latency(p99_ms=5), DataAge(40)])
    assert verdict.status is FAIL
    assert [found["status"] for found in verdict.conditions] == ["pass", "fail", "pass"]
    assert assess(evidence, margin=0.1).status is PASS
    harsh = assess(evidence, margin=0.5, rule="superior", conditions=[DataAge(40)])
    assert harsh.status is FAIL


def test_what_was_not_measured_is_inconclusive():
    y = np.arange(200) % 2
    bare = Evidence(y, y + 0.1, y + 0.1)
    for condition in (Latency(p99_ms=5), ModelSize(10), DataAge(3)):
        verdict = assess(bare, margin=0.1, conditions=[condition])
        assert verdict.status is INCONCLUSIVE
        assert "was not measured" in verdict.reasons[-1]
        assert verdict.rows_needed is None


def test_what_the_evidence_cannot_carry_is_named():
    y = np.arange(200) % 2
    bare = Evidence(y, y + 0.1, y + 0.1)
    for condition, said in (
        (Slices(0.1, by=("carrier",)), "no columns were kept"),
        (FairnessGap("group", 0.1), "no columns were kept"),
        (Compared("accuracy", 0.1), "of the kind 'label'"),
        (CalibrationError(0.1), "of the kind 'proba'"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            assess(bare, margin=0.1, conditions=[condition])


def test_a_function_of_ones_own_that_raises_or_answers_otherwise_is_named(evidence):
    def broken(evidence):
        raise ZeroDivisionError("nothing")

    with pytest.raises(UserCodeError, match="'mine' raised ZeroDivisionError: nothing"):
        assess(evidence, margin=0.1, conditions=[Custom("mine", broken)])
    with pytest.raises(UserCodeError, match="answered 'yes'"):
        assess(evidence, margin=0.1, conditions=[Custom("mine", lambda evidence: "yes")])
    with pytest.raises(DeclarationError, match="cannot be imported"):
        assess(evidence, margin=0.1, conditions=[Custom("mine", "no.such:thing")])


def test_conditions_travel_as_json(evidence):
    conditions = (
        Minimum(0.7),
        Compared("log_loss", 0.2),
        Slices(0.02, by=("carrier",), where={"late": "hour > 12"}, found=2),
        CalibrationError(0.1),
        FairnessGap("group", 0.1),
        Latency(p99_ms=10.0),
        ModelSize(10),
        DataAge(3.0),
        Custom("mine", "package.module:function"),
    )
    documents = json.loads(json.dumps([condition.to_dict() for condition in conditions]))
    assert conditions_from_dicts(documents) == conditions
    with pytest.raises(DeclarationError, match="the condition is 'speed'"):
        conditions_from_dicts([{"kind": "speed"}])


def test_a_cold_start_has_no_slices_to_lose(evidence):
    first = Evidence(evidence.y_true, evidence.challenger, frame=evidence.frame)
    verdict = assess(first, margin=0.1, conditions=[Slices(0.02, by=("carrier",)), CalibrationError(0.2)])
    assert (verdict.status, verdict.cold_start) == (PASS, True)
