"""Which versions a deletion touches: by partition, by digest, by the key of a row; and what cannot be looked at."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from retrain.audit.affected import affected_by
from retrain.audit.subjects import Subject
from retrain.cli.registry import command
from retrain.data import describe, write_parquet
from retrain.exceptions import ContractError, DataError, MissingColumnError


def run(story, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(command, ["affected-by", *arguments, "--ledger", story.url])


def versions(found) -> dict[str, list[str]]:
    return {one.version: [hit.key for hit in one.trained] for one in found.affected}


def test_every_version_that_was_trained_on_a_partition_is_named_with_where_it_stands(told) -> None:
    found = affected_by(told.ledger, "returns", partition="2024-02")
    assert versions(found) == {"2": ["2024-02@v1"], "3": ["2024-02@v1"]}
    assert {one.version: one.standing for one in found.versions} == {
        "1": "champion", "2": "previous", "3": "never_champion",
    }  # fmt: skip
    (first, second, _) = found.versions
    assert [hit.key for hit in first.judged] == ["2024-02@v1"]
    assert second.champion_until is not None
    assert first.champion_until is None


def test_a_version_that_was_only_judged_by_it_is_not_affected(told) -> None:
    found = affected_by(told.ledger, "returns", partition="2024-04@v1")
    assert (found.affected, found.open) == ((), ())
    assert [one.version for one in found.versions if one.judged] == ["3"]


def test_a_name_means_all_versions_and_a_version_only_its_own_rows(story) -> None:
    story.partition("2024-01")
    story.partition("2024-01", 2)
    story.partition("2024-02")
    story.judged("1", ["2024-01@v1"], ["2024-02@v1"])
    story.judged("2", ["2024-01@v2"], ["2024-02@v1"])
    assert set(versions(affected_by(story.ledger, "returns", partition="2024-01"))) == {"1", "2"}
    assert set(versions(affected_by(story.ledger, "returns", partition="2024-01@v1"))) == {"1"}


def test_the_same_rows_under_another_version_are_found(story) -> None:
    first = story.partition("2024-01")
    again = {**first.to_dict(), "version": 2}
    story.partition("2024-01", 2, ref=type(first).from_dict(again), replays="2024-01@v1")
    story.partition("2024-02")
    story.judged("1", ["2024-01@v2"], ["2024-02@v1"])
    (hit,) = affected_by(story.ledger, "returns", partition="2024-01@v1").affected[0].trained
    assert (hit.key, hit.why) == ("2024-01@v2", "the very same rows under another version")


def test_rows_that_a_person_let_in_again_and_again_are_followed(story) -> None:
    story.partition("2024-01")
    story.partition("2024-01", 2, released={"of": "2024-01@v1", "by": "ana"})
    story.partition("2024-01", 3, released={"of": "2024-01@v2", "by": "ana"})
    story.partition("2024-02")
    story.judged("1", ["2024-01@v3"], ["2024-02@v1"])
    (hit,) = affected_by(story.ledger, "returns", partition="2024-01@v1").affected[0].trained
    assert hit.why == "rows of 2024-01@v2 that a person let in"


def test_a_digest_is_that_of_the_object_as_it_arrived_or_as_it_was_accepted(told) -> None:
    arrived = told.ledger.get("dataset:orders", "arrived", "2024-03@v1").payload["digest"]
    accepted = told.refs["2024-03@v1"].digest
    for digest in (arrived, accepted, accepted.removeprefix("sha256:")):
        assert versions(affected_by(told.ledger, "returns", digest=digest)) == {"3": ["2024-03@v1"]}


@pytest.mark.parametrize("asked", [{"partition": "2042-01"}, {"partition": "2024-01@v9"}, {"digest": "0" * 64}])
def test_what_the_ledger_does_not_know_is_an_error_and_not_nobody(told, asked: dict[str, str]) -> None:
    with pytest.raises(DataError, match="the ledger knows no"):
        affected_by(told.ledger, "returns", **asked)
    with pytest.raises(DataError, match="knows no version of nobody"):
        affected_by(told.ledger, "nobody", **asked)


def test_a_version_of_which_nothing_is_recorded_is_not_called_unaffected(told) -> None:
    told.change("7", "1", approved_by="ana")
    found = affected_by(told.ledger, "returns", partition="2024-04")
    assert [one.version for one in found.open] == ["7"]
    result = run(told, "returns", "--partition", "2024-04")
    assert result.exit_code == 2
    assert "NOT KNOWN: what it was trained on is not recorded" in result.output


def test_a_verdict_that_does_not_name_versions_is_read_from_its_manifest(story) -> None:
    story.partition("2024-01")
    story.partition("2024-02")
    story.judged("1", ["2024-01@v1"], ["2024-02@v1"], known=[])
    assert versions(affected_by(story.ledger, "returns", partition="2024-01")) == {"1": ["2024-01@v1"]}
    story.judged(
        "2", ["2024-01@v1"], ["2024-02@v1"], known=[], snapshot_uri=f"{story.store}/snapshots/orders/gone.json"
    )
    found = affected_by(story.ledger, "returns", partition="2024-01")
    assert [one.version for one in found.open] == ["2"]
    assert "its snapshot cannot be read" in found.open[0].unknown[0]


def rows(story, tmp_path: Path, name: str, frame: pd.DataFrame, suffix: str = "parquet") -> str:
    """A partition with real rows."""
    uri = str(tmp_path / f"{name}.{suffix}")
    if suffix == "csv":
        frame.to_csv(uri, index=False)
        story.partition(name, ref=describe(uri, partition=name, version=1))
    else:
        story.partition(name, ref=write_parquet(frame, uri, partition=name, version=1))
    return uri


@pytest.fixture
def people(story, tmp_path: Path):
    """Two partitions of rows with keys of all kinds, a third to judge by."""
    kinds: dict[str, list[Any]] = {
        "id": [1, 2, 3],
        "name": ["ana", "Ben", None],
        "gap": [7.0, None, 9.0],
        "day": [date(2024, 5, 1), date(2024, 5, 2), None],
        "flag": [True, False, None],
        "price": [Decimal("1.50"), Decimal("2.00"), None],
    }
    rows(story, tmp_path, "p1", pd.DataFrame(kinds).astype({"name": "category"}))
    rows(story, tmp_path, "p2", pd.DataFrame({**kinds, "id": [3, 4, 4]}))
    rows(story, tmp_path, "p3", pd.DataFrame({**kinds, "id": [9, 9, 9]}))
    story.judged("1", ["p1@v1"], ["p3@v1"])
    story.judged("2", ["p1@v1", "p2@v1"], ["p3@v1"])
    story.change("1", None)
    return story


def search(story, *pairs: str):
    return affected_by(story.ledger, "returns", subject=Subject.parse(pairs))


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (["id=1"], {"1": 1, "2": 1}),
        (["id=3"], {"1": 1, "2": 2}),
        (["id=4"], {"2": 2}),
        (["id=5"], {}),
        (["name=Ben"], {"1": 1, "2": 2}),
        (["name=ben"], {}),
        (["gap=7"], {"1": 1, "2": 2}),
        (["day=2024-05-02"], {"1": 1, "2": 2}),
        (["flag=true"], {"1": 1, "2": 2}),
        (["price=1.5"], {"1": 1, "2": 2}),
        (["id=1", "name=ana"], {"1": 1, "2": 1}),
        (["id=1", "name=Ben"], {}),
    ],
)
def test_a_row_is_found_by_its_key_whatever_the_type_of_the_column(people, pairs, expected) -> None:
    found = search(people, *pairs)
    assert {one.version: sum(hit.rows for hit in one.trained) for one in found.affected} == expected
    assert found.open == ()


def test_a_row_that_was_only_judged_by_is_told_apart(people) -> None:
    found = search(people, "id=9")
    assert found.affected == ()
    assert [[hit.rows for hit in one.judged] for one in found.versions] == [[3], [3]]


def test_a_key_that_no_data_has_or_no_column_can_hold_is_an_error(people) -> None:
    with pytest.raises(MissingColumnError, match="no data of this model has the columns"):
        search(people, "mail=x")
    with pytest.raises(ContractError, match="id is int64"):
        search(people, "id=abc")
    for pairs in (["id"], ["=1"], ["id=1", "id=2"]):
        with pytest.raises(ContractError, match="no column=value"):
            Subject.parse(pairs)


def test_a_copy_that_is_gone_or_holds_other_bytes_leaves_the_answer_open(people, tmp_path: Path) -> None:
    (tmp_path / "p2.parquet").write_bytes(b"other")
    found = search(people, "id=4")
    assert [one.version for one in found.open] == ["2"]
    (tmp_path / "p2.parquet").unlink()
    assert "p2@v1: " in search(people, "id=4").open[0].unknown[0]
    assert [one.version for one in search(people, "id=1").affected] == ["1", "2"]
    assert run(people, "returns", "--key-value", "id=4").exit_code == 2
    assert run(people, "returns", "--key-value", "id=1").exit_code == 1


def test_a_partition_without_the_column_leaves_the_answer_open(people, tmp_path: Path) -> None:
    rows(people, tmp_path, "p4", pd.DataFrame({"other": [1]}))
    people.judged("3", ["p4@v1"], ["p3@v1"])
    assert [one.version for one in search(people, "id=5").open] == ["3"]


def test_rows_in_csv_are_found_too(story, tmp_path: Path) -> None:
    rows(story, tmp_path, "p1", pd.DataFrame({"id": [1, 2], "name": ["ana", "Ben"]}), "csv")
    rows(story, tmp_path, "p2", pd.DataFrame({"id": [3], "name": ["cleo"]}), "csv")
    story.judged("1", ["p1@v1"], ["p2@v1"])
    assert versions(search(story, "id=2", "name=Ben")) == {"1": ["p1@v1"]}
    assert versions(search(story, "id=3")) == {}


def test_the_command_never_shows_the_value_of_a_key(people) -> None:
    for arguments in (["name=Ben"], ["name=Ben", "--json"]):
        result = run(people, "returns", "--key-value", *arguments)
        assert result.exit_code == 1
        assert "Ben" not in result.output
    document = json.loads(run(people, "returns", "--key-value", "id=4", "--json").stdout)
    assert (document["affected"], document["asked"]) == (["2"], "a row with the given id")


def test_the_exit_code_tells_whether_any_is_affected(told) -> None:
    affected = run(told, "returns", "--partition", "2024-01")
    assert affected.exit_code == 1
    assert "version 1, 2, 3 of returns were trained on partition 2024-01" in affected.output
    assert "CHAMPION since" in affected.output
    nobody = run(told, "returns", "--partition", "2024-04")
    assert nobody.exit_code == 0
    assert "no version of returns was trained on partition 2024-04" in nobody.output
    assert run(told, "returns").exit_code == 2
    assert run(told, "returns", "--partition", "2024-04", "--digest", "x").exit_code == 2
    assert run(told, "returns", "--partition", "1999").exit_code == 2
