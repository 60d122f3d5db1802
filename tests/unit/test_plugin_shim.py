"""The drop-in shim for a source that is copied in."""

import subprocess
import sys
from pathlib import Path

SHIM = Path(__file__).resolve().parents[2] / "plugins" / "retrain_plugin.py"
SOURCE = SHIM.parents[1] / "operators"


def names(code: str, tmp_path: Path) -> str:
    environment = {"PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip().splitlines()[-1]


RUN = f"import runpy; print('RetrainPlugin' in runpy.run_path({str(SHIM)!r}))"


def test_does_nothing_where_the_wheel_is_installed(tmp_path):
    assert names(RUN, tmp_path) == "False"


def test_registers_the_plugin_where_only_the_source_is(tmp_path):
    hidden = "import importlib.metadata as m; m.entry_points = lambda **_: (); "
    assert names(hidden + RUN, tmp_path) == "True"
