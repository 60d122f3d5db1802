"""The tested set is one set: all of its libraries can be imported, and in one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
# The import name of each library that the product or its tests call by name.
LIBRARIES = (
    "airflow.sdk", "airflow.providers.cncf.kubernetes.operators.pod", "airflow.providers.standard.operators.hitl",
    "alembic", "click", "evidently", "fsspec", "great_expectations", "hypothesis", "jsonschema", "kubernetes",
    "kubernetes_validate", "matplotlib.pyplot", "mlflow.pyfunc", "mlflow.sklearn", "moto.server", "pandas",
    "psycopg2", "pyarrow.parquet", "rich", "s3fs", "scipy.stats", "sklearn.ensemble", "skops.io", "sqlalchemy",
)  # fmt: skip


def test_every_library_of_the_tested_set_imports(tmp_path: Path) -> None:
    code = "import importlib\n" + "".join(f"importlib.import_module({name!r})\n" for name in LIBRARIES)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "AIRFLOW_HOME": str(tmp_path), "DO_NOT_TRACK": "true"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
