import json

import pytest
from click.testing import CliRunner

from retrain.cli.decide import command
from retrain.exceptions import ContractError
from retrain.policy import History, NewData


@pytest.fixture
def files(tmp_path):
    history, policy = tmp_path / "history.json", tmp_path / "policy.json"
    facts = History(model="m", available=4, champion="1", new_partitions=("a", "b"))
    history.write_text(json.dumps(facts.to_dict()))
    policy.write_text(json.dumps([NewData(2).to_dict()]))
    return str(history), "--policy", str(policy)


def test_decision_is_said_with_its_reasons(files):
    result = CliRunner().invoke(command, [*files, "--now", "2026-03-01T00:00:00+00:00"])
    assert result.exit_code == 0
    assert result.stdout.startswith("retrain: yes (new_data)\n  - new data: 2 reaches 2")


def test_json_is_the_decision(files):
    result = CliRunner().invoke(command, [*files, "--json"])
    assert json.loads(result.stdout)["trigger"] == "new_data"


def test_history_comes_from_standard_input_too(files):
    result = CliRunner().invoke(command, ["-", *files[1:]], input=json.dumps({"model": "m", "champion": "1"}))
    assert result.stdout.startswith("retrain: no")


def test_a_file_that_is_no_policy_is_named(files):
    result = CliRunner().invoke(command, [files[0], "--policy", files[0]])
    assert isinstance(result.exception, ContractError)
    assert "history.json holds a JSON dict" in str(result.exception)
    assert isinstance(CliRunner().invoke(command, [*files, "--now", "2026-03-01"]).exception, ContractError)
