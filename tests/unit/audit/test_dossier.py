"""What the record tells of a version: the ledger's facts, and what is said when a source does not answer."""

import json
from pathlib import Path

import pytest

from retrain.audit import follow, open_dossier
from retrain.audit.differences import compare
from retrain.audit.words import explain, listed, number
from retrain.data import storage
from retrain.exceptions import DataError
from retrain.registry import RegistryClient
from retrain.training.frames import description_uri

DEAD = "http://127.0.0.1:9"


def words(dossier) -> dict[str, str]:
    return {one.title: "\n".join(one.lines) for one in explain(dossier)}


def test_a_version_rests_on_its_own_events_only(told) -> None:
    trail = follow(told.ledger, "returns", "2")
    assert [(event.kind, event.key) for event in trail.events if event.stream == "model:returns"] == [
        ("decided", "returns.data/run-2"),
        ("read", "returns.train/run-2/train/1"),
        ("judged", "returns.train/run-2"),
        ("promoted", "2#8"),
        ("watched", "2024-04@v1"),
        ("rolled_back", "1#13"),
    ]
    assert {event.key for event in trail.events if event.stream == "dataset:orders"} == {
        "2024-01@v1", "2024-02@v1", "2024-03@v1",
    }  # fmt: skip
    assert trail.dataset == "orders"


def test_the_digests_in_the_ledger_give_the_snapshot_without_the_store(told) -> None:
    data = open_dossier(told.ledger, "returns", "2").ledger["data"]
    assert (data["proven"], data["rows"], data["quarantined_rows"]) == (True, 194, 6)
    assert [one["digest"] for one in data["partitions"]] == [told.refs[f"2024-0{n}@v1"].digest for n in (1, 2)]


def test_a_snapshot_that_the_ledgers_digests_do_not_give_is_said_so(told) -> None:
    wrong = told.ledger.get("model:returns", "judged", "returns.train/run-1").payload["snapshot_uri"]
    told.judged("4", ["2024-01@v1", "2024-04@v1"], ["2024-03@v1"], snapshot_uri=wrong)
    dossier = open_dossier(told.ledger, "returns", "4")
    assert dossier.ledger["data"]["proven"] is False
    assert "BUT the ledger's digests give another one" in words(dossier)["trained on"]


def test_each_time_in_production_is_told_with_its_end(told) -> None:
    heard = open_dossier(told.ledger, "returns", "1").ledger["production"]
    assert [(one["how"], one["replaced_by"], one["actor"]) for one in heard] == [
        ("promoted", "2", "dag:x"),
        ("rolled_back", None, "ana"),
    ]
    second = words(open_dossier(told.ledger, "returns", "2"))["now"]
    assert "when it was rolled back to version 1" in second
    assert "why it was rolled back: why 1" in second


def test_why_tells_what_asked_on_what_data_by_what_gate_and_who(told) -> None:
    heard = words(open_dossier(told.ledger, "returns", "champion"))
    assert "enough new data had come\n- new data: 3 of 3" in heard["asked for by"]
    assert "97 rows of 1 partitions of orders: 2024-01@v1" in heard["trained on"]
    assert "3 rows were set aside" in heard["trained on"]
    assert "judged on 2024-02@v1 (97 rows)" in heard["trained on"]
    assert "DAG bundle git at c0ffee\nrun returns.train / run-1, task train" in heard["made from"]
    assert "pass, without a champion to compare with" in heard["judged"]
    assert "margin 0.01 at 95% confidence" in heard["judged"]
    assert "rolled back to by ana" in heard["who said so"]
    assert "2024-03@v1: drift drift (items), performance ok, metric 0.68 against 0.7" in heard["seen since"]


def test_a_version_that_failed_its_gate_was_never_in_production(told) -> None:
    heard = words(open_dossier(told.ledger, "returns", "3"))
    assert heard["now"] == "never in production"
    assert heard["who said so"] == "nobody: it was never promoted"
    assert heard["judged"].startswith("fail, against version 2")


