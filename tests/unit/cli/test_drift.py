import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from retrain.cli.drift import command
from retrain.ledger import Ledger


@pytest.fixture
def months(tmp_path):
    paths = []
    for month in range(4):
        generator = np.random.default_rng(month)
        table = pd.DataFrame(
            {"x": generator.normal(3.0 * (month == 3), 1, 300), "c": generator.choice(list("ab"), 300)}
        )
        paths.append(str(tmp_path / f"2013-0{month + 1}.parquet"))
        table.to_parquet(paths[-1])
    return paths


def run(*arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_history_judges_partitions_one_after_the_other(months):
    lines = [json.loads(line) for line in run("history", "--reference", months[0], "--json", *months[1:]).splitlines()]
    assert [line["status"] for line in lines] == ["ok", "ok", "drift"]
    assert [line["partition"] for line in lines] == months[1:]


def test_compare_prints_the_dictionary_of_the_verdict(months):
    verdict = json.loads(run("compare", "--reference", months[0], "--current", months[3], "--json"))
    assert (verdict["status"], verdict["drivers"], verdict["kinds"]) == ("drift", ["x"], ["feature"])


def test_a_profile_file_stands_for_its_data(months, tmp_path):
    run("profile", months[0], "-o", tmp_path / "january.json")
    by_profile = run("compare", "--reference", tmp_path / "january.json", "--current", months[3], "--json")
    assert by_profile == run("compare", "--reference", months[0], "--current", months[3], "--json")


def test_the_report_is_a_picture_where_its_name_says_so(months, tmp_path):
    pytest.importorskip("matplotlib")
    run("report", "--reference", months[0], "--current", months[3], "-o", tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    run("history", "--reference", months[0], "-o", tmp_path / "all.png", *months[1:])
    assert (tmp_path / "all.png").stat().st_size > 10_000


def test_our_page_is_drawn_where_the_summary_is_asked_for_and_with_it_the_history(months, tmp_path):
    pytest.importorskip("matplotlib")
    run("report", "--summary", "--reference", months[0], "--current", months[3], "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "data:image/png;base64," in page
    assert ">drift</b>" in page
    assert len(page) < 500_000
    run("history", "--season", "year", "--reference", months[0], "-o", tmp_path / "all.html", *months[1:])
    assert "2013-04" in (tmp_path / "all.html").read_text()


def test_history_lists_what_the_ledger_holds_of_a_model(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    with Ledger.open(url, migrate=True) as ledger:
        for version, status in ((1, "drift"), (2, "ok")):
            drift = {"status": status, "drivers": ["x"] * (status == "drift"), "severity": "low", "kinds": ["feature"]}
            payload = {
                "partition": "2013-01",
                "version": version,
                "drift": drift if status == "drift" else {"status": "ok"},
            }
            ledger.append("model:m", "watched", f"2013-01@v{version}", payload)
        payload = {"partition": "2013-02", "version": 1, "drift": drift | {"status": "drift", "drivers": ["x", "c"]}}
        ledger.append("model:m", "watched", "2013-02@v1", payload)
    told = run("history", "--model", "m", "--ledger", url)
    assert told.splitlines() == ["2013-01: ok", "2013-02: drift low  feature: x, c"]
    first, second = (
        json.loads(line) for line in run("history", "--model", "m", "--ledger", url, "--json").splitlines()
    )
    assert (first["version"], second["drivers"]) == (2, ["x", "c"])


@pytest.mark.parametrize(
    "arguments", [["history"], ["history", "--model", "m"], ["history", "--reference", "a.parquet"]]
)
def test_a_history_of_nothing_says_what_it_takes(arguments, monkeypatch):
    monkeypatch.delenv("RETRAIN_LEDGER", raising=False)
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert "--model" in result.output
