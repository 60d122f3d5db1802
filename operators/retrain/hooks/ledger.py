"""The ledger behind an Airflow connection of type `retrain_ledger`."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from retrain.exceptions import ConnectionConfigError, RetrainError
from retrain.hooks._connection import get_connection

if TYPE_CHECKING:
    from retrain.ledger import Claim, Ledger

log = logging.getLogger(__name__)

# A claim outlives its owner by this much at most: the owner renews it at a third of it while it works.
LEASE_SECONDS = 120.0
SINGLE_HOST_EXECUTORS = ("LocalExecutor", "SequentialExecutor")


class LedgerHook(BaseHook):
    """Opens the ledger that the connection names: PostgreSQL, or SQLite on a single host."""

    conn_name_attr = "ledger_conn_id"
    default_conn_name = "retrain_ledger"
    conn_type = "retrain_ledger"
    hook_name = "Retrain ledger (SQL)"

    def __init__(self, ledger_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.ledger_conn_id = ledger_conn_id

    def get_url(self) -> str:
        """Return the SQLAlchemy URL, with the password in it: for opening, never for a log."""
        from sqlalchemy.engine import URL

        connection = get_connection(self.ledger_conn_id, self.conn_type, "the ledger's database")
        dialect = connection.extra_dejson.get("dialect") or ("postgresql" if connection.host else "sqlite")
        if not connection.schema:
            raise ConnectionConfigError(
                f"the connection {self.ledger_conn_id!r} names no database",
                expected="its Database field: a PostgreSQL database, or the path of an SQLite file",
                remedy="Fill it under Admin > Connections",
            )
        if dialect == "sqlite":
            self._refuse_sqlite_across_hosts()
            return f"sqlite:///{connection.schema}"
        query = {"sslmode": mode} if (mode := connection.extra_dejson.get("sslmode")) else {}
        url = URL.create(
            dialect,
            username=connection.login,
            password=connection.password,
            host=connection.host,
            port=connection.port,
            database=connection.schema,
            query=query,
        )
        return url.render_as_string(hide_password=False)

    def get_conn(self) -> "Ledger":
        """Open the ledger; close it, or use it as a context manager."""
        from retrain.ledger import Ledger

        return Ledger.open(self.get_url())

    def _refuse_sqlite_across_hosts(self) -> None:
        from airflow.sdk import conf

        executor = conf.get("core", "executor", fallback="LocalExecutor")
        names = [name.strip().rsplit(".", 1)[-1].split(":")[0] for name in executor.split(",")]
        if any(name not in SINGLE_HOST_EXECUTORS for name in names):
            raise ConnectionConfigError(
                f"the ledger {self.ledger_conn_id!r} is SQLite, but the executor is {executor}",
                expected="PostgreSQL wherever tasks run on more than one host: SQLite's locks do not reach that far",
                remedy="Point the connection at a PostgreSQL database and run `retrain ledger migrate` on it",
            )

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the ledger can be opened (Airflow's Test button)."""
        try:
            with self.get_conn() as ledger:
                return True, f"The ledger holds {len(ledger.streams())} streams"
        except RetrainError as error:
            return False, str(error)


@contextlib.contextmanager
def claimed(ledger: "Ledger", work: str, owner: str, **options: Any) -> Iterator["Claim | None"]:
    """Claim `work` for the time of the block and renew the claim while it runs; None: somebody else has it.

    A failure in the block gives the work back at once, so that it stays claimable; completing it is the caller's
    (`append_all(..., claims=[claim])`), in the transaction that records the result.
    """
    claim = ledger.claim(work, owner, lease_seconds=LEASE_SECONDS, **options)
    if claim is None:
        yield None
        return
    stop = threading.Event()
    keeper = threading.Thread(target=_renew, args=(ledger, claim, stop), daemon=True, name=f"renew {work}")
    keeper.start()
    try:
        yield claim
    except BaseException:
        stop.set()
        keeper.join()
        with contextlib.suppress(RetrainError):
            ledger.release(claim)
        raise
    finally:
        stop.set()
        keeper.join()


def _renew(ledger: "Ledger", claim: "Claim", stop: threading.Event) -> None:
    while not stop.wait(LEASE_SECONDS / 3):
        try:
            ledger.renew(claim)
        except RetrainError as error:
            # Losing the claim is found out, with effect, when the result is committed: the epoch is checked there.
            log.warning("the claim on %s could not be renewed: %s", claim.work, error)
