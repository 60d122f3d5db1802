from collections.abc import Iterator
from pathlib import Path

import pytest

from retrain.registry import credentials
from tests.support.mlflow_server import MlflowServer, shared_mlflow
from tests.support.project import Project


@pytest.fixture(scope="session")
def mlflow_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MlflowServer:
    return shared_mlflow(request.config, tmp_path_factory)


@pytest.fixture
def mlflow(mlflow_server: MlflowServer) -> Iterator[MlflowServer]:
    """The server, with its credentials on every request of the test."""
    with credentials(mlflow_server.username, mlflow_server.password):
        yield mlflow_server


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")
