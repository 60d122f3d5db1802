"""What a receiver outside is told of: each release, until it has confirmed it."""

from retrain.loop.notices import last_notice, note_told, notice, pending_notices

STREAM = "model:returns"


def release(ledger, version: str, kind: str = "promoted", **more):
    number = sum(1 for _ in ledger.events(STREAM))
    payload = {"version": version, "previous": None, "reason": "better", **more}
    return ledger.append(STREAM, kind, f"{version}#{number}", payload, actor="bo").event


def test_a_notice_says_what_changed_who_did_it_and_why(ledger) -> None:
    assert last_notice(ledger, "returns") is None
    event = release(ledger, "2", "rolled_back", previous="3", alarm="decay", model_uri="models:/m-2")
    assert notice(event) == last_notice(ledger, "returns")
    assert notice(event) == {
        "id": "model:returns#1", "kind": "rolled_back", "model": "returns", "version": "2", "previous": "3",
        "reason": "better", "by": "bo", "approved_by": None, "alarm": "decay", "model_uri": "models:/m-2",
        "at": event.recorded_at.isoformat(), "hash": event.hash,
    }  # fmt: skip


def test_a_receiver_that_is_added_late_is_told_the_last_release_only(ledger) -> None:
    for version in ("1", "2", "3"):
        release(ledger, version)
    assert [event.payload["version"] for event in pending_notices(ledger, "returns")] == ["3"]


def test_what_was_not_confirmed_is_told_again_in_order(ledger) -> None:
    first = release(ledger, "1")
    note_told(ledger, "returns", first, receiver="hook", actor="x")
    assert pending_notices(ledger, "returns") == []
    second, third = release(ledger, "2"), release(ledger, "1", "rolled_back")
    assert pending_notices(ledger, "returns") == [second, third]
    note_told(ledger, "returns", third, receiver="hook", actor="x")
    note_told(ledger, "returns", third, receiver="hook", actor="x")
    assert pending_notices(ledger, "returns") == [second]
