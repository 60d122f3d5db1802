"""The job contract: JSON in, JSON out, errors sorted into "cannot be done" and "try again"."""

import dataclasses
import importlib
import json
import os

import pytest

from retrain.data import storage
from retrain.exceptions import ContractError
from retrain.jobs import STEPS, run_job
from retrain.jobs.steps import StepContext, fingerprint
from retrain.records import JobResult, JobStatus


def test_every_step_of_the_contract_exists() -> None:
    for place in STEPS.values():
        module, function = place.split(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"steps": ("validate", "paint")}, r"unknown steps \['paint'\]. Expected some of validate, profile"),
        ({"steps": ()}, "names no step"),
        ({"contract": 2}, "follows contract 2. Expected contract 1. Install the same version"),
        ({"contract": 0}, "follows contract 0"),
    ],
)
def test_a_request_that_is_not_understood_is_refused_before_anything_runs(desk, changes: dict, named: str) -> None:
    with pytest.raises(ContractError, match=named):
        run_job(dataclasses.replace(desk.request("compare"), **changes))
    assert not storage.exists(desk.store)


def test_a_result_is_small_plain_json_and_the_rest_lies_in_the_store(desk) -> None:
    result = run_job(desk.request("compare"))
    assert result.status is JobStatus.SUCCEEDED
    assert result.error is None
    assert JobResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False))) == result
    output = result.outputs["compare"]
    assert output["status"] == "drift"
    assert output["drivers"] == ["amount"]
    assert output["verdict_uri"].startswith(desk.store)
    assert storage.read_json(output["verdict_uri"])["status"] == "drift"
    assert len(json.dumps(result.to_dict())) < 5_000


def test_the_same_request_writes_the_same_objects(desk) -> None:
    first, again = run_job(desk.request("compare")), run_job(desk.request("compare"))
    assert first.outputs == again.outputs


def test_each_step_that_ran_has_its_cost_also_the_one_that_failed(desk) -> None:
    request = desk.request("compare", "profile")
    result = run_job(request)
    assert result.status is JobStatus.FAILED
    assert set(result.outputs) == {"compare"}
    assert set(result.cost) == {"compare", "profile"}
    for cost in result.cost.values():
        assert cost.wall_seconds >= 0
        assert cost.cpu_seconds >= 0
        assert cost.peak_memory_bytes > 10 * 2**20


def test_steps_see_the_outputs_of_those_before_them(desk) -> None:
    inputs = {"partition": desk.reference.to_dict(), "champion": None}
    result = run_job(desk.request("profile", "drift", "performance", inputs=inputs))
    assert result.status is JobStatus.SUCCEEDED
    assert result.outputs["profile"]["rows"] == 400
    assert result.outputs["drift"] == {"status": None, "summary": "No champion to compare with yet"}
    assert result.outputs["performance"]["status"] is None


def test_a_champion_that_was_never_judged_here_is_no_error(desk) -> None:
    champion = {"version": "7", "model_uri": "models:/m/7", "profile_uri": None, "losses_uri": None, "metric": None}
    inputs = {"partition": desk.reference.to_dict(), "champion": champion}
    result = run_job(desk.request("profile", "drift", "performance", "report", inputs=inputs))
    assert result.error is None
    assert result.outputs["drift"]["champion"] == "7"
    assert "training profile is not known" in result.outputs["drift"]["summary"]
    assert "losses on unseen rows is not known" in result.outputs["performance"]["reason"]
    assert result.outputs["report"] == {"uri": None}


def failed(desk, *steps: str, **changes):
    result = run_job(desk.request(*steps, **changes))
    assert result.status is JobStatus.FAILED
    return result.error


@pytest.mark.parametrize("step", ["validate", "profile", "train", "serving", "evaluate", "gate", "register"])
def test_a_missing_input_is_named_with_its_step_and_final(desk, step: str) -> None:
    error = failed(desk, step, inputs={}, tracking_uri="http://127.0.0.1:9")
    assert error.type == "ContractError"
    assert error.message.startswith(f"{step}: step {step} lacks the input")
    assert not error.retryable
    assert error.traceback is None


