"""What a database's error means for the caller: try again, wait, or change something."""

import re
import sqlite3

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from retrain.exceptions import (
    ConfigurationError,
    ConnectionConfigError,
    LedgerError,
    LedgerUnavailableError,
    RetrainError,
)
from retrain.ledger.url import public_name, secrets

MIGRATE = "Run `retrain ledger migrate` (or open the ledger with migrate=True)"

# PostgreSQL, by SQLSTATE: serialization failure, deadlock, connection lost or refused at start, server restarting.
_TRANSIENT = re.compile("40001|40P01|08...|57P0[123]|25P03")
_NOT_MIGRATED = re.compile("42P01")
# While connecting libpq gives no SQLSTATE, only words.
_REFUSED = re.compile(
    "authentication failed|no password supplied|role .* does not exist|database .* does not exist|no pg_hba.conf entry"
    "|permission denied|not permitted to log in|server does not support SSL|unable to open database"
    "|readonly database|not a database|could not translate host name",
    re.IGNORECASE,
)


def is_transient(error: DBAPIError) -> bool:
    """Whether the same transaction, run again at once, may well succeed.

    A locked SQLite file is not: the driver has waited for a minute by then. A broken unique rule is: another writer,
    one that does not take the stream's lock, was first, and the repeat finds its event.
    """
    if isinstance(error, sa.exc.IntegrityError):
        return True
    if isinstance(error.orig, sqlite3.Error):
        return False
    return bool(error.connection_invalidated or (state(error) and _TRANSIENT.fullmatch(state(error))))


def state(error: DBAPIError) -> str:
    """Return PostgreSQL's SQLSTATE, empty where there is none (psycopg2 and psycopg spell it differently)."""
    return str(getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None) or "")


def translate(error: DBAPIError, url: sa.URL) -> RetrainError:
    """Turn a database's error into the error that tells a caller what to do. Names the database, never a password."""
    name, words = public_name(url), _words(error, url)
    if _NOT_MIGRATED.fullmatch(state(error)) or "no such table" in words:
        return not_migrated(name)
    if _REFUSED.search(words):
        return ConnectionConfigError(
            f"The ledger at {name} refuses: {words}",
            expected="a database that exists, and a user who may read and write it",
            remedy="Correct the URL or the connection, or the rights in the database",
        )
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) or error.connection_invalidated:
        return LedgerUnavailableError(
            f"The ledger at {name} did not answer: {words}",
            remedy="See that the database runs and can be reached from here, then try again: a repeat is a no-op",
        )
    return LedgerError(f"The ledger at {name} refused: {words}")


def not_migrated(name: str) -> ConfigurationError:
    """Return the error for a database without the ledger's tables."""
    return ConfigurationError(f"There is no ledger at {name}", expected="a migrated database", remedy=MIGRATE)


def _words(error: DBAPIError, url: sa.URL) -> str:
    words = " ".join(str(error.orig).split())
    for secret in secrets(url):
        words = words.replace(secret, "***")
    return words
