import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from retrain.cli.judge import command
from retrain.exceptions import ConfigurationError, MissingColumnError


@pytest.fixture
def predictions(tmp_path):
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 3000)
    common = generator.normal(size=3000)
    frame = pd.DataFrame({
        "y_true": y,
        "old": y + common,
        "same": y + common + 0.05 * generator.normal(size=3000),
        "worse": generator.normal(size=3000),
        "group": np.where(np.arange(3000) < 1500, "a", "b"),
    })  # fmt: skip
    path = tmp_path / "predictions.parquet"
    frame.to_parquet(path)
    return str(path)


def _run(*arguments):
    return CliRunner().invoke(command, [*arguments, "--metric", "roc_auc", "--margin", "0.01"])


@pytest.mark.parametrize(("challenger", "code", "status"), [("same", 0, "pass"), ("worse", 1, "fail")])
def test_exit_code_is_the_status(predictions, challenger, code, status):
    result = _run(predictions, "--champion", "old", "--challenger", challenger, "--slice-by", "group")
    assert result.exit_code == code, result.output
    assert result.output.startswith(status)
    assert "group=a" in result.output


def test_inconclusive_has_a_code_of_its_own(predictions, tmp_path):
    few = tmp_path / "few.csv"
    pd.read_parquet(predictions).head(20).to_csv(few, index=False)
    assert _run(str(few), "--champion", "old", "--challenger", "same").exit_code == 3


def test_without_champion_it_is_a_cold_start(predictions):
    result = _run(predictions, "--challenger", "old", "--json")
    assert json.loads(result.stdout)["cold_start"] is True


def test_missing_column_is_named(predictions):
    result = _run(predictions, "--champion", "older", "--challenger", "same")
    assert isinstance(result.exception, MissingColumnError)
    assert "'older'" in str(result.exception)


def test_slices_by_expression_and_found_ones_and_conditions_are_judged(predictions, tmp_path):
    conditions = tmp_path / "conditions.json"
    conditions.write_text(
        json.dumps([{"kind": "fairness_gap", "column": "group", "maximum": 0.2, "metric": "roc_auc"}])
    )
    result = _run(
        predictions, "--champion", "old", "--challenger", "same", "--slice-where", "first=group == 'a'",
        "--find-slices", "2", "--conditions", str(conditions), "--minimum", "0.5", "--json",
    )  # fmt: skip
    document = json.loads(result.output)
    assert [condition["name"] for condition in document["conditions"]] == [
        "minimum",
        "fairness_gap roc_auc group",
        "slices",
    ]
    assert document["slices"]["first"]["rows"] == 1500


def test_conditions_and_expressions_that_mean_nothing_are_refused(predictions, tmp_path):
    conditions = tmp_path / "conditions.json"
    conditions.write_text("{}")
    result = _run(predictions, "--challenger", "same", "--conditions", str(conditions))
    assert isinstance(result.exception, ConfigurationError)
    result = _run(predictions, "--challenger", "same", "--slice-where", "late")
    assert isinstance(result.exception, ConfigurationError)