def test_a_step_that_needs_mlflow_says_so(desk) -> None:
    inputs = {"trained": {}, "holdout": [desk.current.to_dict()]}
    error = failed(desk, "evaluate", inputs=inputs)
    assert "step evaluate needs MLflow" in error.message


def test_data_that_is_not_there_is_final(desk) -> None:
    error = failed(desk, "compare", inputs={**desk.both(), "current_data": str(desk.root / "gone.parquet")})
    assert (error.type, error.retryable) == ("UnreadableDataError", False)
    assert "gone.parquet is not there" in error.message


def refused(desk, **changes):
    inputs = {"partition": {**desk.reference.to_dict(), **changes}, "champion": None}
    result = run_job(desk.request("validate", "profile", "drift", "performance", inputs=inputs))
    assert result.error is None
    assert result.outputs["validate"]["status"] == "fail"
    assert result.outputs["validate"]["accepted"] is result.outputs["validate"]["result_uri"] is None
    assert result.outputs["profile"] == {"uri": None}
    (failure,) = result.outputs["validate"]["failures"]
    assert (failure["expectation"], failure["severity"]) == ("readable", "critical")
    return failure["reason"]


def test_a_partition_that_was_deleted_before_it_was_validated_is_refused(desk) -> None:
    assert "gone.parquet is not there" in refused(desk, uri=str(desk.root / "gone.parquet"))


def test_a_partition_that_was_replaced_before_it_was_validated_is_refused(desk) -> None:
    desk.partition("2024-01", 1)
    assert "holds other bytes than were recorded" in refused(desk)


def test_a_partition_that_cannot_be_opened_for_another_reason_is_an_error(desk) -> None:
    (desk.root / "file").touch()
    partition = {**desk.reference.to_dict(), "uri": str(desk.root / "file" / "x.parquet")}
    assert failed(desk, "validate", inputs={"partition": partition}).type == "UnreadableDataError"


def test_validated_data_that_is_gone_by_the_time_another_model_looks_is_no_error(desk) -> None:
    partition = {**desk.reference.to_dict(), "uri": str(desk.root / "gone.parquet")}
    champion = {"version": "1", "profile_uri": "x", "losses_uri": "x", "model_uri": "x", "metric": None}
    result = run_job(
        desk.request("profile", "drift", "performance", inputs={"partition": partition, "champion": champion})
    )
    assert result.error is None
    assert result.outputs["profile"]["uri"] is None
    assert "gone.parquet is not there" in result.outputs["drift"]["summary"]
    assert "gone.parquet is not there" in result.outputs["performance"]["reason"]
    assert result.outputs["performance"]["champion"] == "1"


def test_changed_bytes_are_final(desk) -> None:
    desk.partition("2024-01", 1)
    error = failed(desk, "profile", inputs={"partition": desk.reference.to_dict()})
    assert (error.type, error.retryable) == ("DigestMismatchError", False)


def test_a_store_that_cannot_be_written_may_be_tried_again(desk) -> None:
    (desk.root / "taken").write_text("a file where the store's folder should be")
    error = failed(desk, "compare", store=(desk.root / "taken").as_uri())
    assert (error.type, error.retryable) == ("StoreUnavailableError", True)


def test_an_error_that_nobody_foresaw_is_shown_whole_and_may_be_tried_again(desk) -> None:
    uri = storage.write_json(storage.join(desk.store, "profile.json"), {})
    inputs = {"partition": desk.reference.to_dict(), "champion": {"profile_uri": uri}, "history": 3}
    error = failed(desk, "profile", "gate", inputs={**inputs, "evaluated": {"wrong": 1}})
    assert (error.type, error.retryable) == ("KeyError", True)
    assert "judging_steps.py" in error.traceback


