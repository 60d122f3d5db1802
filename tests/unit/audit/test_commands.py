"""`retrain registry at | why | diff` on a ledger."""

import json

import pytest
from click.testing import CliRunner, Result

from retrain.cli.registry import command
from tests.unit.audit.test_evidence import tamper


def run(story, *arguments: str) -> Result:
    return CliRunner(env={"MLFLOW_TRACKING_URI": None, "COLUMNS": "200"}).invoke(
        command, [*arguments, "--ledger", story.url]
    )


def test_at_says_what_was_in_production_and_1_where_nothing_was(told) -> None:
    now = run(told, "at", "returns", "now")
    assert now.exit_code == 0
    assert "version 1 of returns was in production" in now.output
    assert "until   today" in now.output
    before = run(told, "at", "returns", "2020-01-01")
    assert (before.exit_code, before.stdout) == (1, "")
    assert "no version of returns was in production at 2020-01-01 00:00:00 UTC" in before.stderr
    found = json.loads(run(told, "at", "returns", "now", "--json").stdout)["in_production"]
    assert (found["version"], found["previous"], found["until"]) == ("1", "2", None)
    nothing = run(told, "at", "returns", "2020-01-01", "--json")
    assert (nothing.exit_code, json.loads(nothing.stdout)["in_production"]) == (1, None)


@pytest.mark.parametrize(
    "arguments",
    [
        ("at", "returns", "soon"),
        ("at", "returns", "2999-01-01"),
        ("why", "returns", "9"),
        ("diff", "returns", "1", "9"),
    ],
)
def test_what_cannot_be_answered_ends_with_2_and_says_what_to_do(told, arguments) -> None:
    result = run(told, *arguments)
    assert result.exit_code == 2
    assert "Expected" in result.stderr


def test_why_is_about_the_champion_unless_a_version_is_named(told) -> None:
    assert run(told, "why", "returns").output.startswith("returns, version 1\n")
    output = run(told, "why", "returns", "2").output
    assert "asked for by\n  dag:returns.data" in output
    assert "mlflow (not asked): no tracking URI was given" in output
    document = json.loads(run(told, "why", "returns", "2", "--json").stdout)
    assert document["words"]["judged"][0].startswith("pass, against version 1")
    assert document["ledger"]["gate"]["verdict"]["interval"] == [0.001, 0.019]


@pytest.mark.parametrize(
    "arguments",
    [("at", "returns", "now"), ("why", "returns"), ("diff", "returns", "1", "2"), ("champion", "returns"),
     ("history", "returns")],
)  # fmt: skip
def test_what_a_ledger_says_that_was_tampered_with_is_told_with_a_warning(told, arguments) -> None:
    assert run(told, *arguments).stderr == ""
    tamper(told, "UPDATE retrain_events SET actor = 'eve' WHERE kind = 'promoted'")
    result = run(told, *arguments)
    assert result.exit_code == 0
    assert "the ledger of returns was tampered with, this may be untrue: see `retrain ledger verify`" in result.stderr


def test_what_came_from_data_cannot_steer_a_terminal(told) -> None:
    told.append("model:returns", "rejected", "a", {"version": "2", "by": "x", "comment": "\x1b[2Jgone"})
    assert "\x1b" not in run(told, "why", "returns", "2").output


def test_diff_shows_each_section(told) -> None:
    output = run(told, "diff", "returns", "1", "2").output
    assert "data: 4 differ, 1 is the same" in output
    assert "code: not known" in output
    assert "do not compare the models" in output
    document = json.loads(run(told, "diff", "returns", "1", "2", "--json").stdout)
    assert [one["name"] for one in document["sections"]] == [
        "data", "code", "parameters", "environment", "metrics", "gate",
    ]  # fmt: skip