def test_a_persons_answer_is_told_with_the_comment(told) -> None:
    told.append("model:returns", "rejected", "a1", {"version": "3", "by": "Ben", "comment": "too few rows"})
    told.append("model:returns", "approved", "a2", {"version": "3", "by": None, "note": "nobody answered"})
    heard = words(open_dossier(told.ledger, "returns", "3"))["who said so"]
    assert "Ben rejected it" in heard
    assert ": too few rows" in heard
    assert "nobody approved it" in heard
    assert ": nobody answered" in heard


def test_a_guard_its_alarm_and_the_retirement_are_told(story) -> None:
    story.change("1", None)
    story.change("2", "1")
    seen = {"version": "2", "alarm": None, "reason": "it serves", "target": None, "refused": None}
    story.append("model:returns", "guarded", "g1", seen)
    story.append("model:returns", "guarded", "g2", {**seen, "alarm": "decay", "reason": "worse", "refused": "gone"})
    check = {"status": "pass", "reasons": []}
    story.change("1", "2", "rolled_back", alarm="decay", check=check)
    story.append("model:returns", "retired", "2", {"version": "2", "reason": "an alarm"}, actor="dag:returns.data")
    heard = words(open_dossier(story.ledger, "returns", "2"))
    assert "why it was rolled back: why 1 (alarm: decay)" in heard["now"]
    assert "retired by dag:returns.data" in heard["who said so"]
    assert "no alarm, it serves" in heard["seen since"]
    assert "alarm (decay), worse; no way back: gone" in heard["seen since"]
    assert "it was loaded before that: pass" in words(open_dossier(story.ledger, "returns", "1"))["now"]


def test_a_version_that_was_promoted_by_hand_is_told_as_far_as_it_is_known(story) -> None:
    story.change("7", None, approved_by="ana", run_id="run", model_uri="models:/m-7")
    dossier = open_dossier(story.ledger, "returns", "7")
    told = words(dossier)
    assert told["trained on"] == "unknown: no training of it is recorded"
    assert told["judged"] == "by no gate that is recorded"
    assert "approved by ana" in told["who said so"]
    assert dossier.ledger["training"]["run_id"] == "run"
    json.dumps(dossier.to_dict(), allow_nan=False)


def test_a_partition_that_a_person_let_in_is_named(story) -> None:
    story.partition("2024-01")
    story.partition("2024-02", 2, released={"of": "2024-02@v1", "by": "ana", "reason": "the till was down"})
    story.judged("1", ["2024-02@v2"], ["2024-01@v1"])
    assert (
        "2024-02@v2 was let in by ana: the till was down"
        in words(open_dossier(story.ledger, "returns", "1"))["trained on"]
    )


def test_a_source_that_is_down_is_named_and_the_rest_is_shown(story, tmp_path: Path) -> None:
    told = story.three_versions()
    manifest = open_dossier(told.ledger, "returns", "1").ledger["data"]["snapshot_uri"]
    storage.filesystem(manifest)[0].rm(manifest.removeprefix("file://"))
    dossier = open_dossier(told.ledger, "returns", "1", client=RegistryClient(DEAD))
    assert [(one.name, one.status.value) for one in dossier.sources] == [
        ("ledger", "ok"), ("store", "missing"), ("mlflow", "down"),
    ]  # fmt: skip
    heard = words(dossier)
    assert "did not answer" in heard["could not be asked"]
    assert "97 rows of 1 partitions" in heard["trained on"]


def test_an_unknown_version_is_an_error_that_names_the_known_ones(told) -> None:
    with pytest.raises(DataError, match=r"knows no version 9 of returns.*one of 1, 2, 3"):
        open_dossier(told.ledger, "returns", "9")
    with pytest.raises(DataError, match="nobody has no champion"):
        open_dossier(told.ledger, "nobody", "champion")


def sections(story, first: str, second: str) -> dict:
    one, two = (open_dossier(story.ledger, "returns", version) for version in (first, second))
    return {section.name: section for section in compare(one, two).sections}


def test_versions_differ_in_partitions_by_digest_and_the_rest_is_counted(told) -> None:
    told.partition("2024-01", 2)
    told.judged("4", ["2024-01@v2", "2024-02@v1"], ["2024-03@v1"])
    data = sections(told, "2", "4")["data"]
    changed = {change.name: (change.first, change.second) for change in data.changes}
    assert data.same == 1
    assert [name for name in changed if name.startswith("partition")] == ["partition 2024-01"]
    assert changed["partition 2024-01"][1] == f"2024-01@v2 {told.refs['2024-01@v2'].digest}"
    assert "snapshot" in changed


