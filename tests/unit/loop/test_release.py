"""Which version a rollback goes back to, and which promotion is left undone. Releases themselves need MLflow."""

import pytest

from retrain.loop.release import _before, unfinished_promotion
from retrain.registry.champions import promotions

STREAM = "model:returns"


def promote(ledger, version: str, kind: str = "promoted") -> None:
    number = sum(1 for _ in ledger.events(STREAM))
    ledger.append(STREAM, kind, f"{version}#{number}", {"version": version})


def judge(ledger, version: str, champion: str | None, status: str) -> None:
    verdict = {"status": status, "metric": "roc_auc", "rule": "non_inferior", "reasons": [], "rows": 100}
    payload = {"version": version, "champion": champion, "verdict": verdict}
    ledger.append(STREAM, "judged", f"run-{version}", payload)


@pytest.mark.parametrize(
    ("changes", "before"),
    [
        ([], None),
        (["+1"], None),
        (["+1", "+2"], "1"),
        (["+1", "+2", "+3", "-2"], "1"),
        (["+1", "+2", "+3", "-2", "-1"], None),
        (["+1", "+2", "+3", "-1"], None),
        (["+1", "+2", "-1", "+3"], "1"),
        (["+1", "+2", "-1", "+2"], "1"),
    ],
)
def test_a_rollback_never_goes_back_to_what_was_rolled_back_from(ledger, changes: list[str], before) -> None:
    for change in changes:
        promote(ledger, change[1:], "promoted" if change[0] == "+" else "rolled_back")
    assert _before(list(promotions(ledger, "returns"))) == before


def test_a_passing_verdict_is_not_lost_behind_a_later_one_that_does_not_pass(ledger) -> None:
    promote(ledger, "1")
    judge(ledger, "2", "1", "pass")
    judge(ledger, "3", "1", "fail")
    assert unfinished_promotion(ledger, "returns").payload["version"] == "2"


def test_a_verdict_on_an_earlier_champion_says_nothing(ledger) -> None:
    promote(ledger, "1")
    judge(ledger, "2", "1", "pass")
    promote(ledger, "3")
    judge(ledger, "4", "1", "pass")
    assert unfinished_promotion(ledger, "returns") is None


def test_the_first_promotion_can_be_left_undone_too(ledger) -> None:
    judge(ledger, "1", None, "pass")
    assert unfinished_promotion(ledger, "returns").payload["version"] == "1"
