from pathlib import Path

import pytest
import sqlalchemy as sa

from retrain.exceptions import ConfigurationError, ConnectionConfigError, LedgerUnavailableError
from retrain.ledger import Ledger

pytestmark = pytest.mark.integration


@pytest.fixture
def admin(postgres_url):
    """Run a statement as superuser, on a connection of its own."""
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def run(statement: str):
        with engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return result.scalar() if result.returns_rows else None

    return run


@pytest.fixture
def needs_password(admin):
    """A role that the server asks for its password."""
    rules = Path(admin("SHOW hba_file"))
    before = rules.read_text()
    admin("CREATE ROLE careful LOGIN PASSWORD 'right horse'")
    rules.write_text("local all careful scram-sha-256\n" + before)
    admin("SELECT pg_reload_conf()")
    yield "careful"
    rules.write_text(before)
    admin("SELECT pg_reload_conf()")
    admin("DROP ROLE careful")


def with_login(url: str, user: str, password: str) -> str:
    return sa.make_url(url).set(username=user, password=password).render_as_string(hide_password=False)


def test_a_wrong_password_is_a_configuration_error_that_does_not_tell_it(postgres_database, needs_password):
    with pytest.raises(ConnectionConfigError, match="password authentication failed") as caught:
        Ledger.open(with_login(postgres_database, needs_password, "wr:ng h@rse"))

    assert "wr:ng" not in str(caught.value)
    assert "wr%3Ang" not in str(caught.value)


def test_a_login_without_rights_is_a_configuration_error(postgres_database, needs_password):
    Ledger.open(postgres_database, migrate=True).close()

    with pytest.raises(ConnectionConfigError, match="permission denied"):
        Ledger.open(with_login(postgres_database, needs_password, "right horse"))


def test_an_unknown_database_is_a_configuration_error_that_names_it(postgres_url):
    url = sa.make_url(postgres_url).set(database="nowhere").render_as_string()

    with pytest.raises(ConnectionConfigError, match='database "nowhere" does not exist'):
        Ledger.open(url)


def test_a_database_that_is_not_migrated_names_the_command(postgres_database):
    with pytest.raises(ConfigurationError, match="retrain ledger migrate"):
        Ledger.open(postgres_database)


def test_a_server_that_is_not_there_is_unavailable(free_port):
    with pytest.raises(LedgerUnavailableError, match=f"127.0.0.1:{free_port}/x.*Connection refused"):
        Ledger.open(f"postgresql://somebody:secret@127.0.0.1:{free_port}/x")


def test_a_ledger_goes_on_after_its_connections_were_cut(postgres_database, admin):
    with Ledger.open(postgres_database, migrate=True) as ledger:
        ledger.append("model:a", "promoted", "1", {})
        admin("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'retrain-ledger'")

        assert ledger.append("model:a", "promoted", "2", {}).event.sequence == 2


def test_a_connection_cut_in_mid_transaction_is_tried_again(postgres_database, admin):
    cuts = []

    def work(connection):
        if not cuts:
            cuts.append(connection.execute(sa.select(sa.func.pg_backend_pid())).scalar())
            admin(f"SELECT pg_terminate_backend({cuts[0]}, 5000)")
        return connection.execute(sa.select(sa.func.pg_backend_pid())).scalar()

    with Ledger.open(postgres_database, migrate=True) as ledger:
        assert ledger._database.write([], work) not in cuts


def test_a_stricter_isolation_level_of_the_server_does_no_harm(postgres_database, admin):
    name = sa.make_url(postgres_database).database
    admin(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")

    with Ledger.open(postgres_database, migrate=True) as ledger:
        level = ledger._database.write([], lambda it: it.exec_driver_sql("SHOW transaction_isolation").scalar())

    assert level == "read committed"


def test_the_table_cannot_be_truncated(postgres_database):
    with Ledger.open(postgres_database, migrate=True) as ledger:
        ledger.append("model:a", "promoted", "1", {})
        engine = sa.create_engine(postgres_database, poolclass=sa.NullPool)
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE retrain_events")


def test_the_tables_are_those_of_the_code(postgres_database):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from retrain.ledger.tables import VERSION_TABLE, metadata

    Ledger.open(postgres_database, migrate=True).close()
    engine = sa.create_engine(postgres_database, poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
