"""The bundle of evidence: sealed, proven against the ledger, and what does not hold is named."""

import copy
import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result

from retrain.audit.evidence import bundle, digest_of, from_text, prove, to_text
from retrain.cli.registry import command
from retrain.exceptions import ContractError, DataError

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def made(story, version: str = "2") -> dict[str, Any]:
    """A bundle after its way through a file."""
    return from_text(to_text(bundle(story.ledger, "returns", version, now=NOON, made_by="ana")), "file")


def failing(document: dict[str, Any], story) -> dict[str, str]:
    return {proof.name: proof.said for proof in prove(document, story.ledger) if not proof.holds}


def resealed(document: dict[str, Any]) -> dict[str, Any]:
    """As one who alters a bundle and knows how its digest is made."""
    return {**document, "digest": digest_of(document)}


def tamper(story, statement: str) -> None:
    story.ledger.close()
    with sqlite3.connect(story.url.removeprefix("sqlite:///")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        assert connection.execute(statement).rowcount >= 1
    connection.close()


@pytest.mark.parametrize("version", ["1", "2", "3", "champion"])
def test_a_bundle_holds_against_the_ledger_that_it_was_made_of(told, version: str) -> None:
    assert failing(made(told, version), told) == {}


def test_the_same_record_at_the_same_time_gives_the_same_bundle(told) -> None:
    assert made(told) == made(told)


def test_what_happens_later_does_not_break_a_bundle(told) -> None:
    document = made(told)
    told.watched("2024-05@v1", "2")
    told.partition("2024-05")
    told.change("2", "1")
    told.judged("2", ["2024-03@v1"], ["2024-05@v1"])
    assert failing(document, told) == {}
    assert made(told)["events"] != document["events"]


@pytest.mark.parametrize("section", ["gate", "data", "production", "asked_for", "since", "training", "holdout"])
def test_a_fact_of_the_ledger_that_was_altered_shows_even_with_a_new_digest(told, section: str) -> None:
    document = made(told)
    document["ledger"][section] = None if section == "gate" else []
    if section in ("data", "training"):
        document["ledger"][section] = {**made(told)["ledger"][section], "frame": "sha256:other"}
    assert set(failing(document, told)) == {"digest", "facts"}
    assert failing(resealed(document), told)["facts"] == f"these are not what the events say: {section}"


def test_an_event_that_was_left_out_shows(told) -> None:
    told.append("model:returns", "rejected", "a", {"version": "2", "by": "ben", "comment": "no"})
    document = made(told)
    document["ledger"]["answers"] = []
    document["events"] = [one for one in document["events"] if one["kind"] != "rejected"]
    found = failing(resealed(document), told)
    assert "was left out" in found["events"]
    assert found["facts"].endswith(": answers")


def test_an_event_that_never_was_shows(told) -> None:
    document = made(told)
    document["events"].append({**document["events"][0], "sequence": 9999})
    assert "model:returns 9999 is not in this ledger" in failing(resealed(document), told)["events"]


def test_what_mlflow_said_is_protected_by_the_digest(told) -> None:
    document = made(told)
    document["mlflow"] = {"code": "sha256:other"}
    assert set(failing(document, told)) == {"digest"}


def test_another_manifest_than_the_ledgers_shows(told) -> None:
    document = made(told)
    document["store"]["digest"] = "sha256:other"
    assert "the store's manifest is sha256:other" in failing(resealed(document), told)["snapshot"]


def test_an_event_that_was_changed_in_the_ledger_shows_in_a_bundle_of_before_and_of_after(told) -> None:
    before = made(told)
    tamper(told, "UPDATE retrain_events SET payload = replace(payload, 'pass', 'fail') WHERE kind = 'judged'")
    found = failing(before, told)
    assert set(found) == {"facts", "chain"}
    assert "was changed" in found["chain"]
    after = made(told)
    assert not after["chain"]["ok"]
    assert "was changed" in after["chain"]["problems"][0]["what"]


def test_a_tail_that_was_cut_off_shows(told) -> None:
    document = made(told)
    tamper(told, "DELETE FROM retrain_events WHERE kind = 'rolled_back'")
    found = failing(document, told)
    assert "is not in this ledger" in found["events"]
    assert "is missing" in found["chain"]


def test_another_ledger_does_not_prove_it(told, tmp_path_factory) -> None:
    from tests.support.story import Story

    document = made(told)
    other = Story(tmp_path_factory.mktemp("other"))
    assert set(failing(document, other)) == {"events", "facts", "chain"}
    other.ledger.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "is no bundle of evidence"),
        ('{"format": "retrain.evidence/2"}', "is no bundle of evidence"),
        ('{"format": "retrain.evidence/1"}', "lacks"),
    ],
)
def test_what_is_no_bundle_is_refused(text: str, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        from_text(text, "file")


@pytest.mark.parametrize("field", ["ledger", "events", "chain", "made"])
def test_a_bundle_that_is_built_otherwise_inside_is_an_error_and_not_a_crash(told, field: str) -> None:
    document = made(told)
    document[field] = 7
    document["ledger"] = {} if field == "made" else document["ledger"]
    with pytest.raises(ContractError, match="not built as its format says"):
        prove(document, told.ledger)


def test_numbers_that_json_does_not_know_are_not_in_it(told) -> None:
    told.append("model:returns", "rejected", "a", {"version": "2", "comment": "ümlaut \u2028 </script>"})
    text = to_text(bundle(told.ledger, "returns", "2", now=NOON))
    assert failing(from_text(text, "file"), told) == {}


def test_an_unknown_version_has_no_evidence(told) -> None:
    with pytest.raises(DataError, match="knows no version 8"):
        bundle(told.ledger, "returns", "8", now=NOON)


def run(story, *arguments: str) -> Result:
    return CliRunner(env={"MLFLOW_TRACKING_URI": None}).invoke(command, ["evidence", *arguments, "--ledger", story.url])


def test_the_command_writes_both_files_and_verifies_one(told, tmp_path) -> None:
    folder = tmp_path / "out"
    result = run(told, "returns", "2", "-o", str(folder), "--actor", "ana")
    assert result.exit_code == 0, result.output
    assert "without mlflow (not asked)" in result.stderr
    file = folder / "returns-2-evidence.json"
    assert (folder / "returns-2-evidence.html").read_text().startswith("<!DOCTYPE html>")
    assert json.loads(file.read_text())["made"]["by"] == "ana"
    proven = run(told, "--verify", str(file))
    assert proven.exit_code == 0
    assert "the evidence of returns@2 holds" in proven.output
    document = copy.deepcopy(json.loads(file.read_text()))
    document["ledger"]["gate"]["metric"] = 0.99
    file.write_text(to_text(document))
    refuted = run(told, "--verify", str(file))
    assert refuted.exit_code == 1
    assert "FAILS  facts" in refuted.output
    assert json.loads(run(told, "--verify", str(file), "--json").stdout)["holds"] is False
    file.write_text("no bundle")
    assert run(told, "--verify", str(file)).exit_code == 2
    assert run(told).exit_code == 2
