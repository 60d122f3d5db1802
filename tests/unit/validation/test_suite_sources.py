import json
import sys

import pytest

from retrain.exceptions import SuiteError, UserCodeError
from retrain.validation import load_suite

ENTRY = {"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "severity": "info"}
CODE = """
import checks_helper
ENTRY = {entry!r}
NOT_CALLABLE = 3
def as_dict(): return {{"name": "made", "expectations": [ENTRY] * checks_helper.COUNT}}
def as_list(): return [ENTRY]
def nothing(): return []
def number(): return 7
def odd(): return [ENTRY, 7]
def raises(): raise KeyError("gone")
"""
SETTINGS = """
config_version: 4.0
stores:
  mine:
    class_name: ExpectationsStore
    store_backend: {class_name: %s, base_directory: %s}
expectations_store_name: mine
"""


@pytest.fixture
def root(tmp_path):
    """A project with a module of suites, and one that does not import."""
    (tmp_path / "checks_of_mine.py").write_text(CODE.format(entry=ENTRY))
    (tmp_path / "checks_helper.py").write_text("COUNT = 2")
    (tmp_path / "checks_broken.py").write_text("1 / 0")
    (tmp_path / "checks_needy.py").write_text("import no_such_library")
    return tmp_path


@pytest.fixture
def gx_project(tmp_path):
    """A folder as Great Expectations writes it, with the suites `flights` and `weather/hourly`."""

    def make(*names, kind="TupleFilesystemStoreBackend", folder="expectations/"):
        project = tmp_path / "gx"
        (project / "expectations" / "weather").mkdir(parents=True)
        (project / "great_expectations.yml").write_text(SETTINGS % (kind, folder))
        (project / "expectations" / ".ge_store_backend_id").write_text("store_backend_id = 1")
        for name in names:
            document = {"name": name, "expectations": [ENTRY], "id": "1", "meta": {}, "notes": None}
            (project / "expectations" / f"{name}.json").write_text(json.dumps(document))
        return project

    return make


def test_a_function_returns_a_document_or_a_list(root):
    made = load_suite("checks_of_mine:as_dict", project_root=str(root))
    assert (made.name, len(made.expectations), made.source) == ("made", 2, "checks_of_mine:as_dict")
    listed = load_suite("checks_of_mine:as_list", project_root=str(root))
    assert (listed.name, listed.expectations) == ("as_list", made.expectations[:1])


def test_a_function_is_read_anew_each_time_and_leaves_nothing_behind(root):
    before = list(sys.path)
    load_suite("checks_of_mine:as_list", project_root=str(root))
    (root / "checks_of_mine.py").write_text("def as_list(): return [{'type': 'expect_other', 'kwargs': {}}]")
    assert load_suite("checks_of_mine:as_list", project_root=str(root)).expectations[0].type == "expect_other"
    assert sys.path == before
    assert "checks_of_mine" not in sys.modules


def test_the_project_comes_before_a_module_of_the_same_name_and_gives_it_back(root, monkeypatch):
    stranger = type(sys)("checks_of_mine")
    monkeypatch.setitem(sys.modules, "checks_of_mine", stranger)
    assert load_suite("checks_of_mine:as_list", project_root=str(root)).expectations
    assert sys.modules["checks_of_mine"] is stranger


@pytest.mark.parametrize(
    ("reference", "error", "says"),
    [
        ("checks_of_mine:nothing", SuiteError, "holds no expectations"),
        ("checks_of_mine:number", SuiteError, "checks_of_mine:number gives int"),
        ("checks_of_mine:odd", SuiteError, "checks_of_mine:odd, expectation 1 has no type"),
        ("checks_of_mine:absent", SuiteError, "no function 'absent'.*as_dict"),
        ("checks_of_mine:NOT_CALLABLE", SuiteError, "no function 'NOT_CALLABLE'"),
        ("checks_of_nobody:suite", SuiteError, "not there: checks_of_nobody"),
        ("checks_of_mine:raises", UserCodeError, "raises raised KeyError: 'gone'"),
        ("checks_broken:suite", UserCodeError, "importing checks_broken raised ZeroDivisionError"),
        ("checks_needy:suite", UserCodeError, "needs the module no_such_library"),
    ],
)
def test_what_is_wrong_with_a_function_is_named(root, reference, error, says):
    with pytest.raises(error, match=says):
        load_suite(reference, project_root=str(root))


@pytest.mark.parametrize("project_root", [None, "no/such/folder"])
def test_a_function_needs_a_project_root_and_never_the_working_directory(root, monkeypatch, project_root):
    monkeypatch.chdir(root)
    with pytest.raises(SuiteError, match="the project root is"):
        load_suite("checks_of_mine:as_list", project_root=project_root)


def test_a_suite_of_a_gx_project_is_read_by_its_name(gx_project):
    project = gx_project("flights", "weather/hourly")
    suite = load_suite(f"gx:{project}#weather/hourly")
    assert suite.name == "weather/hourly"
    assert suite.digest == load_suite([ENTRY]).digest
    assert load_suite(f"gx:{project.parent}#flights").name == "flights"  # the folder around it


def test_the_only_suite_of_a_gx_project_needs_no_name(gx_project):
    assert load_suite(f"gx:{gx_project('flights')}").name == "flights"


@pytest.mark.parametrize("name", ["", "#fligths", "#../gx/expectations/flights"])
def test_an_unknown_suite_of_a_gx_project_lists_those_that_are_there(gx_project, name):
    with pytest.raises(SuiteError, match=r"one of \['flights', 'weather/hourly'\]"):
        load_suite(f"gx:{gx_project('flights', 'weather/hourly')}{name}")


def test_a_folder_that_is_no_gx_project_is_named(tmp_path):
    with pytest.raises(SuiteError, match="no project of Great Expectations"):
        load_suite(f"gx:{tmp_path}#flights")
    with pytest.raises(SuiteError, match="names no folder"):
        load_suite("gx:#flights")


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        ("TupleS3StoreBackend", "expectations/"),
        ("TupleFilesystemStoreBackend", "'${SUITES}'"),
        ("TupleFilesystemStoreBackend", "../expectations"),
    ],
)
def test_suites_that_a_gx_project_keeps_elsewhere_are_refused(gx_project, kind, folder):
    with pytest.raises(SuiteError, match="keeps its suites"):
        load_suite(f"gx:{gx_project('flights', kind=kind, folder=folder)}#flights")


def test_a_parameter_that_is_left_open_is_refused():
    entry = {"type": "expect_column_to_exist", "kwargs": {"column": "a", "x": [{"$PARAMETER": "limit"}]}}
    with pytest.raises(SuiteError, match="leaves a value open"):
        load_suite([entry])


@pytest.mark.parametrize(
    "written",
    [
        {"notes": "why"},
        {"notes": ["why"]},
        {"meta": {"notes": "why"}},
        {"meta": {"notes": {"format": "markdown", "content": ["why"]}}},
    ],
)
def test_notes_are_kept_for_people_and_change_nothing(written):
    suite = load_suite([{**ENTRY, **written}])
    assert suite.expectations[0].notes == "why"
    assert suite.digest == load_suite([ENTRY]).digest