def test_a_job_turns_telemetry_off(desk, monkeypatch) -> None:
    for name in ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    run_job(desk.request("compare"))
    assert os.environ["DO_NOT_TRACK"] == os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_paths_of_the_project_are_resolved_against_its_root_and_uris_are_left(desk) -> None:
    context = StepContext(desk.request("validate"))
    assert context.project_path("include/suite.json") == str(desk.root / "include/suite.json")
    assert context.project_path("/abs/suite.json") == "/abs/suite.json"
    assert context.project_path("s3://b/suite.json") == "s3://b/suite.json"


def test_a_fingerprint_does_not_depend_on_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint("a", None) != fingerprint("a")
    assert len(fingerprint("a")) == 16


def test_what_the_steps_read_is_in_the_result_with_the_columns_it_has(desk) -> None:
    inputs = {"partition": desk.reference.to_dict(), "champion": None}
    result = run_job(desk.request("profile", "drift", inputs=inputs))
    (read,) = result.reads
    assert (read.step, read.uri, read.digest) == ("profile", desk.reference.uri, desk.reference.digest)
    assert (read.partition, read.version, read.columns) == ("2024-01", 1, ("amount", "y"))
    assert JobResult.from_dict(json.loads(json.dumps(result.to_dict()))).reads == result.reads


def test_a_failed_job_tells_what_it_had_read(desk) -> None:
    inputs = {"partition": desk.reference.to_dict(), "trained": {}, "holdout": [desk.current.to_dict()]}
    result = run_job(desk.request("profile", "evaluate", inputs=inputs))
    assert result.status is JobStatus.FAILED
    assert [(read.step, read.partition) for read in result.reads] == [("profile", "2024-01"), ("evaluate", "2024-02")]


def test_a_read_that_failed_is_none(desk) -> None:
    partition = {**desk.reference.to_dict(), "uri": str(desk.root / "gone.parquet")}
    assert run_job(desk.request("profile", inputs={"partition": partition})).reads == ()


def test_steps_that_share_a_frame_have_each_read_it(desk) -> None:
    context = StepContext(desk.request("profile"))
    for step in ("profile", "performance", "profile"):
        context.read(desk.reference, step=step)
    assert [read.step for read in context.reads] == ["profile", "performance"]


def test_hold_outs_are_noted_one_by_one_as_they_are_read(desk) -> None:
    context = StepContext(desk.request("evaluate"))
    frames = context.read_each([desk.reference, desk.current], step="evaluate")
    next(frames)
    assert [read.partition for read in context.reads] == ["2024-01"]
    assert len(next(frames)) == 400
    assert [read.partition for read in context.reads] == ["2024-01", "2024-02"]
    assert context.frames == {}


def test_an_object_of_which_only_the_address_is_known_is_noted_by_it(desk) -> None:
    context = StepContext(desk.request("compare"))
    context.note_read("compare", "s3://bucket/a.csv", ["a"])
    context.note_read("compare", "s3://bucket/b.csv")
    assert [(read.uri, read.columns) for read in context.reads] == [
        ("s3://bucket/a.csv", ("a",)),
        ("s3://bucket/b.csv", None),
    ]


def test_a_large_partition_is_streamed_into_the_same_profile(desk, monkeypatch) -> None:
    request = desk.request("profile", inputs={"partition": desk.current.to_dict()})
    documents = {}
    for limit in (100_000_000, 0):
        monkeypatch.setattr("retrain.jobs.data_steps.STREAMED_BYTES", limit)
        result = run_job(request)
        assert [(read.step, read.uri) for read in result.reads] == [("profile", desk.current.uri)]
        documents[limit] = storage.read_json(result.outputs["profile"]["uri"])["columns"]
    kept = ("kind", "rows", "nulls", "mean", "sketch", "counts")
    of_both = [{name: {k: column[k] for k in kept} for name, column in one.items()} for one in documents.values()]
    assert of_both[0] == of_both[1]
