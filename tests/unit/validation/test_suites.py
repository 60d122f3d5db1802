import json

import pytest

from retrain.exceptions import SuiteError
from retrain.records import Severity
from retrain.validation import load_suite

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}}
YAML = """
name: flights
expectations:
  - type: expect_column_values_to_not_be_null
    kwargs: {column: a}
    severity: warning
"""


def suite(*expectations):
    return {"name": "s", "expectations": list(expectations)}


def test_json_yaml_and_dict_give_the_same_suite(tmp_path):
    document = {"name": "flights", "expectations": [{**NOT_NULL, "severity": "warning"}]}
    (tmp_path / "s.json").write_text(json.dumps(document))
    (tmp_path / "s.yaml").write_text(YAML)
    loaded = [load_suite(one) for one in (document, tmp_path / "s.json", str(tmp_path / "s.yaml"))]
    assert len({one.digest for one in loaded}) == 1
    assert {one.name for one in loaded} == {"flights"}
    assert loaded[0].expectations[0].severity is Severity.WARNING


def test_severity_is_critical_unless_said_otherwise():
    assert load_suite(suite(NOT_NULL)).expectations[0].severity is Severity.CRITICAL


def test_what_great_expectations_writes_beside_it_is_no_part_of_the_demand():
    exported = {
        **NOT_NULL,
        "kwargs": {"column": "a", "batch_id": "x"},
        "id": "1",
        "meta": {},
        "notes": None,
        "severity": "critical",
    }
    document = {**suite(exported), "id": None, "meta": {"great_expectations_version": "1.24.1"}, "notes": None}
    assert load_suite(document).digest == load_suite(suite(NOT_NULL)).digest


def test_the_digest_follows_the_demand_and_not_the_name():
    renamed = {**suite(NOT_NULL), "name": "other"}
    assert load_suite(renamed).digest == load_suite(suite(NOT_NULL)).digest
    assert load_suite(suite({**NOT_NULL, "severity": "info"})).digest != load_suite(suite(NOT_NULL)).digest


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "holds no expectations"),
        (suite(), "holds no expectations"),
        ({"expectations": {"a": 1}}, "holds no expectations"),
        (suite({"kwargs": {}}), "expectation 0 has no type"),
        (suite("expect_column_to_exist"), "expectation 0 has no type"),
        (suite(NOT_NULL, {**NOT_NULL, "severity": "fatal"}), "expectation 1 .* severity 'fatal'"),
        (suite({**NOT_NULL, "severtiy": "info"}), r"unknown fields \['severtiy'\]"),
        (suite({"type": "expect_column_to_exist", "kwargs": ["a"]}), "kwargs of type list"),
    ],
)
def test_a_malformed_suite_names_the_place(document, says):
    with pytest.raises(SuiteError, match=says):
        load_suite(document)


@pytest.mark.parametrize(
    ("name", "content"),
    [("s.json", b"{"), ("s.json", b"\xff\xfe"), ("s.yaml", b"a: [1"), ("s.json", b"[]"), ("s.yaml", b"")],
)
def test_a_document_that_does_not_parse_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SuiteError, match=name):
        load_suite(tmp_path / name)


def test_a_suite_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SuiteError, match=r"gone\.json"):
        load_suite(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("entry", "columns"),
    [
        (NOT_NULL, ("a",)),
        ({"type": "expect_column_pair_values_to_be_equal", "kwargs": {"column_A": "a", "column_B": "b"}}, ("a", "b")),
        ({"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["a", "b"]}}, ("a", "b")),
        ({"type": "expect_column_to_exist", "kwargs": {"column": "a"}}, ()),
        (
            {
                "type": "expect_column_values_to_not_be_null",
                "kwargs": {
                    "column": "a",
                    "row_condition": {
                        "type": "and",
                        "conditions": [
                            {"type": "comparison", "column": {"name": "c"}, "operator": ">", "parameter": 1}
                        ],
                    },
                },
            },
            ("a", "c"),
        ),
    ],
)
def test_an_expectation_knows_the_columns_that_it_needs(entry, columns):
    assert load_suite(suite(entry)).expectations[0].columns == columns
