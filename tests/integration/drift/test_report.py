import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from retrain import drift
from retrain.cli.drift import command

pytestmark = pytest.mark.integration


def table(seed, shift=0.0, rows=3000):
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "moved": generator.normal(shift, 1, rows),
            "still": generator.normal(0, 1, rows),
            "whole": pd.array(generator.poisson(4, rows), dtype="Int64"),
            "code": generator.choice([f"code{number}" for number in range(60)], rows),
            "flag": generator.random(rows) < 0.5,
            "when": pd.date_range("2013-01-01", periods=rows, freq="min"),
            "id": [f"{seed}-{row}" for row in range(rows)],
        }
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drift")
    paths = {name: str(folder / f"{name}.parquet") for name in ("reference", "current")}
    table(1).to_parquet(paths["reference"])
    table(2, shift=0.5).to_parquet(paths["current"])
    return paths


def test_the_page_draws_the_drivers_and_states_our_verdict():
    page = drift.report(table(1), table(2, shift=0.5))
    assert "Verdict: drift" in page
    assert "moved (feature)" in page
    assert 1_000_000 < len(page) < 5_000_000


def test_columns_that_cannot_be_drawn_are_noted_and_kill_nothing():
    current = table(2).assign(
        moved=np.nan, still=np.inf, flag="yes", code=None, whole=lambda frame: frame["whole"].astype(str)
    )
    page = drift.report(table(1), current.drop(columns="id"))
    for name in ("moved", "still", "code"):
        assert f"<li>{name}: there is no finite value" in page
    assert "<li>id: it is on one side only" in page


def test_an_empty_batch_has_a_page():
    assert "empty_batch" in drift.report(table(1), table(2).iloc[:0])


def test_wide_tables_draw_ten_columns_only():
    generator = np.random.default_rng(0)
    sides = [pd.DataFrame(generator.normal(shift, 1, (2000, 40))).rename(columns=str) for shift in (0, 1)]
    assert len(drift.report(*sides)) < 5_000_000


def test_the_command_line_profiles_compares_and_draws(files, tmp_path):
    runner = CliRunner()
    profile, page = tmp_path / "reference.json", tmp_path / "report.html"
    assert runner.invoke(command, ["profile", files["reference"], "-o", str(profile)]).exit_code == 0
    compared = runner.invoke(command, ["compare", "--reference", str(profile), "--current", files["current"], "--json"])
    assert compared.exit_code == 0
    expected = drift.compare(drift.profile(files["reference"]), drift.profile(files["current"]))
    assert json.loads(compared.output) == expected.to_dict()
    sides = ["--reference", str(profile), "--current", files["current"]]
    drawn = runner.invoke(command, ["report", *sides, "-o", str(page)])
    assert drawn.exit_code == 0
    assert "Verdict: drift" in page.read_text()


def test_only_fail_on_turns_a_verdict_into_an_exit_code(files):
    runner = CliRunner()
    moved = ["compare", "--reference", files["reference"], "--current", files["current"]]
    assert runner.invoke(command, moved).exit_code == 0
    assert runner.invoke(command, [*moved, "--fail-on", "drift"]).exit_code == 1
    same = ["compare", "--reference", files["reference"], "--current", files["reference"], "--fail-on", "drift"]
    assert runner.invoke(command, same).exit_code == 0
