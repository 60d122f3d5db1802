"""Is the database migrated, and how it gets there. Alembic is imported only when there is something to migrate."""

from pathlib import Path

import sqlalchemy as sa

from retrain.exceptions import ConfigurationError
from retrain.ledger.database import Database, prepare_file
from retrain.ledger.errors import MIGRATE, not_migrated
from retrain.ledger.tables import SCHEMA_VERSIONS, VERSION_TABLE

_LOCK = "migration"


def check(database: Database) -> None:
    """Refuse a database that is not migrated to the version this code works with; costs one query."""
    if database.dialect == "sqlite" and not Path(database.url.database or "").exists():
        # Connecting would make an empty file.
        raise not_migrated(database.name)
    version = database.read(_version)
    if version is None:
        raise not_migrated(database.name)
    if version in SCHEMA_VERSIONS[:-1]:
        raise ConfigurationError(
            f"The ledger at {database.name} has schema version {version}", expected=SCHEMA_VERSIONS[-1], remedy=MIGRATE
        )
    _refuse_unknown(database, version)


def migrate(database: Database) -> bool:
    """Bring the database to the newest schema; True if that changed it. Safe from several processes at once."""
    if database.dialect == "sqlite" and not Path(database.url.database or "").exists():
        _make_file(database)
    elif _is_current(database):
        return False
    return database.write([_LOCK], lambda connection: _upgrade(database, connection))


def _make_file(database: Database) -> None:
    try:
        prepare_file(database.url)
    except OSError as error:
        raise ConfigurationError(
            f"The folder of the ledger {database.name} cannot be made: {error.strerror}", remedy="Choose another path"
        ) from error


def _is_current(database: Database) -> bool:
    return database.read(_has_version_table) and database.read(_version) == SCHEMA_VERSIONS[-1]


def _has_version_table(connection: sa.Connection) -> bool:
    return sa.inspect(connection).has_table(VERSION_TABLE)


def _version(connection: sa.Connection) -> str | None:
    version: str | None = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return version


def _refuse_unknown(database: Database, version: str) -> None:
    if version not in SCHEMA_VERSIONS:
        raise ConfigurationError(
            f"The ledger at {database.name} has schema version {version}, which this release does not know",
            expected=SCHEMA_VERSIONS[-1],
            remedy="Upgrade airflow-provider-retrain here to the release that migrated it",
        )


def _upgrade(database: Database, connection: sa.Connection) -> bool:
    # Looked at again under the lock: another process may have been first.
    before = _version(connection) if _has_version_table(connection) else None
    if before == SCHEMA_VERSIONS[-1]:
        return False
    if before is not None:
        _refuse_unknown(database, before)
    from alembic import command
    from alembic.config import Config

    config = Config()
    # The option is %-interpolated.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return True