def test_what_nobody_knows_is_unknown_and_not_the_same(told) -> None:
    found = sections(told, "1", "2")
    assert "not known of both" in found["code"].unknown
    assert "not known of both" in found["parameters"].unknown
    assert found["environment"].unknown is not None


def test_code_and_parameters_that_the_ledger_holds_are_compared(story) -> None:
    story.partition("2024-01")
    story.partition("2024-02")
    for version, code, params in (("1", "a", {"depth": 3}), ("2", "b", {"depth": 3, "rate": 0.1}), ("3", "b", {})):
        story.judged(version, ["2024-01@v1"], ["2024-02@v1"], code=code, params=params)
    found = sections(story, "1", "2")
    assert [(one.name, one.first, one.second) for one in found["code"].changes] == [("digest", "a", "b")]
    assert [(one.name, one.first, one.second) for one in found["parameters"].changes] == [("rate", None, 0.1)]
    assert (found["parameters"].same, found["data"].changes, found["metrics"].note) == (1, (), None)
    assert sections(story, "3", "3")["parameters"].unknown is None


def test_the_environment_that_the_ledger_holds_is_compared_and_comes_before_what_the_store_says(story) -> None:
    story.partition("2024-01")
    story.partition("2024-02")
    for version, pandas in (("1", "2.2"), ("2", "2.3")):
        environment = {"python": "3.11.9", "pandas": pandas}
        story.judged(version, ["2024-01@v1"], ["2024-02@v1"], environment=environment, frame=f"sha256:{version}")
        uri = open_dossier(story.ledger, "returns", version).ledger["data"]["snapshot_uri"]
        described = description_uri(uri, "returns", f"sha256:{version}")
        storage.write_json(described, {"libraries": {"pandas": "0.1"}})
    second = open_dossier(story.ledger, "returns", "2")
    assert second.store["environment"] == {"pandas": "0.1"}
    assert "libraries pandas 2.3, python 3.11.9" in words(second)["made from"]
    found = sections(story, "1", "2")["environment"]
    assert [(one.name, one.first, one.second) for one in found.changes] == [("pandas", "2.2", "2.3")]
    assert (found.same, found.unknown) == (1, None)


def test_numbers_of_other_rows_are_not_called_comparable(told) -> None:
    assert "do not compare the models" in sections(told, "1", "2")["metrics"].note


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.123456, "0.1235"), (28128.0, "28,128"), (1500, "1,500"), (True, "true"), ("x", "x")],
)
def test_numbers_are_written_for_people(value, text: str) -> None:
    assert number(value) == text


def test_a_long_list_is_cut_and_counted() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(n) for n in range(100)]).endswith("98, 99 (100 in all)")


def test_labels_that_came_apart_are_part_of_the_proof_and_of_the_answer_to_a_deletion(story) -> None:
    from retrain.audit.affected import affected_by
    from retrain.records import DataRef

    story.partition("2024-01")
    story.partition("2024-02")
    joined = DataRef(f"{story.store}/joined", "parquet", "2024-01", 1, "sha256:joined", 90, labels=2)
    payload = {"partition": "2024-01", "version": 1, "labels": 2, "accepted": joined.to_dict(), "unlabelled": 7}
    story.append("dataset:orders", "labelled", "2024-01@v1+l2", payload)
    story.refs["2024-01@v1+l2"] = joined
    story.judged("1", ["2024-01@v1+l2"], ["2024-02@v1"])
    data = open_dossier(story.ledger, "returns", "1").ledger["data"]
    (partition,) = data["partitions"]
    assert (data["proven"], partition["rows"], partition["unlabelled"]) == (True, 90, 7)
    for asked in ({"partition": "2024-01@v1"}, {"digest": "sha256:joined"}, {"partition": "2024-01@v1+l2"}):
        (hit,) = affected_by(story.ledger, "returns", **asked).affected[0].trained
        assert hit.key == "2024-01@v1+l2"
