from datetime import UTC, datetime, timedelta

import pytest

from retrain.exceptions import ClaimLostError, ContractError, SequenceConflictError
from retrain.ledger import GENESIS, ClaimState, Entry, canonical_json, event_hash
from retrain.ledger.chain import write_time

STREAM = "model:flight-delays"


def recomputed(event):
    fields = {**event.to_dict(), "payload": canonical_json(event.payload)}
    return event_hash(**{name: value for name, value in fields.items() if name != "hash"})


def test_events_are_numbered_and_chained(ledger):
    before = datetime.now(UTC)
    first = ledger.append(STREAM, "trained", "1", {"auc": 0.62, "größe": [1, None]}, actor="dag/run/task", version=2)
    second = ledger.append(STREAM, "promoted", "1", {})
    other = ledger.append("dataset:flights", "arrived", "2013-01", {})

    assert (first.created, second.created) == (True, True)
    assert (first.event.sequence, second.event.sequence, other.event.sequence) == (1, 2, 1)
    assert (first.event.previous_hash, second.event.previous_hash) == (GENESIS, first.event.hash)
    assert first.event.payload == {"auc": 0.62, "größe": [1, None]}
    assert (first.event.actor, first.event.version) == ("dag/run/task", 2)
    assert before <= first.event.recorded_at <= datetime.now(UTC)
    assert [recomputed(one.event) for one in (first, second)] == [first.event.hash, second.event.hash]
    assert list(ledger.events(STREAM)) == [first.event, second.event]


def test_a_repeat_is_a_no_op_and_the_first_wins(ledger):
    first = ledger.append(STREAM, "trained", "1", {"auc": 0.62})
    ledger.append(STREAM, "promoted", "1", {})

    repeat = ledger.append(STREAM, "trained", "1", {"auc": 0.99}, expected_sequence=0)

    assert not repeat.created
    assert repeat.event == first.event
    assert len(list(ledger.events())) == 2


def test_the_fence_refuses_who_looked_too_early(ledger):
    ledger.append(STREAM, "trained", "1", {}, expected_sequence=0)

    with pytest.raises(SequenceConflictError, match=r"at event 1.*Expected 0"):
        ledger.append(STREAM, "trained", "2", {}, expected_sequence=0)

    assert ledger.append(STREAM, "trained", "2", {}, expected_sequence=1).event.sequence == 2


def test_several_entries_are_appended_in_order_and_twins_once(ledger):
    entries = [Entry(STREAM, "a", "1", {}), Entry("dataset:flights", "a", "1", {}), Entry(STREAM, "b", "1", {})]

    results = ledger.append_all([*entries, entries[0]])

    assert [(one.event.stream, one.event.sequence) for one in results] == [
        (STREAM, 1),
        ("dataset:flights", 1),
        (STREAM, 2),
        (STREAM, 1),
    ]
    assert [one.created for one in results] == [True, True, True, False]
    assert ledger.append_all([]) == ()


def test_all_entries_are_appended_or_none(ledger):
    held = ledger.claim("work", "owner", lease_seconds=60)
    entries = [Entry(STREAM, "a", "1", {}), Entry("dataset:flights", "b", "1", {}, expected_sequence=7)]

    with pytest.raises(SequenceConflictError):
        ledger.append_all(entries, claims=[held])

    assert ledger.streams() == ()
    assert ledger.get_claim("work") == held


def test_an_append_completes_its_claim(ledger):
    held = ledger.claim("work", "owner", lease_seconds=60)

    ledger.append(STREAM, "validated", "1", {}, claim=held, complete=False)
    assert ledger.get_claim("work").state is ClaimState.HELD
    ledger.append(STREAM, "drift", "1", {}, claim=held)

    assert ledger.get_claim("work").state is ClaimState.DONE
    assert ledger.claim("work", "owner", lease_seconds=60) is None


def test_the_repeat_of_an_append_that_completed_its_claim_is_a_no_op(ledger):
    held = ledger.claim("work", "owner", lease_seconds=60)
    first = ledger.append(STREAM, "validated", "1", {}, claim=held)

    assert ledger.append(STREAM, "validated", "1", {}, claim=held).event == first.event
    with pytest.raises(ClaimLostError, match="done already"):
        ledger.append(STREAM, "validated", "2", {}, claim=held)
    assert len(list(ledger.events())) == 1


def test_a_late_owner_cannot_append(ledger):
    now = datetime(2013, 1, 1, tzinfo=UTC)
    late = ledger.claim("work", "late", lease_seconds=60, now=now)
    current = ledger.claim("work", "current", lease_seconds=60, now=now + timedelta(seconds=60))

    with pytest.raises(ClaimLostError, match=r"claimed by 'current' .epoch 2.*Expected 'late' .epoch 1"):
        ledger.append(STREAM, "validated", "1", {"by": "late"}, claim=late)
    ledger.append(STREAM, "validated", "1", {"by": "current"}, claim=current)
    with pytest.raises(ClaimLostError):
        ledger.append(STREAM, "validated", "1", {"by": "late"}, claim=late)

    assert [event.payload for event in ledger.events()] == [{"by": "current"}]


def test_an_owner_whose_lease_ran_out_may_append_while_nobody_took_over(ledger):
    held = ledger.claim("work", "owner", lease_seconds=1, now=datetime(2013, 1, 1, tzinfo=UTC))

    assert ledger.append(STREAM, "validated", "1", {}, claim=held).created


def test_work_given_back_or_never_claimed_cannot_be_committed(ledger):
    held = ledger.claim("work", "owner", lease_seconds=60)
    ledger.release(held)

    with pytest.raises(ClaimLostError, match="is free"):
        ledger.append(STREAM, "validated", "1", {}, claim=held)
    with pytest.raises(ClaimLostError, match="never claimed"):
        ledger.append(STREAM, "validated", "1", {}, claim=type(held)(**{**vars(held), "work": "other"}))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("", "kind", "key"), "stream is ''"),
        (("stream", "k\0", "key"), "NUL"),
        (("stream", "kind", "\ud800"), "UTF-8"),
        (("s" * 251, "kind", "key"), "251 bytes.*at most 250"),
        (("stream", "kind", "ü" * 501), "1002 bytes.*at most 1000"),
        (("stream", 7, "key"), "kind is 7"),
    ],
)
def test_names_that_a_database_could_not_hold_are_refused(ledger, names, message):
    with pytest.raises(ContractError, match=message):
        ledger.append(*names, {})


def test_names_and_payloads_come_back_as_they_went_in(ledger):
    names = ("s" * 250, "'; DROP TABLE retrain_events; --%s:x", "é" * 500)
    payload = {"\0": "\0\x7f\u2028 %(x)s :x 🛫", "big": 2**70, "small": 5e-324, "minus": -0.0}

    event = ledger.append(*names, payload, actor="%s").event

    assert ledger.get(*names) == event
    assert (event.stream, event.kind, event.key) == names
    assert canonical_json(event.payload) == canonical_json(payload)
    assert write_time(event.recorded_at) == event.to_dict()["recorded_at"]
    assert ledger.verify().ok


def test_a_payload_that_is_refused_appends_nothing(ledger):
    entries = [Entry(STREAM, "a", "1", {}), Entry(STREAM, "a", "2", {"auc": float("nan")})]

    with pytest.raises(ContractError, match="is nan"):
        ledger.append_all(entries)

    assert list(ledger.events()) == []
