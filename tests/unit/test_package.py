"""The distribution: what Airflow is told, and what is in the wheel."""

import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import jsonschema
import pytest

import retrain
from retrain.provider import get_provider_info

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = "airflow-provider-retrain"


def run(code: str, home: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "AIRFLOW_HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_provider_info_follows_airflows_schema() -> None:
    airflow = importlib.metadata.distribution("apache-airflow-core")
    schema = json.loads(Path(str(airflow.locate_file("airflow/provider_info.schema.json"))).read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_everything_that_the_provider_info_names_exists() -> None:
    info = get_provider_info()
    assert info["versions"] == [retrain.__version__] == [importlib.metadata.version(NAME)]
    named = [kind["hook-class-name"] for kind in info["connection-types"]] + info["extra-links"]
    script = "import importlib\n"
    for path in named:
        module, _, name = path.rpartition(".")
        script += f"getattr(importlib.import_module({module!r}), {name!r})\n"
    folders = [one for name in ("operators", "sensors", "triggers") for one in info[name]]
    script += "".join(f"importlib.import_module({module!r})\n" for one in folders for module in one["python-modules"])
    for kind in info["connection-types"]:
        module, _, name = kind["hook-class-name"].rpartition(".")
        script += f"hook = getattr(importlib.import_module({module!r}), {name!r})\n"
        script += f"assert hook.conn_type == {kind['connection-type']!r}\n"
        script += f"assert hook.hook_name == {kind['hook-name']!r}\n"
    run(script, Path.cwd())


@pytest.mark.parametrize("group", ["apache_airflow_provider", "airflow.plugins", "mlflow.request_header_provider"])
def test_every_entry_point_can_be_loaded(group: str, tmp_path: Path) -> None:
    found = [point for point in importlib.metadata.distribution(NAME).entry_points if point.group == group]
    assert len(found) == 1
    module, _, name = found[0].value.partition(":")
    run(f"import importlib\nassert callable(getattr(importlib.import_module({module!r}), {name!r}))", tmp_path)


def test_the_console_script_runs() -> None:
    [point] = [one for one in importlib.metadata.distribution(NAME).entry_points if one.group == "console_scripts"]
    assert (point.name, point.value) == ("retrain", "retrain.cli:main")
    script = Path(sys.executable).with_name("retrain")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert retrain.__version__ in done.stdout


def test_airflow_shows_both_connection_types_with_their_forms_and_loads_the_plugin(tmp_path: Path) -> None:
    code = """
import json, warnings
warnings.simplefilter("ignore")
from airflow.providers_manager import ProvidersManager
from airflow import plugins_manager
manager = ProvidersManager()
hooks = {name: info.hook_name for name, info in manager.hooks.items() if info}
fields = sorted(manager.connection_form_widgets)
behaviours = {name: manager.field_behaviours.get(name) for name in ("retrain_ledger", "mlflow")}
links = sorted(manager.extra_links_class_names)
plugins, errors = plugins_manager._get_plugins()
config = manager.provider_configs if hasattr(manager, "provider_configs") else []
print("SEEN", json.dumps({
    "providers": list(manager.providers), "hooks": hooks, "fields": fields, "behaviours": behaviours, "links": links,
    "plugins": [plugin.name for plugin in plugins], "errors": errors, "config": [name for name, _ in config],
}))
"""
    seen = json.loads(run(code, tmp_path).rpartition("SEEN ")[2])
    assert NAME in seen["providers"]
    assert seen["hooks"]["retrain_ledger"] == "Retrain ledger (SQL)"
    assert seen["hooks"]["mlflow"] == "MLflow"
    assert {
        "extra__retrain_ledger__dialect", "extra__retrain_ledger__sslmode", "extra__mlflow__ui_url"
    } <= set(seen["fields"])  # fmt: skip
    assert seen["behaviours"]["mlflow"]["relabeling"]["host"] == "Tracking URI"
    assert {"retrain.operators.links.MlflowRunLink", "retrain.operators.links.ModelVersionLink"} <= set(seen["links"])
    assert "retrain" in seen["plugins"]
    assert seen["errors"] == {}
    assert NAME in seen["config"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "build", "--wheel", "--quiet", "--out-dir", folder, REPOSITORY],
        check=True,
        capture_output=True,
        timeout=300,
    )
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"retrain", f"airflow_provider_retrain-{retrain.__version__}.dist-info"}


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    root = REPOSITORY / "operators"
    files = {
        str(path.relative_to(root))
        for path in (root / "retrain").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files == {name for name in wheel.namelist() if name.startswith("retrain/")}
    assert any(re.match(r"retrain/ledger/migrations/versions/v0001\w*\.py", name) for name in files)
    assert {"retrain/ledger/migrations/env.py", "retrain/training/_served_model.py"} <= files


def test_the_wheel_names_license_entry_points_and_light_requirements(wheel: zipfile.ZipFile) -> None:
    info = f"airflow_provider_retrain-{retrain.__version__}.dist-info"
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    assert "[apache_airflow_provider]" in wheel.read(f"{info}/entry_points.txt").decode()
    metadata = wheel.read(f"{info}/METADATA").decode()
    required = re.findall(r"^Requires-Dist: ([\w.-]+)(?!.*extra ==).*$", metadata, re.MULTILINE)
    assert set(required) == {"alembic", "click", "fsspec", "rich", "sqlalchemy"}


def test_every_name_that_retrain_exports_exists_and_is_sorted() -> None:
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert declared["project"]["name"] == NAME
    assert retrain.__all__ == sorted(retrain.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Paint'"):
        _ = retrain.Paint
