import sys
from pathlib import Path

import pytest

from retrain.exceptions import DeclarationError, UserCodeError
from retrain.training import code_digest, load_function
from retrain.training.usercode import fresh_project
from tests.support.project import Project


def test_function_is_found_under_the_project_root_and_the_path_is_left_as_it_was(project: Project) -> None:
    before = list(sys.path)
    function = load_function(project.reference("helpers:hour"), str(project.root))
    assert function.__module__ == project.reference("helpers")
    assert sys.path == before


def test_working_directory_is_never_searched(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "stray_module.py").write_text("raise SystemExit('this file was run')\n", encoding="utf-8")
    monkeypatch.chdir(elsewhere)
    monkeypatch.syspath_prepend("")
    with pytest.raises(DeclarationError, match="not under the project root"):
        load_function("stray_module:fit", str(project.root))


def test_function_of_an_installed_package_is_accepted(project: Project) -> None:
    assert load_function("rich.console:Console", str(project.root)).__name__ == "Console"


@pytest.mark.parametrize("reference", ["features", "a:b:c", "a.b:", ":fit", "a b:fit", "a..b:fit"])
def test_what_is_no_reference_is_refused_with_the_form(reference: str, project: Project) -> None:
    with pytest.raises(DeclarationError, match="module:function"):
        load_function(reference, str(project.root))


def test_missing_root_module_and_function_are_told_apart(project: Project) -> None:
    with pytest.raises(DeclarationError, match="is not a folder"):
        load_function(project.reference("train:fit"), str(project.root / "absent"))
    with pytest.raises(DeclarationError, match=r"module that is not there: .*orders.absent"):
        load_function(project.reference("absent:fit"), str(project.root))
    with pytest.raises(DeclarationError, match=r"no function 'train'.*'hour'"):
        load_function(project.reference("helpers:train"), str(project.root))


def test_module_that_raises_and_module_that_needs_another_are_the_users_errors(project: Project) -> None:
    project.write("orders/broken.py", "1 / 0\n")
    with pytest.raises(UserCodeError, match="raised ZeroDivisionError"):
        load_function(project.reference("broken:fit"), str(project.root))
    project.write("orders/needy.py", "import not_installed_anywhere\n")
    with pytest.raises(UserCodeError, match="needs the module not_installed_anywhere"):
        load_function(project.reference("needy:fit"), str(project.root))


def test_module_of_the_same_name_from_another_root_is_refused(project: Project, tmp_path: Path) -> None:
    load_function(project.reference("helpers:hour"), str(project.root))
    other = Project(tmp_path / "other")
    other.package = project.package
    other.write("orders/helpers.py", "def hour(column):\n    return 0\n")
    with pytest.raises(DeclarationError, match="already imported from"):
        load_function(other.reference("helpers:hour"), str(other.root))


def test_digest_changes_with_every_file_that_the_function_can_reach(project: Project) -> None:
    references = [project.reference("features:prepare")]
    before = code_digest(str(project.root), references)
    assert before == code_digest(str(project.root), references)
    for name in ("orders/features.py", "orders/late.py", "orders/holidays.json"):
        path = project.root / project.package / name
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        after = code_digest(str(project.root), references)
        assert after != before, name
        before = after


def test_digest_follows_imports_out_of_the_package_and_leaves_other_packages_alone(project: Project) -> None:
    shared = project.write("shared/tables.py", "TABLE = 1\n")
    other = project.write("unrelated/code.py", "X = 1\n")
    project.write("orders/more.py", "from {package}.shared import tables\n")
    references = [project.reference("features:prepare")]
    before = code_digest(str(project.root), references)
    other.write_text("X = 2\n", encoding="utf-8")
    assert code_digest(str(project.root), references) == before
    shared.write_text("TABLE = 2\n", encoding="utf-8")
    assert code_digest(str(project.root), references) != before


