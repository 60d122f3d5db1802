"""Which version a rollback goes back to, and which promotion is left undone. Releases themselves need MLflow."""

import pytest

from retrain.exceptions import ChainBrokenError, PromotionRefusedError
from retrain.loop.release import _before, digest_of, rollback_target, unfinished_promotion
from retrain.registry import retire, retired
from retrain.registry.champions import check_intact, promotions

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
        (["+1", "+2", "-1", "-2"], "1"),
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


def test_a_retired_version_is_passed_over_and_refused_by_name(ledger) -> None:
    for version in ("1", "2", "3"):
        promote(ledger, version)
    assert rollback_target(ledger, "returns").version == "2"
    event = retire(ledger, "returns", "2", reason="leaks the label", actor="bo")
    assert retire(ledger, "returns", "2", reason="once more", actor="ada") == event
    assert set(retired(ledger, "returns")) == {"2"}
    assert rollback_target(ledger, "returns").version == "1"
    with pytest.raises(PromotionRefusedError, match="version 2 of returns was retired by bo: leaks the label"):
        rollback_target(ledger, "returns", "2")


def test_a_version_that_nobody_knows_cannot_be_retired(ledger) -> None:
    promote(ledger, "1")
    judge(ledger, "10", "1", "fail")
    with pytest.raises(PromotionRefusedError, match=r"no version 99 of returns. Expected one of 1, 10"):
        retire(ledger, "returns", "99", reason="bad", actor="bo")
    with pytest.raises(PromotionRefusedError, match=r"no version 1 of retruns"):
        retire(ledger, "retruns", "1", reason="bad", actor="bo")
    assert retire(ledger, "returns", "10", reason="bad", actor="bo").payload["version"] == "10"


def test_the_champion_cannot_be_retired(ledger) -> None:
    promote(ledger, "1")
    with pytest.raises(PromotionRefusedError, match=r"version 1 is the champion.*rollback"):
        retire(ledger, "returns", "1", reason="bad", actor="bo")
    assert not retired(ledger, "returns")


def test_when_all_earlier_champions_are_retired_there_is_nothing_to_go_back_to(ledger) -> None:
    promote(ledger, "1")
    promote(ledger, "2")
    retire(ledger, "returns", "1", reason="bad", actor="bo")
    with pytest.raises(
        PromotionRefusedError, match=r"cannot be rolled back to the previous champion.*\['1'\] are retired"
    ):
        rollback_target(ledger, "returns")


def test_a_retired_version_is_not_promoted_by_a_sweep(ledger) -> None:
    promote(ledger, "1")
    judge(ledger, "2", "1", "pass")
    retire(ledger, "returns", "2", reason="bad", actor="bo")
    assert unfinished_promotion(ledger, "returns") is None


def test_the_digest_is_the_one_that_was_recorded_first(ledger) -> None:
    verdict = {"status": "pass", "metric": "roc_auc", "rule": "non_inferior", "reasons": [], "rows": 100}
    for number, digest in enumerate(("aa", "bb")):
        payload = {
            "version": "2",
            "champion": None,
            "verdict": verdict,
            "serving": {"status": "pass", "digest": digest},
        }
        ledger.append(STREAM, "judged", f"run-{number}", payload)
    unchecked = {"version": "4", "champion": None, "verdict": verdict, "serving": None, "artifact_digest": "dd"}
    ledger.append(STREAM, "judged", "run-2", unchecked)
    ledger.append(STREAM, "rolled_back", "r", {"version": "3", "check": {"status": "pass", "digest": "cc"}})
    assert [digest_of(ledger, "returns", version) for version in ("1", "2", "3", "4")] == [None, "aa", "cc", "dd"]


def test_a_broken_chain_stops_every_change_and_names_the_event_and_the_remedy(ledger, tmp_path) -> None:
    import sqlite3

    promote(ledger, "1")
    promote(ledger, "2")
    check_intact(ledger, "returns")
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        for (name,) in database.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            database.execute(f"drop trigger {name}")
        database.execute("""update retrain_events set payload = '{"version":"9"}' where sequence = 1""")
    with pytest.raises(ChainBrokenError, match=r"event 1 was changed.*retrain ledger verify.*backup"):
        check_intact(ledger, "returns")
