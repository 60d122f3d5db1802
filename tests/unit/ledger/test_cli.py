import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from retrain.cli.ledger import command
from retrain.ledger import Ledger


@pytest.fixture
def run(url, monkeypatch):
    monkeypatch.setenv("RETRAIN_LEDGER", url)

    def invoke(*arguments: str):
        return CliRunner().invoke(command, list(arguments))

    return invoke


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    ledger.append("model:a", "trained", "1", {"auc": 0.62}, actor="dag/run/task")
    ledger.append("model:a", "promoted", "1", {"größe": "[bold]"})
    ledger.append("dataset:b", "arrived", "[red]2013-01", {})
    return ledger


def test_migrate_makes_a_ledger(run, url):
    assert run("log").exit_code == 2

    result = run("migrate")

    assert (result.exit_code, result.output) == (0, f"{url} is ready\n")
    assert run("log").exit_code == 0


def test_without_a_ledger_the_option_is_asked_for():
    result = CliRunner().invoke(command, ["log"])

    assert result.exit_code == 2
    assert "--ledger" in result.output


def test_log_prints_events_as_a_table_or_as_json(run, filled):
    assert json.loads(run("log", "--json").output) == [event.to_dict() for event in filled.events()]
    assert [event["kind"] for event in json.loads(run("log", "model:a", "--json").output)] == ["trained", "promoted"]
    assert [event["kind"] for event in json.loads(run("log", "--limit", "2", "--json").output)] == [
        "promoted",
        "arrived",
    ]
    chosen = run("log", "--kind", "trained", "--kind", "arrived", "--json")
    assert [event["stream"] for event in json.loads(chosen.output)] == ["model:a", "dataset:b"]
    table = run("log").output
    assert "dag/run/task" in table
    assert "[red]2013-01" in table


def test_show_prints_one_event_by_number_or_identity(run, filled):
    by_number, by_identity = run("show", "model:a", "2", "--json"), run("show", "model:a", "promoted", "1", "--json")

    assert json.loads(by_number.output) == json.loads(by_identity.output) == filled.at("model:a", 2).to_dict()
    assert '"größe": "[bold]"' in run("show", "model:a", "2").output


@pytest.mark.parametrize("which", [["9"], ["trained", "9"], ["trained"], ["a", "b", "c"]])
def test_show_ends_with_2_when_there_is_no_such_event(run, filled, which):
    assert run("show", "model:a", *which).exit_code == 2


def test_verify_ends_with_0_when_the_chain_is_intact(run, filled, url):
    result = run("verify")

    assert (result.exit_code, result.output) == (0, f"{url}: 3 events in 2 streams, the chain is intact\n")
    assert json.loads(run("verify", "--json").output)["heads"]["model:a"]["sequence"] == 2


def test_verify_ends_with_1_and_the_problems(run, filled, url):
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER retrain_events_no_update")
        connection.exec_driver_sql("UPDATE retrain_events SET actor = 'me' WHERE stream = 'model:a' AND sequence = 1")

    result = run("verify")

    assert result.exit_code == 1
    assert "model:a event 1: was changed" in result.output
    assert json.loads(run("verify", "--json").output)["problems"][0]["sequence"] == 1
    assert run("verify", "dataset:b").exit_code == 0


def test_verify_compares_with_former_heads(run, filled, url, tmp_path):
    kept = tmp_path / "heads.json"
    kept.write_text(run("verify", "--json").output)
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER retrain_events_no_delete")
        connection.exec_driver_sql("DELETE FROM retrain_events WHERE stream = 'model:a' AND sequence = 2")

    assert run("verify").exit_code == 0
    assert run("verify", "dataset:b", "--heads", str(kept)).exit_code == 0
    result = run("verify", "--heads", str(kept))
    assert result.exit_code == 1
    assert "model:a event 2: is missing" in result.output


def test_verify_ends_with_2_when_it_could_not_verify(run, filled, tmp_path):
    (tmp_path / "heads.json").write_text("[]")

    assert run("verify", "--heads", str(tmp_path / "heads.json")).exit_code == 2
    assert run("verify", "model:typo").exit_code == 2
    assert run("verify", "--ledger", "mysql://h/d").exit_code == 2
