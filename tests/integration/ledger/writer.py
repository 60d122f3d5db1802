"""A process of its own that uses a ledger; says on stdout what was acknowledged, one JSON value a line."""

import json
import os
import sys
import time
from datetime import UTC, datetime

from retrain.exceptions import SequenceConflictError
from retrain.ledger import Entry, Ledger
from retrain.ledger.appending import append_entries


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


def migrate(url: str) -> None:
    with Ledger.open(url, migrate=True) as ledger:
        say(ledger.dialect)


def append(url: str, name: str, count: str) -> None:
    """Own keys, keys that every writer uses, and pairs over two streams in either order."""
    streams = ["dataset:one", "dataset:two"]
    if int(name) % 2:
        streams.reverse()
    with Ledger.open(url) as ledger:
        say([])
        for number in range(int(count)):
            made = [
                ledger.append("dataset:one", "own", f"{name}-{number}", {"writer": name}),
                ledger.append("dataset:one", "shared", str(number), {"writer": name}),
                *ledger.append_all([Entry(stream, "pair", f"{name}-{number}", {}) for stream in streams]),
            ]
            say([[one.event.stream, one.event.kind, one.event.key] for one in made if one.created])


def count_up(url: str, count: str) -> None:
    """Read, decide, append under the fence; begin again when another writer was first."""
    with Ledger.open(url) as ledger:
        for number in range(int(count)):
            while True:
                last = ledger.last("model:counter")
                sequence, value = (last.sequence, last.payload["value"]) if last else (0, 0)
                key = f"{os.getpid()}-{number}"
                try:
                    ledger.append("model:counter", "counted", key, {"value": value + 1}, expected_sequence=sequence)
                    break
                except SequenceConflictError:
                    continue
    say("done")


def claim(url: str, name: str, count: str) -> None:
    """Claim every piece of work, at the same time as the others; say which ones were got."""
    with Ledger.open(url) as ledger:
        say("ready")
        sys.stdin.readline()
        got = [ledger.claim(f"work-{number}", name, lease_seconds=600) for number in range(int(count))]
    say([one.to_dict() for one in got if one])


def forever(url: str, name: str) -> None:
    with Ledger.open(url) as ledger:
        for number in range(1_000_000):
            held = ledger.claim(f"{name}-{number}", name, lease_seconds=600)
            ledger.append("dataset:one", "own", f"{name}-{number}", {}, claim=held)
            say(f"{name}-{number}")


def hold(url: str) -> None:
    """Stay in the middle of a transaction that has appended and completed a claim."""
    with Ledger.open(url) as ledger:
        held = ledger.claim("held", "holder", lease_seconds=600)

        def work(connection):
            entry = Entry("dataset:one", "own", "held", {})
            append_entries(connection, [(entry, "{}")], [held], now=datetime.now(UTC), complete=True)
            say(held.to_dict())
            time.sleep(3600)

        ledger._database.write(["stream:dataset:one", "claim:held"], work)


def fork(url: str, count: str) -> None:
    """Use the same ledger before a fork, and after it in parent and child at the same time."""
    with Ledger.open(url) as ledger:
        ledger.append("dataset:one", "own", "before", {})
        child = os.fork()
        for number in range(int(count)):
            ledger.append("dataset:one", "own", f"{'parent' if child else 'child'}-{number}", {})
        if not child:
            os._exit(0)
        say(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    {function.__name__: function for function in (migrate, append, count_up, claim, forever, hold, fork)}[sys.argv[1]](
        *sys.argv[2:]
    )
