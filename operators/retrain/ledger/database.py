"""Connections and transactions: one writer at a time per stream, retried where that is safe, errors translated."""

import contextlib
import hashlib
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from retrain.ledger.errors import is_transient, translate
from retrain.ledger.url import public_name

T = TypeVar("T")

# How long a writer waits for another one, and how long PostgreSQL lets a silent one keep its locks.
WAIT_SECONDS = 60
_ATTEMPTS = 5
_BACKOFF_SECONDS = 0.1


class Database:
    """The engine under a ledger. Safe to use after a fork: a child process opens connections of its own."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.name = public_name(url)
        self.dialect = url.get_backend_name()
        self._pid = os.getpid()
        self._engine = _sqlite_engine(url) if self.dialect == "sqlite" else _postgresql_engine(url)

    @property
    def engine(self) -> sa.Engine:
        """The engine, with no connection inherited from a parent process."""
        if self._pid != os.getpid():
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        return self._engine

    def close(self) -> None:
        """Close idle connections."""
        self.engine.dispose()

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one short reading transaction."""

        def attempt() -> T:
            with self.engine.connect() as connection, connection.begin():
                return work(connection)

        return self._attempts(attempt)

    def write(self, locks: Iterable[str], work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one transaction that holds `locks`; commits when it returns, rolls back when it raises.

        SQLite has one lock for the whole file, taken at BEGIN. PostgreSQL takes an advisory lock per name, always in
        the same order, so that two writers cannot wait for each other; the locks end with the transaction or with the
        connection, so a killed writer leaves none. `work` may run several times, and must then find out by itself
        what was already committed.
        """
        keys = sorted({_lock_key(name) for name in locks})

        def attempt() -> T:
            with self.engine.connect().execution_options(retrain_write=True) as connection, connection.begin():
                if self.dialect == "postgresql":
                    _lock(connection, keys)
                return work(connection)

        return self._attempts(attempt)

    def _attempts(self, attempt: Callable[[], T]) -> T:
        for number in range(1, _ATTEMPTS + 1):
            try:
                return attempt()
            except DBAPIError as error:
                if number == _ATTEMPTS or not is_transient(error):
                    raise translate(error, self.url) from error
                time.sleep(_BACKOFF_SECONDS * 2 ** (number - 1) * random.uniform(0.5, 1.5))
        raise AssertionError("the last attempt returns or raises")


def prepare_file(url: sa.URL) -> None:
    """Before the first migration of a SQLite file: make its folder, and let readers read while a writer writes."""
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            with contextlib.closing(sqlite3.connect(url.database or "", timeout=WAIT_SECONDS)) as connection:
                # Stays "delete" where the file system cannot do it; everything works then too, readers just wait.
                connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.Error as error:
            # SQLite does not wait here by itself while another process does the same.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise translate(sa.exc.OperationalError("PRAGMA", {}, error), url) from error
            time.sleep(0.05)


def _lock_key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"retrain:{name}".encode()).digest()[:8], "big", signed=True)


def _lock(connection: sa.Connection, keys: list[int]) -> None:
    connection.exec_driver_sql(
        f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'; SET LOCAL idle_in_transaction_session_timeout = '{WAIT_SECONDS}s'"
    )
    for key in keys:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    # No pool: an open SQLite connection must not be carried across a fork.
    engine = sa.create_engine(url, poolclass=NullPool, connect_args={"timeout": WAIT_SECONDS}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        # The driver would begin transactions late and deferred; the listener below does it instead.
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("retrain_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql_engine(url: sa.URL) -> sa.Engine:
    defaults = {"connect_timeout": "10", "application_name": "retrain-ledger"}
    return sa.create_engine(
        url.update_query_dict({name: value for name, value in defaults.items() if name not in url.query}),
        # With a stricter level the snapshot would be older than the lock, and the head of the stream stale.
        isolation_level="READ COMMITTED",
        pool_size=2,
        max_overflow=-1,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,
    )
