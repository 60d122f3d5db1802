import json
from datetime import UTC, datetime, timedelta

import pytest

from retrain.exceptions import ClaimLostError, ContractError
from retrain.ledger import Claim, ClaimState, task_owner

NOW = datetime(2013, 1, 1, tzinfo=UTC)
LEASE = 60
OWNER = task_owner("flights.data", "run-1", "ingest")


def after(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def held(ledger) -> Claim:
    claim = ledger.claim("work", OWNER, lease_seconds=LEASE, now=NOW)
    assert claim is not None
    return claim


def test_the_first_to_ask_gets_the_claim(ledger, held):
    assert held == Claim("work", OWNER, 1, after(60), 60.0, ClaimState.HELD)
    assert ledger.get_claim("work") == held
    assert ledger.get_claim("other") is None


def test_another_owner_waits_until_the_lease_has_run_out(ledger, held):
    assert ledger.claim("work", "another", lease_seconds=LEASE, now=after(59.9)) is None

    taken = ledger.claim("work", "another", lease_seconds=LEASE, now=after(60))

    assert taken == Claim("work", "another", 2, after(120), 60.0)
    assert ledger.claim("work", OWNER, lease_seconds=LEASE, now=after(61)) is None


@pytest.mark.parametrize("seconds", [30, 3000])
def test_a_retry_keeps_the_claim_and_its_epoch_and_renews_the_lease(ledger, held, seconds):
    again = ledger.claim("work", OWNER, lease_seconds=LEASE, now=after(seconds))

    assert again == Claim("work", OWNER, 1, after(seconds + 60), 60.0)


def test_a_claim_can_be_taken_over_from_an_owner_known_to_be_dead(ledger, held):
    taken = ledger.claim("work", "another", lease_seconds=LEASE, now=after(1), take_over=True)

    assert taken is not None
    assert taken.epoch == 2
    with pytest.raises(ClaimLostError, match="claimed by 'another'"):
        ledger.renew(held)


def test_work_that_is_done_is_never_given_again(ledger, held):
    ledger.append("model:a", "validated", "1", {}, claim=held)

    assert ledger.claim("work", OWNER, lease_seconds=LEASE, now=after(1)) is None
    assert ledger.claim("work", "another", lease_seconds=LEASE, now=after(9999), take_over=True) is None
    assert ledger.get_claim("work").state is ClaimState.DONE


def test_renewing_begins_the_lease_anew(ledger, held):
    renewed = ledger.renew(held, now=after(50))

    assert renewed.expires_at == after(110)
    assert ledger.claim("work", "another", lease_seconds=LEASE, now=after(100)) is None


def test_work_given_back_is_claimable_at_once_under_a_new_epoch(ledger, held):
    assert ledger.release(held, now=after(1))

    again = ledger.claim("work", OWNER, lease_seconds=LEASE, now=after(2))
    assert again is not None
    assert again.epoch == 2
    with pytest.raises(ClaimLostError):
        ledger.renew(held)


def test_a_late_owner_gives_nothing_back(ledger, held):
    taken = ledger.claim("work", "another", lease_seconds=LEASE, now=after(60))

    assert ledger.release(held) is False
    assert ledger.get_claim("work") == taken
    assert ledger.release(taken)
    assert ledger.release(taken) is False


def test_claims_are_listed_by_prefix_and_state(ledger):
    for work in ("dataset:a/1", "dataset:a/2", "dataset:A/1", "dataset:a%", "model:b/1"):
        ledger.claim(work, OWNER, lease_seconds=LEASE, now=NOW)
    ledger.release(ledger.get_claim("dataset:a/2"))

    assert {claim.work for claim in ledger.claims("dataset:a")} == {"dataset:a/1", "dataset:a/2", "dataset:a%"}
    assert [claim.work for claim in ledger.claims(state=ClaimState.FREE)] == ["dataset:a/2"]
    assert len(ledger.claims()) == 5


def test_a_claim_travels_as_json(held):
    assert Claim.from_dict(json.loads(json.dumps(held.to_dict()))) == held
    with pytest.raises(ContractError, match="no claim"):
        Claim.from_dict({"work": "work"})


def test_an_owner_is_the_task_and_not_its_try():
    assert OWNER == "flights.data/run-1/ingest"
    assert task_owner("flights.data", "run-1", "ingest", 3) == "flights.data/run-1/ingest[3]"


@pytest.mark.parametrize("lease", [0, -1, float("nan")])
def test_a_lease_has_a_length(ledger, lease):
    with pytest.raises(ContractError, match="lease_seconds"):
        ledger.claim("work", OWNER, lease_seconds=lease)


def test_a_time_without_a_zone_is_refused(ledger):
    with pytest.raises(ContractError, match="no time zone"):
        ledger.claim("work", OWNER, lease_seconds=1, now=datetime(2013, 1, 1))
