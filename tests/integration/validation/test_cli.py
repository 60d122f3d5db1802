import json

import pytest
from click.testing import CliRunner

from retrain.cli import app
from retrain.exceptions import SuiteError, UnreadableDataError

pytestmark = pytest.mark.integration


@pytest.fixture
def run(tmp_path, trips):
    trips.to_parquet(tmp_path / "x.parquet")

    def call(limit, *options, severity="critical", data="x.parquet"):
        kwargs = {"column": "distance", "max_value": limit}
        entry = {"type": "expect_column_values_to_be_between", "kwargs": kwargs, "severity": severity}
        (tmp_path / "s.json").write_text(json.dumps({"expectations": [entry]}))
        return CliRunner().invoke(app, ["validate", str(tmp_path / data), str(tmp_path / "s.json"), *options])

    return call


def test_pass_and_warn_exit_with_0_and_fail_with_1(run):
    assert run(39).exit_code == 0
    assert run(30, severity="warning").exit_code == 0
    failed = run(30)
    assert failed.exit_code == 1
    assert "fail: 40 rows" in failed.output
    assert "expect_column_values" in failed.output


def test_json_is_the_verdict_alone(run, tmp_path):
    result = run(38, "--json", "--store", str(tmp_path / "store"), "--dataset", "trips")
    verdict = json.loads(result.stdout)
    assert (result.exit_code, verdict["status"], verdict["quarantined_rows"]) == (0, "warn", 1)
    assert run(38, "--store", str(tmp_path / "store"), "--quarantine-limit", "0").exit_code == 1


def test_copies_and_private_columns_are_asked_for(run, tmp_path):
    options = ("--store", str(tmp_path / "store"), "--keep-copies", "--pii", "distance", "--pii", "carrier")
    verdict = json.loads(run(39, "--json", *options).stdout)
    assert "/store/data/x/" in verdict["accepted"]["uri"]
    document = json.loads((tmp_path / verdict["result_uri"].removeprefix("file://")).read_text())
    assert document["pii"] == ["carrier", "distance"]
    assert "page: file://" in run(39, *options).output


def test_what_could_not_be_checked_is_left_to_the_group_as_an_error(run, tmp_path):
    assert isinstance(run(1, data="gone.parquet").exception, UnreadableDataError)
    assert isinstance(run(1, severity="fatal").exception, SuiteError)
    assert run(1, "--quarantine-limit", "2").exit_code == 2
