from pathlib import Path

import pytest

from tests.support.second_environment import build


@pytest.fixture(scope="session")
def second_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with `retrain[jobs]` and without Airflow."""
    return build(tmp_path_factory.mktemp("jobs") / "environment")
