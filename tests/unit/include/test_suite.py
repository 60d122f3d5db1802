import json
from pathlib import Path

from include.flights import landing

SUITE = json.loads((Path(landing.__file__).parent / "expectations.json").read_text())


def test_every_expectation_says_how_bad_its_failure_is():
    assert {entry["severity"] for entry in SUITE["expectations"]} == {"critical", "warning", "info"}


def test_every_column_that_is_judged_is_in_the_feed():
    named = set()
    for entry in SUITE["expectations"]:
        kwargs = entry["kwargs"]
        named |= {kwargs.get("column"), *kwargs.get("column_list", []), *kwargs.get("column_set", [])} - {None}
    assert named <= set(landing.COLUMNS)


def test_no_expectation_is_written_twice():
    written = [json.dumps([entry["type"], entry["kwargs"]], sort_keys=True) for entry in SUITE["expectations"]]
    assert len(written) == len(set(written))
