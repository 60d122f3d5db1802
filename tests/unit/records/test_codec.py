"""Records travel as JSON: nothing is lost on the way, and what does not fit is named."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.exceptions import ContractError
from retrain.records import (
    Alarm,
    Approval,
    Check,
    ColumnDrift,
    DataRef,
    DriftStatus,
    DriftVerdict,
    ExpectationFailure,
    GateStatus,
    JobError,
    JobRequest,
    JobResult,
    JobStatus,
    ModelSpec,
    PerformanceStatus,
    PerformanceVerdict,
    RollbackOn,
    Severity,
    Snapshot,
    StepCost,
    ValidationStatus,
    ValidationVerdict,
    Verdict,
    encode,
)

REF = DataRef("s3://b/2013-01.parquet", "parquet", "2013-01", 2, "sha256:00", 10, 99, {"a": "int64"})
SPEC = ModelSpec(
    model="m", dataset="d", data="s3://b/{partition}.parquet", target="y", train="a:b", metric="roc_auc",
    project_root="/p", params={"depth": 3, "nested": {"a": [1, None]}}, key=("id",), pii=("name",), window=3,
    approval=Approval("always", 4.5, "approve", ("bo",)), rollback_on=RollbackOn((Alarm.SERVING,), 2),
)  # fmt: skip
EXAMPLES = [
    REF,
    Approval("when_inconclusive"),
    RollbackOn(),
    Snapshot("d", (REF, dataclasses.replace(REF, partition="2013-02"))),
    SPEC,
    JobRequest(
        ("validate", "profile"), SPEC, "s3://b/store", {"partition": REF.to_dict()}, "http://m", {"dag_id": "x"}
    ),
    JobResult(
        JobStatus.FAILED,
        {"validate": {"status": "pass"}},
        JobError("UserCodeError", "it broke", False, "Traceback"),
        {"validate": StepCost(1.5, 1.25, 1024)},
    ),
    ValidationVerdict(
        ValidationStatus.WARN,
        10,
        1,
        (ExpectationFailure("in_set", "a", Severity.CRITICAL, 1, "odd"),),
        3,
        REF.to_dict(),
    ),
    DriftVerdict(
        DriftStatus.DRIFT,
        {"a": ColumnDrift(DriftStatus.DRIFT, 0.5, 0.001, "ks", "moved", "wasserstein")},
        (Check("missing", "b", "gone"),),
        ("a",),
        "a moved",
        100,
        50,
        None,
    ),
    PerformanceVerdict(PerformanceStatus.INCONCLUSIVE, None, None, "too few", 3, 4, 100),
    Verdict(
        GateStatus.PASS, "roc_auc", "non_inferior", ("fine",), 10, interval=(-0.1, 0.2), slices={"a=1": {"rows": 3}}
    ),
]


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_a_record_survives_json(record) -> None:
    document = json.loads(json.dumps(record.to_dict(), allow_nan=False))
    assert type(record).from_dict(document) == record


@given(
    st.builds(
        DataRef,
        uri=st.text(),
        format=st.sampled_from(["parquet", "csv"]),
        partition=st.none() | st.text(),
        version=st.none() | st.integers(),
        rows=st.none() | st.integers(min_value=0),
        schema=st.dictionaries(st.text(), st.text(), max_size=4),
    )
)
def test_any_reference_survives_json(ref: DataRef) -> None:
    assert DataRef.from_dict(json.loads(json.dumps(ref.to_dict()))) == ref


def test_every_record_is_among_the_examples() -> None:
    import retrain.records as records

    tested = {type(example).__name__ for example in EXAMPLES}
    classes = {
        name
        for name in records.__all__
        if isinstance(found := getattr(records, name), type) and hasattr(found, "from_dict")
    }
    assert classes == tested


@pytest.mark.parametrize("unknown", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_carry_becomes_null(unknown: float) -> None:
    assert encode({"metric": unknown, "nested": [unknown]}) == {"metric": None, "nested": [None]}


def test_a_value_that_is_not_json_is_refused_when_it_is_encoded() -> None:
    with pytest.raises(TypeError, match="may not hold a object"):
        encode({"a": object()})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"colour": "red"}, "ModelSpec has unknown fields ['colour']"),
        ({"model": None}, "ModelSpec.model is None (NoneType). Expected str"),
        ({"holdout": "1"}, "ModelSpec.holdout is '1' (str). Expected int"),
        ({"holdout": True}, "ModelSpec.holdout is True (bool). Expected int"),
        ({"holdout": 1.5}, "ModelSpec.holdout is 1.5 (float). Expected int"),
        ({"margin": True}, "ModelSpec.margin is True (bool). Expected float"),
        ({"columns": "carrier"}, "ModelSpec.columns is 'carrier' (str). Expected a list"),
        ({"columns": 3}, "ModelSpec.columns is 3 (int). Expected a list"),
        ({"columns": ["a", 3]}, "ModelSpec.columns[1] is 3 (int). Expected str"),
        ({"params": ["a"]}, "ModelSpec.params is ['a'] (list). Expected an object"),
        ({"window": "3"}, "ModelSpec.window is '3' (str). Expected int"),
        ({"approval": {"when": "often"}}, "Approval.when is 'often'. Expected never | always | when_inconclusive"),
        ({"approval": {"timeout_hours": 0}}, "Approval.timeout_hours is 0.0. Expected more than 0"),
        ({"rollback_on": {"alarms": ["rain"]}}, "RollbackOn.alarms[0] is 'rain'. Expected decay | serving"),
        ({"rollback_on": {"partitions": 0}}, "0 partitions. Expected an alarm or more, on 1 partition or more"),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_its_value(changes: dict, named: str) -> None:
    with pytest.raises(ContractError) as error:
        ModelSpec.from_dict({**SPEC.to_dict(), **changes})
    assert named in str(error.value)


def test_a_missing_field_is_named() -> None:
    document = SPEC.to_dict()
    del document["target"], document["train"]
    with pytest.raises(ContractError, match=r"ModelSpec lacks the fields \['target', 'train'\]"):
        ModelSpec.from_dict(document)


def test_a_wrong_word_of_a_closed_vocabulary_is_answered_with_the_vocabulary() -> None:
    with pytest.raises(ContractError, match=r"JobResult.status is 'fine'. Expected succeeded \| failed"):
        JobResult.from_dict({"status": "fine"})


@pytest.mark.parametrize("document", [[], "x", None, 3])
def test_a_document_that_is_no_object_is_refused(document) -> None:
    with pytest.raises(ContractError, match="Expected a JSON object"):
        Snapshot.from_dict(document)


def test_a_record_inside_a_record_is_checked_too() -> None:
    with pytest.raises(ContractError, match="DataRef has unknown fields"):
        Snapshot.from_dict({"dataset": "d", "partitions": [{"uri": "a", "format": "csv", "where": "there"}]})


def test_an_integer_is_a_float_but_not_the_other_way_round() -> None:
    assert ModelSpec.from_dict({**SPEC.to_dict(), "margin": 0}).margin == 0.0


def test_a_snapshot_is_addressed_by_what_it_holds_and_not_by_where_it_lies() -> None:
    snapshot = Snapshot("d", (REF,))
    moved = Snapshot("d", (dataclasses.replace(REF, uri="s3://other/place", rows=None),))
    corrected = Snapshot("d", (dataclasses.replace(REF, version=3),))
    other = Snapshot("d", (dataclasses.replace(REF, digest="sha256:01"),))
    assert snapshot.digest == moved.digest
    assert len({snapshot.digest, corrected.digest, other.digest, Snapshot("e", (REF,)).digest}) == 4
