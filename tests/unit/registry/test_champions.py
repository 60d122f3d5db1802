from collections.abc import Iterator
from pathlib import Path

import pytest

from retrain.ledger import Ledger
from retrain.registry import champion, promotions


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True) as opened:
        yield opened


def test_model_that_was_never_promoted_has_no_champion(ledger: Ledger) -> None:
    ledger.append("model:m", "trained", "1", {"version": "1"})
    assert champion(ledger, "m") is None


def test_last_promotion_or_rollback_decides_and_other_events_do_not(ledger: Ledger) -> None:
    ledger.append("model:m", "promoted", "1@0", {"version": "1", "previous": None, "reason": "first"})
    ledger.append("model:m", "promoted", "2@1", {"version": "2", "previous": "1", "evidence": {"metric": 0.9}})
    ledger.append("model:m", "rolled_back", "1@2", {"version": "1", "previous": "2"}, actor="alice")
    ledger.append("model:m", "watched", "p", {"status": "ok"})
    now = champion(ledger, "m")
    assert now is not None
    assert (now.version, now.previous, now.kind, now.sequence, now.actor) == ("1", "2", "rolled_back", 3, "alice")
    assert [(change.version, change.kind) for change in promotions(ledger, "m")] == [
        ("1", "promoted"),
        ("2", "promoted"),
        ("1", "rolled_back"),
    ]
    assert next(iter(promotions(ledger, "m"))).to_dict()["reason"] == "first"


def test_package_exports_are_functions_also_after_their_modules_were_imported() -> None:
    import retrain.registry
    import retrain.registry.champions
    import retrain.registry.promotion

    assert all(callable(getattr(retrain.registry, name)) for name in retrain.registry.__all__)
