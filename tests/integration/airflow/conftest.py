from pathlib import Path

import pytest

from tests.support.airflow_tasks import connect, connect_ledger, use_own_home
from tests.support.project import Project

use_own_home()


@pytest.fixture
def shop(tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch):
    from tests.support.shop import DEAD, Shop

    connect_ledger(monkeypatch, tmp_path / "ledger.db")
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host=DEAD)
    made = Shop(tmp_path, project)
    yield made
    made.ledger.close()
