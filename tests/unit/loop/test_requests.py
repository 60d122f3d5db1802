"""Wanted retrainings: one training answers all of them, each of them once."""

from datetime import timedelta

import pytest

from retrain.exceptions import ClaimLostError
from retrain.loop.requests import claim_requests, open_requests

LEASE = timedelta(hours=12)
STREAM = "model:returns"


@pytest.fixture
def ask(ledger):
    def request(key: str, **params) -> None:
        ledger.append(STREAM, "requested", key, {"reason": f"reason {key}", "params": params}, actor="someone")

    return request


def decide(ledger, key: str, retrain: bool = True) -> None:
    ledger.append(
        STREAM, "decided", key, {"retrain": retrain, "trigger": "drift" if retrain else None, "reasons": ["a", "b"]}
    )


def claim(ledger, owner: str):
    return claim_requests(ledger, "returns", owner, lease=LEASE)


def test_only_a_decision_to_retrain_and_a_request_are_open(ledger, ask) -> None:
    decide(ledger, "no", retrain=False)
    decide(ledger, "yes")
    ask("please")
    assert [event.key for event in open_requests(ledger, "returns")] == ["yes", "please"]
    assert open_requests(ledger, "another") == []


def test_one_claim_answers_all_that_is_open(ledger, ask) -> None:
    decide(ledger, "d1")
    ask("r1", depth=3)
    claims, wishes = claim(ledger, "returns.train/run-1")
    assert [wish["key"] for wish in wishes] == ["d1", "r1"]
    assert [wish["trigger"] for wish in wishes] == ["drift", "on_demand"]
    assert [wish["reason"] for wish in wishes] == ["a; b", "reason r1"]
    assert wishes[1]["params"] == {"depth": 3}
    ledger.append(STREAM, "judged", "run-1", {}, claim=None)
    ledger.append_all([], claims=claims)
    assert open_requests(ledger, "returns") == []
    assert claim(ledger, "returns.train/run-2") == ([], [])


def test_what_arrives_while_a_training_runs_waits_for_the_next_one(ledger, ask) -> None:
    ask("r1")
    claims, _ = claim(ledger, "returns.train/run-1")
    ask("r2")
    ledger.append_all([], claims=claims)
    assert [event.key for event in open_requests(ledger, "returns")] == ["r2"]


def test_a_retry_of_the_same_run_keeps_its_claims(ledger, ask) -> None:
    ask("r1")
    first, _ = claim(ledger, "returns.train/run-1")
    again, wishes = claim(ledger, "returns.train/run-1")
    assert [one.epoch for one in again] == [one.epoch for one in first]
    assert len(wishes) == 1


def test_the_next_run_of_the_dag_takes_over_at_once_and_the_dead_one_cannot_commit(ledger, ask) -> None:
    ask("r1")
    dead, _ = claim(ledger, "returns.train/run-1")
    alive, _ = claim(ledger, "returns.train/run-2")
    assert len(alive) == 1
    with pytest.raises(ClaimLostError):
        ledger.append_all([], claims=dead)
    ledger.append_all([], claims=alive)
    assert open_requests(ledger, "returns") == []


def test_another_dag_does_not_take_over_a_living_claim(ledger, ask) -> None:
    ask("r1")
    claim(ledger, "returns.train/run-1")
    assert claim(ledger, "returns.train.copy/run-1") == ([], [])
    assert claim(ledger, "returns/run-1") == ([], [])


def test_requests_of_a_model_whose_name_begins_alike_are_left_alone(ledger, ask) -> None:
    ask("r1")
    ledger.append("model:returns-2", "requested", "r1", {"reason": "", "params": {}})
    claims, _ = claim(ledger, "dag/run")
    ledger.append_all([], claims=claims)
    assert [event.key for event in open_requests(ledger, "returns-2")] == ["r1"]


def test_a_training_that_failed_for_good_is_an_answer_and_leaves_its_claims(ledger, ask) -> None:
    ask("r1")
    claims, wishes = claim(ledger, "returns.train/run-1")
    ledger.append(STREAM, "failed", "returns.train/run-1", {"reason": "no target", "requests": wishes})
    assert open_requests(ledger, "returns") == []
    # Somebody clears the failed task: it goes on with the claims that its run still holds.
    ledger.append(STREAM, "judged", "returns.train/run-1", {}, claim=claims[0])
