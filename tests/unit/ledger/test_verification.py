"""Tampering by somebody with write access, who first has to remove what protects the table."""

import pytest
import sqlalchemy as sa

from retrain.exceptions import ChainBrokenError
from retrain.ledger import Problem, event_hash, verification

STREAM = "model:a"


@pytest.fixture
def database(url):
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg2:"), poolclass=sa.NullPool)

    def run(*statements):
        with engine.begin() as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
            return result.fetchall() if result.returns_rows else None

    run.dialect = engine.dialect.name
    return run


@pytest.fixture
def filled(ledger):
    for number in range(1, 6):
        ledger.append(STREAM, "trained", str(number), {"auc": number})
    ledger.append("model:b", "trained", "1", {})
    return ledger


@pytest.fixture
def tamper(filled, database):
    if database.dialect == "sqlite":
        drop = [f"DROP TRIGGER retrain_events_no_{what}" for what in ("update", "delete", "replace")]
    else:
        drop = [f"DROP TRIGGER retrain_events_keep_{what} ON retrain_events" for what in ("rows", "table")]
    database(*drop)
    return database


def where(sequence):
    return f"WHERE stream = '{STREAM}' AND sequence = {sequence}"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE retrain_events SET payload = '{}'",
        "UPDATE retrain_events SET position = position + 1000",
        "DELETE FROM retrain_events WHERE sequence = 1",
    ],
)
def test_the_database_refuses_to_change_events(filled, database, statement):
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        database(statement)

    assert filled.verify().ok


@pytest.mark.parametrize("clash", ["sequence", "identity", "position"])
def test_the_database_refuses_to_replace_events(filled, database, clash):
    position, sequence, key = {
        "sequence": (99, 1, "new"),
        "identity": (99, 99, "1"),
        "position": (1, 99, "new"),
    }[clash]
    columns = "(position, stream, sequence, kind, key, version, payload, recorded_at, previous_hash, hash)"
    row = f"VALUES ({position}, '{STREAM}', {sequence}, 'trained', '{key}', 1, '{{}}', 'x', 'x', 'x')"
    verb, end = ("INSERT OR REPLACE", "") if database.dialect == "sqlite" else ("INSERT", "")
    if database.dialect == "postgresql":
        target = {"sequence": "stream, sequence", "identity": "stream, kind, key", "position": "position"}[clash]
        end = f"ON CONFLICT ({target}) DO UPDATE SET payload = 'x'"

    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        database(f"{verb} INTO retrain_events {columns} {row} {end}")

    assert filled.verify().ok


def test_an_intact_ledger_verifies_and_gives_its_heads(filled):
    report = filled.verify()

    assert report.ok
    assert (report.streams, report.events, report.complete) == (2, 6, True)
    assert report.heads[STREAM] == (5, filled.last(STREAM).hash)
    assert filled.verify(STREAM).heads == {STREAM: report.heads[STREAM]}
    assert filled.verify(heads=report.heads).ok


def test_an_empty_ledger_verifies(ledger):
    report = ledger.verify()

    assert report.ok
    assert (report.streams, report.events, report.heads) == (0, 0, {})


@pytest.mark.parametrize(
    "change", ["payload = '{\"auc\":9}'", "actor = 'me'", "version = 2", "kind = 'x'", "recorded_at = 'x'"]
)
def test_a_changed_event_is_found(filled, tamper, change):
    tamper(f"UPDATE retrain_events SET {change} {where(3)}")

    report = filled.verify()

    assert report.problems == (Problem(STREAM, 3, "was changed: its content does not give its hash"),)
    assert filled.verify("model:b").ok


def test_a_change_with_a_hash_that_fits_breaks_the_link_of_the_next_event(filled, tamper):
    event = filled.at(STREAM, 3).to_dict()
    forged = event_hash(**{**{name: event[name] for name in event if name != "hash"}, "payload": "{}"})
    tamper(f"UPDATE retrain_events SET payload = '{{}}', hash = '{forged}' {where(3)}")

    (problem,) = filled.verify().problems

    assert (problem.sequence, problem.what.split(":")[0]) == (4, "does not continue event 3")


def test_removed_events_are_found(filled, tamper):
    tamper(f"DELETE FROM retrain_events {where(2)}")
    assert filled.verify().problems == (Problem(STREAM, 2, "is missing"),)

    tamper(f"DELETE FROM retrain_events {where(1)}", f"DELETE FROM retrain_events {where(3)}")
    assert filled.verify().problems == (Problem(STREAM, 1, "and all up to 3 are missing"),)


def test_a_gap_that_was_closed_by_renumbering_is_found(filled, tamper):
    tamper(f"DELETE FROM retrain_events {where(2)}")
    for number in (3, 4, 5):
        tamper(f"UPDATE retrain_events SET sequence = {number - 1} {where(number)}")

    problems = filled.verify().problems

    assert (problems[0].sequence, problems[0].what[:25]) == (2, "does not continue event 1")
    assert {problem.sequence for problem in problems} == {2, 3, 4}


def test_swapped_events_are_found(filled, tamper):
    for old, new in ((2, 99), (3, 2), (99, 3)):
        tamper(f"UPDATE retrain_events SET sequence = {new} {where(old)}")

    assert {problem.sequence for problem in filled.verify().problems} == {2, 3, 4}


def test_a_tail_that_was_cut_off_is_found_by_the_heads(filled, tamper):
    heads = filled.verify().heads
    tamper(f"DELETE FROM retrain_events {where(5)}", "DELETE FROM retrain_events WHERE stream = 'model:b'")

    assert filled.verify().ok
    assert filled.verify(heads=heads).problems == (
        Problem(STREAM, 5, "is missing"),
        Problem("model:b", 1, "is missing"),
    )


def test_a_chain_that_was_computed_anew_is_found_by_the_heads(filled, tamper):
    heads = filled.verify().heads
    tamper(f"DELETE FROM retrain_events WHERE stream = '{STREAM}'")
    for number in range(1, 7):
        filled.append(STREAM, "trained", str(number), {"auc": 1})

    assert filled.verify().ok
    (problem,) = filled.verify(heads=heads).problems
    assert (problem.sequence, problem.what[:16]) == (5, "is another event")


def test_later_events_do_not_disturb_the_heads(filled):
    heads = filled.verify().heads
    filled.append(STREAM, "trained", "6", {})

    assert filled.verify(heads=heads).ok


def test_an_event_that_cannot_be_read_says_where(filled, tamper):
    tamper(f"UPDATE retrain_events SET payload = '{{' {where(3)}")

    with pytest.raises(ChainBrokenError, match=r"Event 3 of 'model:a'.*retrain ledger verify"):
        list(filled.events(STREAM))


def test_a_report_stays_small(filled, tamper, monkeypatch):
    monkeypatch.setattr(verification, "MAX_PROBLEMS", 2)
    tamper("UPDATE retrain_events SET payload = 'x'")

    report = filled.verify()

    assert (len(report.problems), report.complete) == (2, False)
