"""Recomputing the hash chains: what was changed, removed, inserted or moved, and where."""

from collections.abc import Iterable, Mapping
from typing import Any

from retrain.exceptions import ContractError
from retrain.ledger.chain import GENESIS, event_hash
from retrain.ledger.database import Database
from retrain.ledger.events import Head, Problem, VerifyReport
from retrain.ledger.reading import rows, stream_names
from retrain.ledger.tables import events

# Beyond this many the report only says that it stopped: memory stays bounded whatever happened to the table.
MAX_PROBLEMS = 1000

_HASHED = ("stream", "sequence", "kind", "key", "version", "payload", "actor", "recorded_at", "previous_hash")


class ChainCheck:
    """The check of one stream: give it the stored rows in order of their sequence, then ask for `finish`."""

    def __init__(self, stream: str, expected: Head | None = None) -> None:
        self.stream = stream
        self.head = Head(0, GENESIS)
        self._expected = expected
        self.problems: list[Problem] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Check the next row against its own hash, against the one before it and against the expected head."""
        sequence = row["sequence"]
        follows = self.head.sequence + 1
        if sequence > follows:
            self._problem(follows, _missing(follows, sequence - 1))
        elif sequence < follows:
            self._problem(sequence, f"comes after event {self.head.sequence}: numbered twice or out of order")
        elif row["previous_hash"] != self.head.hash:
            self._problem(sequence, f"does not continue event {self.head.sequence}: its previous_hash is another one")
        if not _has_own_hash(row):
            self._problem(sequence, "was changed: its content does not give its hash")
        if self._expected and sequence == self._expected.sequence and row["hash"] != self._expected.hash:
            self._problem(sequence, f"is another event than at the last verification ({self._expected.hash})")
        self.head = Head(sequence, row["hash"])

    def finish(self) -> None:
        """Check that the stream reaches as far as the expected head."""
        if self._expected and self.head.sequence < self._expected.sequence:
            self._problem(self.head.sequence + 1, _missing(self.head.sequence + 1, self._expected.sequence))

    def _problem(self, sequence: int, what: str) -> None:
        self.problems.append(Problem(self.stream, sequence, what))


def verify(database: Database, stream: str | None, heads: Mapping[str, Head | tuple[int, str]] | None) -> VerifyReport:
    """Verify one stream or all; see `Ledger.verify`."""
    expected = {name: Head(*head) for name, head in (heads or {}).items()}
    names: Iterable[str] = [stream] if stream is not None else sorted({*database.read(stream_names), *expected})
    problems: list[Problem] = []
    reached: dict[str, Head] = {}
    count = 0
    for name in names:
        check = ChainCheck(name, expected.get(name))
        for row in rows(database, [events.c.stream == name], [events.c.sequence, events.c.position]):
            check.add(row._mapping)  # type: ignore[arg-type]
            count += 1
            if len(problems) + len(check.problems) >= MAX_PROBLEMS:
                return VerifyReport(len(reached), count, (*problems, *check.problems), reached, complete=False)
        check.finish()
        problems.extend(check.problems)
        if check.head.sequence:
            reached[name] = check.head
    return VerifyReport(len(reached), count, tuple(problems), reached)


def _has_own_hash(row: Mapping[str, Any]) -> bool:
    try:
        return str(row["hash"]) == event_hash(**{name: row[name] for name in _HASHED})
    except ContractError:
        # A value of another type than the ledger writes, which SQLite lets one put anywhere.
        return False


def _missing(first: int, last: int) -> str:
    return "is missing" if first == last else f"and all up to {last} are missing"
