"""The plugin, and the drop-in shim that registers it for a source that is copied in."""

import subprocess
import sys
from pathlib import Path

SHIM = Path(__file__).resolve().parents[2] / "plugins" / "retrain_plugin.py"
SOURCE = SHIM.parents[1] / "operators"


def printed(code: str, tmp_path: Path) -> str:
    environment = {"PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip().splitlines()[-1]


RUN = f"import runpy; print('RetrainPlugin' in runpy.run_path({str(SHIM)!r}))"


def test_does_nothing_where_the_wheel_is_installed(tmp_path):
    assert printed(RUN, tmp_path) == "False"


def test_registers_the_plugin_where_only_the_source_is(tmp_path):
    hidden = "import importlib.metadata as m; m.entry_points = lambda **_: (); "
    assert printed(hidden + RUN, tmp_path) == "True"


APPS = (
    "from retrain.plugin import RetrainPlugin as P; print([(one['name'], one['url_prefix']) for one in P.fastapi_apps])"
)


def test_the_plugin_makes_its_web_app_only_when_the_api_server_asks(tmp_path):
    loaded = "import sys, retrain.plugin; print('fastapi' in sys.modules)"
    assert printed(loaded, tmp_path) == "False"
    assert printed(APPS, tmp_path) == "[('retrain', '/retrain')]"


def test_an_api_server_that_lacks_what_the_pages_need_starts_without_them(tmp_path):
    lacking = "import sys; sys.modules['airflow.api_fastapi.core_api.security'] = None; "
    assert printed(lacking + APPS, tmp_path) == "[]"
