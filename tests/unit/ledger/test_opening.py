import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from retrain.exceptions import ConfigurationError, ConnectionConfigError, LedgerUnavailableError
from retrain.ledger import Ledger, database
from retrain.ledger.tables import SCHEMA_VERSIONS, VERSION_TABLE, metadata


def execute(url: str, statement: str) -> list[tuple]:
    with closing(sqlite3.connect(sa.make_url(url).database)) as connection, connection:
        return connection.execute(statement).fetchall()


def test_a_ledger_that_is_not_there_is_not_made_by_looking(url, tmp_path):
    with pytest.raises(ConfigurationError, match=r"no ledger at sqlite:.*retrain ledger migrate"):
        Ledger.open(url)

    assert list(tmp_path.iterdir()) == []


def test_a_database_of_somebody_else_names_the_command(url):
    execute(url, "CREATE TABLE theirs (a)")

    with pytest.raises(ConfigurationError, match="retrain ledger migrate"):
        Ledger.open(url)
    with Ledger.open(url, migrate=True) as ledger:
        assert ledger.streams() == ()


def test_migrating_makes_the_folder_and_is_repeatable(tmp_path):
    path = tmp_path / "new" / "100%" / "ledger.db"

    for number in (1, 2):
        with Ledger.open(str(path), migrate=True) as ledger:
            assert ledger.append("model:a", "trained", str(number), {}).event.sequence == number
            assert (ledger.dialect, ledger.name) == ("sqlite", sa.URL.create("sqlite", database=str(path)).__str__())


def test_readers_do_not_wait_for_writers(ledger, url):
    assert execute(url, "PRAGMA journal_mode") == [("wal",)]


def test_a_schema_of_a_later_release_is_refused(ledger, url):
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")

    for migrate in (False, True):
        with pytest.raises(ConfigurationError, match=r"version 9999, which this release does not know.*Upgrade"):
            Ledger.open(url, migrate=migrate)


def test_the_schema_versions_are_those_of_the_migrations():
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(database.__file__).parent / "migrations"))

    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == SCHEMA_VERSIONS


def test_the_tables_are_those_of_the_code(ledger, url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_a_file_that_is_no_database_is_a_configuration_error(tmp_path):
    (tmp_path / "notes.txt").write_text("These are notes, and no database. " * 50)

    for migrate in (False, True):
        with pytest.raises(ConnectionConfigError, match=r"notes.txt refuses.*not a database"):
            Ledger.open(str(tmp_path / "notes.txt"), migrate=migrate)


def test_a_folder_that_cannot_be_made_is_a_configuration_error(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="folder of the ledger"):
        Ledger.open(str(tmp_path / "file" / "ledger.db"), migrate=True)
    with pytest.raises(ConnectionConfigError, match="unable to open"):
        Ledger.open(str(tmp_path), migrate=False)


def test_a_database_that_stays_locked_is_unavailable(url, ledger, monkeypatch):
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(sa.make_url(url).database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Ledger.open(url) as impatient, pytest.raises(LedgerUnavailableError, match=r"ledger.db.*locked"):
            impatient.append("model:a", "trained", "1", {})
        other.execute("ROLLBACK")

    assert ledger.append("model:a", "trained", "1", {}).event.sequence == 1


def test_a_server_that_is_not_there_is_unavailable():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with pytest.raises(LedgerUnavailableError, match=rf"u:\*\*\*@127.0.0.1:{port}/d.*did not answer") as caught:
            Ledger.open(f"postgresql://u:secret@127.0.0.1:{port}/d")

    assert "secret" not in str(caught.value)


def test_opening_imports_no_alembic_and_nothing_heavy(ledger, url):
    code = (
        "import sys; from retrain.ledger import Ledger; Ledger.open(sys.argv[1], migrate=True).close();"
        "print({'alembic', 'pandas', 'numpy', 'airflow', 'mlflow'} & set(sys.modules))"
    )

    assert subprocess.check_output([sys.executable, "-c", code, url], text=True) == "set()\n"
