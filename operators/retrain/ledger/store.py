"""The ledger itself: appending, reading, claiming, verifying."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from retrain.exceptions import ContractError
from retrain.ledger import claims as claiming
from retrain.ledger import schema
from retrain.ledger.appending import append_entries
from retrain.ledger.chain import payload_text
from retrain.ledger.claims import Claim, ClaimState
from retrain.ledger.database import Database
from retrain.ledger.events import Appended, Entry, Event, Head, VerifyReport
from retrain.ledger.reading import first, rows, stream_names, to_event
from retrain.ledger.tables import events
from retrain.ledger.url import parse
from retrain.ledger.verification import verify


class Ledger:
    """A ledger in a SQLite file or in PostgreSQL. Safe in threads and across forks; open one per process or per task.

    Whatever cannot be done raises: LedgerUnavailableError (the database does not answer; a repeat is safe),
    ConnectionConfigError (it refuses: credentials, rights, path), ConfigurationError (not migrated), ContractError
    (what was given cannot be stored), SequenceConflictError and ClaimLostError (somebody else was first).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, *, migrate: bool = False) -> Self:
        """Open the ledger at `url`: `sqlite:////abs/path.db`, a plain path, or `postgresql://...`.

        With `migrate=True` the database is brought to the newest schema first (a SQLite file is made); any number of
        processes may do so at the same time. Without it a database that is not migrated is refused.
        """
        database = Database(parse(url))
        try:
            if migrate:
                schema.migrate(database)
            schema.check(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self._database.name

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._database.dialect

    def close(self) -> None:
        """Close idle connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(
        self,
        stream: str,
        kind: str,
        key: str,
        payload: Mapping[str, Any],
        *,
        actor: str | None = None,
        expected_sequence: int | None = None,
        claim: Claim | None = None,
        complete: bool = True,
        version: int = 1,
    ) -> Appended:
        """Append one event; see `append_all`."""
        entry = Entry(stream, kind, key, payload, actor, expected_sequence, version)
        return self.append_all([entry], claims=[claim] if claim else [], complete=complete)[0]

    def append_all(
        self, entries: Sequence[Entry], *, claims: Sequence[Claim] = (), complete: bool = True
    ) -> tuple[Appended, ...]:
        """Append events to one or several streams and complete the claims on the work, all of it or nothing.

        An entry whose (stream, kind, key) is there already changes nothing and gives the first event with
        `created=False`, also when its payload differs and whatever `expected_sequence` says: the first one is what
        everybody else has seen and acted upon. A caller to whom the difference matters compares the payloads.

        Each claim must still be its owner's, in this epoch (a lease that ran out is enough, as long as nobody took
        over), else ClaimLostError and nothing is written. `complete=True` marks the work as done; a repeat of exactly
        these entries is then still a no-op, but nothing can be added under the claim.
        """
        texts = [payload_text(entry.payload, f"{entry.stream} {entry.kind} {entry.key}") for entry in entries]
        locks = [f"stream:{entry.stream}" for entry in entries]
        locks += [claiming.lock_name(claim.work) for claim in claims]
        return self._database.write(
            locks,
            lambda connection: append_entries(
                connection, list(zip(entries, texts, strict=True)), claims, now=_now(), complete=complete
            ),
        )

    def events(
        self,
        stream: str | None = None,
        *,
        kinds: Collection[str] | None = None,
        key: str | None = None,
        after: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[Event]:
        """Iterate over events in order (across streams: as the database took them), in constant memory.

        `after` is a sequence and needs a stream: across streams there is no number that tells what was seen already,
        because transactions of different streams overlap.
        """
        if after and stream is None:
            raise ContractError(f"after={after} without a stream", expected="a stream, whose sequence it is")
        where = [events.c.stream == stream, events.c.sequence > after] if stream is not None else []
        if kinds is not None:
            where.append(events.c.kind.in_([kinds] if isinstance(kinds, str) else list(kinds)))
        if key is not None:
            where.append(events.c.key == key)
        order = [events.c.position] if stream is None else [events.c.sequence, events.c.position]
        return map(to_event, rows(self._database, where, order, limit=limit, newest_first=newest_first))

    def get(self, stream: str, kind: str, key: str) -> Event | None:
        """Return the event with this identity, if it happened."""
        return self._first(events.c.stream == stream, events.c.kind == kind, events.c.key == key)

    def at(self, stream: str, sequence: int) -> Event | None:
        """Return the event with this number."""
        return self._first(events.c.stream == stream, events.c.sequence == sequence)

    def last(self, stream: str, kind: str | None = None) -> Event | None:
        """Return the newest event of a stream, or the newest of one kind."""
        return self._first(events.c.stream == stream, *([events.c.kind == kind] if kind is not None else []))

    def streams(self) -> tuple[str, ...]:
        """Return the names of all streams, in order."""
        return self._database.read(stream_names)

    def verify(
        self, stream: str | None = None, *, heads: Mapping[str, Head | tuple[int, str]] | None = None
    ) -> VerifyReport:
        """Recompute the hash chain of one stream or of all; constant memory, writers may go on meanwhile.

        Finds events that were changed, removed from the middle, inserted or moved. With the `heads` of an earlier
        report it also finds a tail that was cut off, a stream that is gone and a chain that was computed anew.
        """
        return verify(self._database, stream, heads)

    def claim(
        self,
        work: str,
        owner: str,
        *,
        lease_seconds: float,
        now: datetime | None = None,
        take_over: bool = False,
    ) -> Claim | None:
        """Claim a piece of work; None when it is done or another owner's lease is alive (`get_claim` tells which).

        The owner that holds the claim gets it again, with its epoch and a new lease: a retry goes on. After the lease
        has run out, or at once with `take_over=True` (when the caller knows that the owner is dead), another owner gets
        it with a higher epoch. Each piece of work has its name once and for all: what is done is never given again.
        """
        claiming.check_request(work, owner, lease_seconds)
        return self._database.write(
            [claiming.lock_name(work)],
            lambda connection: claiming.acquire(
                connection, work, owner, lease_seconds=lease_seconds, now=now or _now(), take_over=take_over
            ),
        )

    def renew(self, claim: Claim, *, now: datetime | None = None) -> Claim:
        """Let the lease begin anew, with the same length; ClaimLostError if the claim is not the owner's any more."""
        return self._database.write(
            [claiming.lock_name(claim.work)], lambda connection: claiming.renew(connection, claim, now or _now())
        )

    def release(self, claim: Claim, *, now: datetime | None = None) -> bool:
        """Give the work back: claimable at once. False, without any change, if it was lost or done: safe in cleanup."""
        return self._database.write(
            [claiming.lock_name(claim.work)], lambda connection: claiming.release(connection, claim, now or _now())
        )

    def get_claim(self, work: str) -> Claim | None:
        """Return the claim on `work` with its state; None if nobody ever claimed it."""
        return self._database.read(lambda connection: claiming.find(connection, work))

    def claims(self, prefix: str | None = None, state: ClaimState | None = None) -> tuple[Claim, ...]:
        """Return the claims whose work begins with `prefix`, in order of their names."""
        return self._database.read(lambda connection: claiming.select(connection, prefix, state))

    def _first(self, *where: sa.ColumnElement[bool]) -> Event | None:
        query = sa.select(events).where(*where).order_by(events.c.sequence.desc())
        return self._database.read(lambda connection: first(connection, query))


def _now() -> datetime:
    return datetime.now(UTC)
