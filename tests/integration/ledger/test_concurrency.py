import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrain.exceptions import ClaimLostError
from retrain.ledger import Claim, ClaimState, Ledger

pytestmark = pytest.mark.integration

Writer = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def writer() -> Iterator[Writer]:
    """Start a process of writer.py; those that a test leaves behind are killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        script = Path(__file__).with_name("writer.py")
        command = [sys.executable, "-W", "error", str(script), *map(str, arguments)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


def results(processes: list[subprocess.Popen[str]]) -> list[list]:
    output = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return [[json.loads(line) for line in text.splitlines()] for text in output]


def sequences(ledger: Ledger, stream: str) -> list[int]:
    return [event.sequence for event in ledger.events(stream)]


def test_many_writers_lose_nothing_and_keep_the_chain(url, ledger, writer):
    writers, count = 6, 15
    said = results([writer("append", url, name, count) for name in range(writers)])

    acknowledged = [tuple(identity) for lines in said for line in lines for identity in line]
    stored = [(event.stream, event.kind, event.key) for event in ledger.events()]
    assert len(acknowledged) == len(set(acknowledged)), "two writers were told that they made the same event"
    assert sorted(acknowledged) == sorted(stored)
    assert len(stored) == writers * count * 3 + count
    assert sequences(ledger, "dataset:one") == list(range(1, writers * count * 2 + count + 1))
    assert sequences(ledger, "dataset:two") == list(range(1, writers * count + 1))
    assert ledger.verify().ok


def test_the_fence_lets_no_update_get_lost(url, ledger, writer):
    results([writer("count_up", url, 10) for _ in range(4)])

    assert [event.payload["value"] for event in ledger.events("model:counter")] == list(range(1, 41))


@pytest.mark.parametrize("before", ["nobody", "an owner whose lease ran out"])
def test_one_of_many_gets_the_claim(url, ledger, writer, before):
    count = 30
    if before != "nobody":
        for number in range(count):
            ledger.claim(f"work-{number}", before, lease_seconds=1, now=datetime(2013, 1, 1, tzinfo=UTC))
    writers = [writer("claim", url, f"owner-{number}", count) for number in range(4)]
    for process in writers:
        assert process.stdout is not None
        assert process.stdout.readline() == '"ready"\n'
    for process in writers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = results(writers)

    got = [Claim.from_dict(document) for (documents,) in said for document in documents]
    assert sorted(claim.work for claim in got) == sorted(f"work-{number}" for number in range(count))
    assert set(ledger.claims()) == set(got)
    assert {claim.epoch for claim in got} == {1 if before == "nobody" else 2}


def test_many_may_migrate_at_once(url, writer):
    results([writer("migrate", url) for _ in range(5)])

    with Ledger.open(url) as ledger:
        assert ledger.append("model:a", "promoted", "1", {}).created


def test_a_writer_killed_in_its_transaction_leaves_nothing_and_blocks_nobody(url, ledger, writer):
    holder = writer("hold", url)
    assert holder.stdout is not None
    held = Claim.from_dict(json.loads(holder.stdout.readline()))
    waiting = [writer("append", url, name, 3) for name in range(2)]
    for process in waiting:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == [], "has opened the ledger"
    assert list(ledger.events()) == [], "readers see nothing of an open transaction, and do not wait for it"
    assert [process.poll() for process in waiting] == [None, None]
    holder.send_signal(signal.SIGKILL)

    results(waiting)
    assert ledger.get("dataset:one", "own", "held") is None
    assert ledger.get_claim("held") == held, "the work is claimed still, and not done"
    assert sequences(ledger, "dataset:one") == list(range(1, 16))
    assert ledger.verify().ok

    # Whoever knows that the holder is dead goes on at once, and the dead one's claim is worth nothing.
    taken = ledger.claim("held", "another", lease_seconds=60, take_over=True)
    assert taken is not None
    assert taken.epoch == held.epoch + 1
    with pytest.raises(ClaimLostError):
        ledger.append("dataset:one", "own", "held", {"by": "holder"}, claim=held)
    assert ledger.append("dataset:one", "own", "held", {"by": "another"}, claim=taken).created


def test_what_was_acknowledged_survives_writers_killed_anywhere(url, ledger, writer):
    acknowledged = []
    processes = [writer("forever", url, name) for name in range(3)]
    for number, process in enumerate(processes):
        assert process.stdout is not None
        acknowledged += [json.loads(process.stdout.readline()) for _ in range(4 + number)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [json.loads(line) for line in process.communicate()[0].splitlines() if line.endswith('"')]

    stored = [event.key for event in ledger.events("dataset:one")]
    assert set(acknowledged) <= set(stored)
    assert sequences(ledger, "dataset:one") == list(range(1, len(stored) + 1))
    assert {claim.work for claim in ledger.claims(state=ClaimState.DONE)} == set(stored)
    assert ledger.verify().ok


def test_a_ledger_goes_on_in_a_forked_child_and_in_its_parent(url, ledger, writer):
    count = 20
    assert results([writer("fork", url, count)]) == [[0]]

    keys = {event.key for event in ledger.events("dataset:one")}
    assert keys == {"before", *(f"{name}-{number}" for name in ("child", "parent") for number in range(count))}
    assert ledger.verify().ok