def test_digest_ignores_bytecode_and_the_place_of_the_root(project: Project, tmp_path: Path) -> None:
    references = [project.reference("features:prepare")]
    before = code_digest(str(project.root), references)
    project.write("orders/__pycache__/x.pyc", "bytes")
    moved = project.root.rename(tmp_path / "moved")
    assert code_digest(str(moved), references) == before


def test_changed_files_are_imported_anew_and_what_was_imported_is_back_afterwards(project: Project) -> None:
    reference, root = project.reference("late:factor"), str(project.root)
    project.write("orders/late.py", "def factor():\n    return 2\n")
    old = load_function(reference, root)
    project.write("orders/late.py", "def factor():\n    return 33\n")
    assert load_function(reference, root)() == 2
    with fresh_project(root, [reference]):
        assert load_function(reference, root)() == 33
    assert load_function(reference, root) is old


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside the project from which modules are imported, with a package and a module of their own names."""
    folder = tmp_path / "installed"
    (folder / "acme_models" / "shop").mkdir(parents=True)
    (folder / "acme_models" / "__init__.py").write_text("raise SystemExit('this was imported')\n", encoding="utf-8")
    (folder / "acme_models" / "shop" / "train.py").write_text("from acme_models import tools\n", encoding="utf-8")
    (folder / "acme_models" / "tools.py").write_text("X = 1\n", encoding="utf-8")
    (folder / "acme_single.py").write_text("def fit(data, params): ...\n", encoding="utf-8")
    (folder / "acme_space" / "part").mkdir(parents=True)
    (folder / "acme_space" / "part" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "acme_space" / "stranger.py").write_text("X = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize(
    ("reference", "file"),
    [
        ("acme_single:fit", "acme_single.py"),
        ("acme_models.shop.train:fit", "acme_models/shop/train.py"),
        ("acme_models.shop.train:fit", "acme_models/tools.py"),
        ("acme_models:fit", "acme_models/shop/train.py"),
        ("acme_space.part:fit", "acme_space/part/__init__.py"),
    ],
)
def test_digest_changes_with_the_code_of_an_installed_function(
    project: Project, installed: Path, reference: str, file: str
) -> None:
    before = code_digest(str(project.root), [reference])
    assert code_digest(str(project.root), [reference]) == before
    path = installed / file
    path.write_text(path.read_text(encoding="utf-8") + "CHANGED = 1\n", encoding="utf-8")
    assert code_digest(str(project.root), [reference]) != before


def test_digest_of_installed_code_leaves_bytecode_data_and_strangers_in_its_namespace_alone(
    project: Project, installed: Path
) -> None:
    references = ["acme_models.shop.train:fit", "acme_space.part:fit"]
    before = code_digest(str(project.root), references)
    for name in ("acme_models/cache.bin", "acme_models/__pycache__/tools.cpython-311.pyc", "acme_space/stranger.py"):
        (installed / name).parent.mkdir(exist_ok=True)
        (installed / name).write_text("changed", encoding="utf-8")
    assert code_digest(str(project.root), references) == before


def test_a_package_too_large_to_read_is_known_by_the_module_itself(
    project: Project, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrain.training.usercode._MOST_FILES", 2)
    before = code_digest(str(project.root), ["acme_models.shop.train:fit"])
    (installed / "acme_models" / "tools.py").write_text("X = 2\n", encoding="utf-8")
    assert code_digest(str(project.root), ["acme_models.shop.train:fit"]) == before
    (installed / "acme_models" / "shop" / "train.py").write_text("X = 2\n", encoding="utf-8")
    assert code_digest(str(project.root), ["acme_models.shop.train:fit"]) != before


def test_digest_of_project_code_does_not_depend_on_what_is_installed(project: Project, installed: Path) -> None:
    references = [project.reference("train:fit")]
    before = code_digest(str(project.root), references)
    (installed / "acme_single.py").write_text("X = 2\n", encoding="utf-8")
    assert code_digest(str(project.root), references) == before
    assert code_digest(str(project.root), [*references, "acme_single:fit"]) != before
