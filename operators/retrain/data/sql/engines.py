"""From a connection's id to a SQLAlchemy engine, and from a driver's errors to ours."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import sqlalchemy as sa

from retrain.exceptions import (
    ConnectionConfigError,
    MissingDependencyError,
    RetrainError,
    StoreUnavailableError,
    UnreadableDataError,
)

Resolver = Callable[[str], sa.Engine]

# A context variable and not a global: two triggers with different connections share one process.
_resolver: ContextVar[Resolver | None] = ContextVar("retrain_sql", default=None)


@contextmanager
def connections(resolver: Resolver) -> Iterator[None]:
    """Take engines from `resolver(conn_id)` while the block runs, in this context (see `storage.configure`).

    The resolver owns its engines: whoever makes them with a pool disposes of them.
    """
    token = _resolver.set(resolver)
    try:
        yield
    finally:
        _resolver.reset(token)


def engine_of(conn_id: str) -> sa.Engine:
    """Return the engine of a connection, from the resolver in force, else from the environment.

    Raises ConnectionConfigError where nothing is known of it, MissingDependencyError where the driver is missing.
    """
    return (_resolver.get() or from_environment)(conn_id)


def from_environment(conn_id: str) -> sa.Engine:
    """Make an engine from the SQLAlchemy URL in `RETRAIN_SQL_<CONN_ID>`; it keeps no connection open."""
    variable = "RETRAIN_SQL_" + re.sub(r"\W", "_", conn_id).upper()
    text = os.environ.get(variable, "").strip()
    if not text:
        raise ConnectionConfigError(
            f"The SQL connection {conn_id!r} is not known here",
            expected=f"a SQLAlchemy URL in the environment variable {variable}",
            remedy=f"Set {variable}=postgresql://user@host:5432/database; in Airflow, make a connection of that id",
        )
    try:
        return sa.create_engine(_with_driver(sa.make_url(text)), poolclass=sa.NullPool)
    except (sa.exc.ArgumentError, ValueError):
        # The text may hold a password, so it is not repeated.
        raise ConnectionConfigError(
            f"The URL in {variable} cannot be read", expected="a SQLAlchemy URL",
            remedy="In a password, write @ / : as %40 %2F %3A",
        ) from None  # fmt: skip
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise MissingDependencyError(
            f"The database of {variable} needs a driver that is not installed: {error}",
            remedy="For PostgreSQL: pip install 'airflow-provider-retrain[postgres]'",
        ) from error


def _with_driver(url: sa.URL) -> sa.URL:
    # SQLAlchemy 2.1 takes a bare postgresql:// for psycopg 3, and postgres:// for nothing at all.
    return url.set(drivername="postgresql+psycopg2") if url.drivername in ("postgres", "postgresql") else url


@contextmanager
def querying(uri: str) -> Iterator[None]:
    """Translate what a database raises while `uri` is listed or read.

    UnreadableDataError: no such table or column, not allowed, a value that its type cannot hold.
    StoreUnavailableError: no answer, or refused credentials.
    """
    try:
        yield
    except RetrainError:
        raise
    except sa.exc.NoSuchTableError as error:
        raise UnreadableDataError(
            f"The table of {uri} is not there", expected="an existing table or view",
            remedy="Check the spelling, the schema and the right to see it",
        ) from error  # fmt: skip
    except sa.exc.DBAPIError as error:
        brief = (str(error.orig).splitlines() or [""])[0][:200]
        if isinstance(error, sa.exc.ProgrammingError | sa.exc.DataError) and not error.connection_invalidated:
            raise UnreadableDataError(
                f"{uri} cannot be read: {brief}", expected="a readable table with the columns that are named"
            ) from error
        raise StoreUnavailableError(
            f"The database of {uri} did not answer: {brief}",
            expected="a database that is reachable with valid credentials",
            remedy="Check the connection; the same call may succeed later",
        ) from error
    except (sa.exc.SQLAlchemyError, ValueError, ArithmeticError) as error:
        raise UnreadableDataError(f"{uri} cannot be read: {error}", expected="values of the columns' types") from error
