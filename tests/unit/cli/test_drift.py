import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from retrain.cli.drift import command


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
