import html.parser

import pandas as pd
import pytest

from retrain.data import storage
from retrain.validation import validate
from retrain.validation.docs import render

pytestmark = pytest.mark.integration

SECRET = "person-4711"  # a value of the data: nothing may show it
HOSTILE = "<script>alert(1)</script> {{ 7*7 }} ${x} ü&\"'"


class Page(html.parser.HTMLParser):
    """What a browser makes of it: the visible text, the tags, and everything that would be loaded."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.texts, self.title = [], [], [], ""
        self.feed(text)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        if ":root" not in data:  # the style sheet
            self.texts.append(data)


def document(**changes):
    whole = {
        "source": {"uri": "file:///data/a.parquet", "partition": "2013-01", "version": 2, "digest": "sha256:d"},
        "suite": {"name": "flights", "digest": "sha256:s"},
        "verdict": {"status": "fail", "rows": 10, "quarantined_rows": 10, "failures": []},
        "results": [],
    }
    return {**whole, **changes}


def entry(column, *, success=True, kind="expect_column_values_to_not_be_null", **kwargs):
    return {
        "type": kind, "kwargs": {"column": column, **kwargs}, "severity": "critical",
        "success": success, "crash": None, "result": {"element_count": 10, "unexpected_count": 0 if success else 3},
    }  # fmt: skip


def failure(column, severity="critical", reason="3 of 10 rows break it", count=3):
    kind = "expect_column_values_to_not_be_null"
    return {"expectation": kind, "column": column, "severity": severity, "count": count, "reason": reason}


@pytest.fixture
def validated(tmp_path):
    """The result document of a real validation: two of forty rows have a distance that is out of range."""
    frame = pd.DataFrame({"name": [SECRET] * 40, "distance": [-777] * 2 + [5] * 38})
    frame.to_parquet(tmp_path / "trips.parquet")
    suite = {
        "name": "trips",
        "expectations": [
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "distance", "min_value": 0}},
            {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "name", "value_set": ["a"]},
             "severity": "warning"},
            {"type": "expect_column_to_exist", "kwargs": {"column": "distance"}},
        ],
    }  # fmt: skip
    verdict = validate(tmp_path / "trips.parquet", suite, store=str(tmp_path / "store"))
    return storage.read_json(verdict.result_uri)


def test_a_real_result_shows_verdict_counts_reasons_and_sentences(validated):
    text = Page(render(validated)).text
    for shown in (
        "Succeeded with warnings",
        "40 rows in",
        "38 accepted (95.0%)",
        "2 quarantined (5.0%)",
        "1 of 3 expectations met",
        "values must be greater than or equal to 0 .",
        "2 of 40 rows break it (5.00%)",
        validated["suite"]["digest"],
        validated["source"]["digest"],
    ):
        assert shown in text


def test_no_value_of_the_data_is_on_the_page(validated):
    page = render(validated)
    assert SECRET not in page
    assert "-777" not in page


def test_the_page_loads_nothing_and_runs_nothing(validated):
    page = Page(render(validated))
    assert page.loads == []
    assert not {"script", "link", "iframe", "img", "object", "form"} & set(page.tags)
    assert "url(" not in render(validated)
    assert "@import" not in render(validated)


def test_names_are_text_and_never_markup():
    hostile = document(
        source={"uri": HOSTILE, "partition": HOSTILE, "version": 1, "digest": HOSTILE},
        suite={"name": "</title>" + HOSTILE, "digest": HOSTILE},
        verdict={"status": HOSTILE, "rows": 10, "failures": [failure(HOSTILE, HOSTILE, HOSTILE)]},
        results=[
            entry(HOSTILE, success=False),
            entry(HOSTILE, kind="expect_column_values_to_be_in_set", value_set=[HOSTILE]),
            entry(HOSTILE, kind="expect_column_values_to_match_regex", regex="^(?<!\\s)<b>$"),
            entry(HOSTILE, kind=HOSTILE),
        ],
    )
    page = Page(render(hostile))
    assert "script" not in page.tags
    assert page.tags.count("b") == 4  # those of the tiles
    assert HOSTILE in page.text
    assert "^(?<!\\s)<b>$" in page.text
    assert "49" not in page.text


def test_failures_stand_first_and_the_gravest_before_the_others():
    failures = [failure("at_info", "info"), failure("at_warning", "warning"), failure("at_critical", "critical")]
    results = [entry("fine")] + [entry(one["column"], success=False) for one in failures]
    text = Page(render(document(verdict={"status": "fail", "rows": 10, "failures": failures}, results=results))).text
    places = [text.index(name) for name in ("at_critical", "at_warning", "at_info", "All expectations", "fine")]
    assert places == sorted(places)


def test_table_level_comes_before_the_columns_as_in_data_docs():
    rows = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "success": True}
    rows |= {"severity": "critical", "result": {"observed_value": 33}}
    text = Page(render(document(results=[entry("a"), rows]))).text
    assert text.index("Table-Level Expectations") < text.index("values must never be null")
    assert "Must have greater than or equal to 1 rows." in text


def test_a_guard_has_its_reason_and_no_sentence():
    guard = {"expectation": "readable", "column": None, "severity": "critical", "count": None, "reason": "cut off"}
    text = Page(render(document(verdict={"status": "fail", "rows": 0, "failures": [guard]}))).text
    assert "cut off" in text
    assert "0 rows in" in text


def test_one_type_twice_on_a_column_keeps_each_sentence_with_its_reason():
    kind = "expect_column_values_to_be_between"
    results = [entry("a", success=False, kind=kind, min_value=11), entry("a", success=False, kind=kind, max_value=99)]
    failures = [{**failure("a", reason=reason), "expectation": kind} for reason in ("first", "second")]
    text = Page(render(document(verdict={"status": "fail", "rows": 1, "failures": failures}, results=results))).text
    places = [text.index(part) for part in ("first", "equal to 11", "second", "equal to 99")]
    assert places == sorted(places)


def test_what_could_not_be_evaluated_says_so():
    skipped = {**entry("a", success=False), "skipped": "every value of its column is null", "result": {}}
    crashed = {**entry("b", success=False), "crash": "missing_column", "result": {}}
    text = Page(render(document(results=[skipped, crashed]))).text
    assert "not evaluated: every value of its column is null" in text
    assert "the column is missing" in text


def test_thousands_of_columns_give_a_page_of_bounded_size_that_says_what_it_leaves_out():
    values = [f"value {i}" for i in range(300)]
    kind = "expect_column_values_to_be_in_set"
    results = [entry(f"column {i}", kind=kind, value_set=values) for i in range(2_000)]
    results += [entry(f"column {i}", success=False) for i in range(2_000)]
    failures = [failure(f"column {i}") for i in range(2_000)]
    page = render(document(verdict={"status": "fail", "rows": 10, "failures": failures}, results=results))
    assert len(page) < 1_500_000
    assert "1,700 more are in the result" in page
    assert "3,000 more expectations" in page


def test_a_name_without_end_does_not_make_the_page_endless():
    results = [entry("x" * 100_000, kind="expect_column_values_to_be_in_set", value_set=["y" * 100_000] * 50)]
    assert len(render(document(results=results))) < 50_000


def test_the_same_result_gives_the_same_page(validated):
    assert render(validated) == render(validated)
