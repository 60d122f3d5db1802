"""Which database a ledger lives in, from the forms that people write."""

import re
from pathlib import Path

import sqlalchemy as sa

from retrain.exceptions import ConnectionConfigError, MissingDependencyError

_FORMS = "sqlite:////absolute/path.db, a plain path, or postgresql://user:password@host:5432/database"
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
_SECRET = re.compile("pass|secret|token", re.IGNORECASE)


def parse(url: str) -> sa.URL:
    """Turn a URL or path into a SQLAlchemy URL: SQLite with an absolute path, or PostgreSQL with its driver.

    Raises ConnectionConfigError for anything else, MissingDependencyError where PostgreSQL's driver is not installed.
    """
    if not url or not url.strip():
        raise ConnectionConfigError("The ledger's URL is empty", expected=_FORMS, remedy="Set RETRAIN_LEDGER")
    if not _SCHEME.match(url):
        return sa.URL.create("sqlite", database=str(Path(url).expanduser().absolute()))
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # The text may hold a password, so it is not repeated.
        raise ConnectionConfigError(
            "The ledger's URL cannot be read", expected=_FORMS, remedy="In a password, write @ / : as %40 %2F %3A"
        ) from None
    backend, _, driver = parsed.drivername.partition("+")
    if backend == "sqlite" and driver in ("", "pysqlite"):
        return _sqlite(parsed)
    if backend in ("postgres", "postgresql") and driver in ("", "psycopg2", "psycopg"):
        return _postgresql(parsed, driver or "psycopg2")
    raise ConnectionConfigError(f"The ledger cannot live in {parsed.drivername!r}", expected=_FORMS)


def public_name(url: sa.URL) -> str:
    """Return the URL as it may appear in messages and logs: without a password, also not one in the query."""
    hidden = {name: "***" for name in url.query if _SECRET.search(name)}
    shown = url.update_query_dict(hidden).render_as_string(hide_password=True)
    return shown.replace("=%2A%2A%2A", "=***")


def secrets(url: sa.URL) -> tuple[str, ...]:
    """Return what must not appear in a message that a driver wrote."""
    found = [url.password or "", *(str(value) for name, value in url.query.items() if _SECRET.search(name))]
    return tuple(value for value in found if value)


def _sqlite(url: sa.URL) -> sa.URL:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ConnectionConfigError(
            "The ledger cannot live in memory: each process would see another one",
            expected="sqlite:////absolute/path.db",
        )
    return url.set(drivername="sqlite", database=str(Path(url.database).expanduser().absolute()))


def _postgresql(url: sa.URL, driver: str) -> sa.URL:
    parsed = url.set(drivername=f"postgresql+{driver}")
    try:
        parsed.get_dialect().import_dbapi()
    except ImportError:
        raise MissingDependencyError(
            f"A ledger in PostgreSQL needs the driver {driver}, which is not installed",
            remedy="pip install 'airflow-provider-retrain[postgres]'",
        ) from None
    return parsed
