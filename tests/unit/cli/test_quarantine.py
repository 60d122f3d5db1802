"""`retrain quarantine`: what is listed, what is decided, and what is never shown."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from retrain.cli.quarantine import command
from retrain.ledger import Ledger
from retrain.loop.quarantine import find
from tests.support.feed import Feed


@pytest.fixture
def feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("RETRAIN_LEDGER", url)
    monkeypatch.setenv("COLUMNS", "120")
    with Ledger.open(url, migrate=True) as ledger:
        found = Feed(tmp_path, ledger)
        for name in ("01", "02"):
            found.land(name, 40)
        found.validate(set(range(3, 15)))
        yield found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_what_waits_is_listed_with_its_share_and_reason(feed: Feed) -> None:
    output = run("list").output
    assert [line.split()[:5] for line in output.splitlines()[1:]] == [
        ["orders", "01@v1", "12", "of", "40"],
        ["orders", "02@v1", "12", "of", "40"],
    ]
    assert "expect_x(amount)" in output
    assert [one["key"] for one in json.loads(run("list", "orders", "--json").output)] == ["01@v1", "02@v1"]
    assert run("list", "others").output == "Nothing is set aside.\n"


def test_what_became_of_them_is_listed_with_all(feed: Feed) -> None:
    run("release", "orders", "01", "--reason", "looked at them", "--actor", "ana")
    run("drop", "orders", "02", "--reason", "test rows", "--actor", "bo", "--erase")
    assert run("list").output == "Nothing is set aside.\n"
    lines = run("list", "--all").output.splitlines()
    assert lines[1].rstrip().endswith("released as 01@v2 by ana: looked at them")
    assert lines[2].rstrip().endswith("dropped, erased by bo: test rows")


def test_rows_are_shown_with_what_each_broke_and_private_columns_masked(feed: Feed) -> None:
    output = run("show", "orders", "01", "--rows", "2").output
    assert "[1] expect_x(amount): 12 rows" in output
    # The column that broke comes first.
    assert ["row", "broke", "amount", "id", "who"] in [line.split() for line in output.splitlines()]
    assert ["3", "1", "0.428571", "3", "•••"] in [line.split() for line in output.splitlines()]
    assert "and 10 more rows (--rows)" in output
    assert "buyer" not in output


def test_private_values_are_in_no_format(feed: Feed) -> None:
    result = run("show", "orders", "01", "--rows", "100", "--json")
    document = json.loads(result.output)
    assert document["pii"] == ["who"]
    assert len(document["listed"]) == 12
    assert document["listed"][0] == {
        "row": 3,
        "broke": ["expect_x(amount)"],
        "values": {"id": 3, "who": "•••", "amount": 3 / 7},
    }
    assert "buyer" not in result.output
    for options in (["--all"], ["--all", "--json"]):
        assert "buyer" not in run("list", *options).output
    assert not [option for option in command.commands["show"].params if "pii" in option.name]


def test_a_narrow_terminal_says_how_many_columns_it_leaves_out(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    output = run("show", "orders", "01", "--rows", "1").output
    assert "and 11 more rows (--rows), 2 more columns (--json)" in output


def test_data_gives_no_orders_to_the_terminal(feed: Feed) -> None:
    from retrain.cli.terminal import plain

    assert plain("a\x1b[31mred\nb") == "a�[31mred�b"


def test_a_release_names_the_new_version_and_lies_beside_the_rows(feed: Feed) -> None:
    document = json.loads(run("release", "orders", "01", "--reason", "fine", "--actor", "ana", "--json").output)
    assert (document["released_as"], document["rows"], document["created"]) == ("01@v2", 40, True)
    assert document["uri"].startswith(f"file://{feed.store}/released/orders/01/")
    assert (
        "was released before as 01@v2" in run("release", "orders", "01@v1", "--reason", "fine", "--actor", "ana").output
    )
    feed.validate()
    assert len(feed.accepted()["01@v2"]) == 40


def test_a_drop_says_where_the_bytes_are(feed: Feed) -> None:
    assert (
        "orders 01@v1 is dropped: 12 rows set aside, the bytes are kept"
        in run("drop", "orders", "01", "--reason", "x").output
    )
    assert "are erased from the store" in run("drop", "orders", "02", "--reason", "x", "--erase").output
    result = run("show", "orders", "02")
    assert result.exit_code == 2
    assert "were erased by" in result.output


def test_who_decides_is_the_user_of_the_shell_unless_named(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "shell")
    run("drop", "orders", "01", "--reason", "x")
    run("drop", "orders", "02", "--reason", "x", "--actor", "ana")
    assert [find(feed.ledger, "orders", name).by for name in ("01", "02")] == ["shell", "ana"]


@pytest.mark.parametrize("decision", ["release", "drop"])
def test_a_decision_needs_a_reason(feed: Feed, decision: str) -> None:
    result = run(decision, "orders", "01")
    assert result.exit_code == 2
    assert "Missing option '--reason'" in result.output
    assert find(feed.ledger, "orders", "01").by is None


def test_what_was_decided_is_refused_with_its_reason(feed: Feed) -> None:
    run("drop", "orders", "01", "--reason", "test rows", "--actor", "ana")
    result = run("release", "orders", "01", "--reason", "y", "--actor", "bo")
    assert result.exit_code == 2
    assert "ana has dropped it at" in result.output
    assert "test rows" in result.output


def test_content_that_could_not_be_read_is_listed_and_explained(feed: Feed) -> None:
    feed.land("03")
    feed.refuse()
    assert "unread" in run("list").output
    assert "the content could not be read (open)" in run("show", "orders", "03").output
    result = run("release", "orders", "03", "--reason", "x")
    assert result.exit_code == 2
    assert "there are no rows of 03@v1 to release" in result.output
