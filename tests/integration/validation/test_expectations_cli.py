import json

import pandas as pd
import pytest
from click.testing import CliRunner

from retrain.cli.expectations import command
from retrain.exceptions import SuiteError
from retrain.validation import load_suite, validate

pytestmark = pytest.mark.integration


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "january.parquet"
    pd.DataFrame({"city": ["Graz", "Linz"] * 50, "mail": ["a@example.org"] * 100, "y": [0, 1] * 50}).to_parquet(path)
    return str(path)


def run(*arguments):
    result = CliRunner().invoke(command, [str(one) for one in arguments], env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_an_inferred_suite_is_written_checked_and_used(data, tmp_path, suffix):
    output = tmp_path / f"trips.{suffix}"
    said = run("infer", data, "--target", "y", "--pii", "mail", "-o", output)
    assert said.exit_code == 0
    assert "expectations; read it and edit it" in said.stderr
    assert "example.org" not in output.read_text()
    assert load_suite(output).name == "trips"
    assert validate(data, output).status == "pass"
    shown = run("check", output)
    assert shown.exit_code == 0
    assert "expect_label_definition" in shown.stdout
    assert load_suite(output).digest in shown.stdout


def test_without_an_output_the_suite_is_on_the_screen(data):
    suite = json.loads(run("infer", data, "--categorical", "y", "--name", "mine").stdout)
    assert suite["name"] == "mine"
    assert load_suite(suite).expectations


def test_a_suite_that_somebody_may_have_edited_is_not_written_over(data, tmp_path):
    output = tmp_path / "trips.json"
    output.write_text("edited")
    refused = run("infer", data, "-o", output)
    assert (refused.exit_code, output.read_text()) == (2, "edited")
    assert "--force" in refused.stderr
    assert run("infer", data, "-o", output, "--force").exit_code == 0
    assert load_suite(output)


def test_an_output_of_another_kind_is_refused(data, tmp_path):
    assert "neither .json nor .yaml" in run("infer", data, "-o", tmp_path / "suite.txt").stderr


def test_check_says_what_is_wrong(tmp_path):
    (tmp_path / "s.json").write_text('{"expectations": [{"type": "expect_magic", "kwargs": {}}]}')
    with pytest.raises(SuiteError, match=r"expectation 0 \(expect_magic\) is of a type that does not exist"):
        run("check", tmp_path / "s.json")


def test_check_reads_a_function_of_a_project(tmp_path):
    (tmp_path / "suites_for_check.py").write_text(
        "def flights(): return [{'type': 'expect_column_to_exist', 'kwargs': {'column': 'a'}, 'notes': 'why'}]"
    )
    found = json.loads(run("check", "suites_for_check:flights", "--project-root", tmp_path, "--json").stdout)
    assert found["name"] == "flights"
    assert found["expectations"] == [
        {"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "severity": "critical", "notes": "why"}
    ]


def test_names_are_text_and_never_markup_of_the_screen(tmp_path):
    entry = {"type": "expect_column_to_exist", "kwargs": {"column": "[red]a[/nothing]"}, "notes": "[bold]"}
    (tmp_path / "s.json").write_text(json.dumps({"name": "[blink]", "expectations": [entry]}))
    shown = run("check", tmp_path / "s.json").stdout
    assert "[red]a[/nothing]" in shown
    assert "[blink]" in shown


def test_list_shows_the_ready_ones_first_and_finds_by_word():
    everything = list(json.loads(run("list", "--json").stdout))
    assert everything[0] == "expect_batch_freshness"
    assert "expect_column_values_to_be_between" in everything
    found = json.loads(run("list", "LABEL", "--json").stdout)
    assert {"expect_label_definition", "expect_label_share_to_be_between"} <= set(found)
    assert len(found) < 5
    assert "expect_segments_to_be_covered" in run("list").stdout


def test_every_expectation_in_the_list_has_a_line():
    assert all(json.loads(run("list", "--json").stdout).values())
