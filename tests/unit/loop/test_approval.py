"""Who has to agree before a promotion, and what their answer does."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from retrain.exceptions import ContractError, PromotionRefusedError
from retrain.ledger import Ledger
from retrain.loop.approval import (
    Answer,
    Standing,
    answer_of,
    askers,
    by_timeout,
    newest,
    note_asking,
    question,
    record_answer,
    standing,
)
from retrain.loop.release import promote_judged
from retrain.records import Approval
from retrain.registry import retire
from retrain.registry.reconciliation import challenger

STREAM = "model:returns"
RULES = {name: Approval(name) for name in ("never", "always", "when_inconclusive")}


def judge(ledger, version="2", champion="1", status="pass", run="returns.train/run", actor="dag:returns.train", **more):
    verdict = {
        "status": status, "metric": "roc_auc", "rule": "non_inferior", "reasons": [f"it is {status}"], "rows": 100,
        "champion": 0.7, "challenger": 0.71, "difference": 0.01, "interval": [-0.005, 0.025],
    }  # fmt: skip
    payload = {"version": version, "champion": champion, "verdict": verdict, "requests": [], **more}
    return ledger.append(STREAM, "judged", run, payload, actor=actor).event


def promote(ledger, version="1"):
    ledger.append(STREAM, "promoted", f"{version}:x", {"version": version, "previous": None})


@pytest.mark.parametrize(
    ("rule", "status", "expected"),
    [
        ("never", "pass", Standing.PROMOTE),
        ("never", "inconclusive", Standing.LEAVE),
        ("never", "fail", Standing.LEAVE),
        ("always", "pass", Standing.ASK),
        ("always", "inconclusive", Standing.ASK),
        ("always", "fail", Standing.LEAVE),
        ("when_inconclusive", "pass", Standing.PROMOTE),
        ("when_inconclusive", "inconclusive", Standing.ASK),
        ("when_inconclusive", "fail", Standing.LEAVE),
    ],
)
def test_the_rule_and_the_gate_say_whether_a_person_is_asked(ledger, rule, status, expected) -> None:
    assert standing(ledger, "returns", judge(ledger, status=status), RULES[rule])[0] is expected


@pytest.mark.parametrize(
    ("gate", "serving", "expected"),
    [
        ("pass", "fail", Standing.LEAVE),
        ("pass", "inconclusive", Standing.ASK),
        ("inconclusive", "fail", Standing.LEAVE),
        ("pass", "pass", Standing.PROMOTE),
    ],
)
def test_the_serving_check_counts_like_the_gate(ledger, gate, serving, expected) -> None:
    judged = judge(ledger, status=gate, serving={"status": serving, "reasons": [f"serving is {serving}"]})
    to_do, why, _ = standing(ledger, "returns", judged, RULES["when_inconclusive"])
    assert to_do is expected
    assert ("serving is" in why) == (serving != "pass" or gate == "pass")


def test_a_serving_check_that_was_declared_away_does_not_count(ledger) -> None:
    judged = judge(ledger, serving={"status": None, "reasons": ["no serving check is declared"]})
    assert standing(ledger, "returns", judged, RULES["never"])[0] is Standing.PROMOTE


def test_the_first_answer_counts_and_there_is_one_only(ledger) -> None:
    judged = judge(ledger)
    yes = record_answer(ledger, "returns", judged, Answer(True, "bo", "go"), actor="dag:x")
    assert record_answer(ledger, "returns", judged, Answer(False, "ada", "no"), actor="dag:x") == yes
    assert (yes.kind, yes.actor, yes.payload["comment"]) == ("approved", "bo", "go")
    assert standing(ledger, "returns", judged, RULES["always"])[0] is Standing.PROMOTE


def test_of_answers_at_the_same_time_one_is_recorded(ledger, tmp_path) -> None:
    judged = judge(ledger)

    def answer(number: int) -> str:
        with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as own:
            return record_answer(own, "returns", judged, Answer(number % 2 == 0, f"p{number}"), actor="x").kind

    with ThreadPoolExecutor(6) as pool:
        kinds = set(pool.map(answer, range(6)))
    assert len(kinds) == 1
    assert len(list(ledger.events(STREAM, kinds=["approved", "rejected"]))) == 1


def test_a_no_is_never_promoted_and_not_asked_again(ledger) -> None:
    promote(ledger)
    judged = judge(ledger)
    assert challenger(ledger, "returns") == "2"
    record_answer(ledger, "returns", judged, Answer(False, "ada", "too soon"), actor="x")
    for rule in RULES.values():
        to_do, why, _ = standing(ledger, "returns", judged, rule)
        assert (to_do, why) == (Standing.LEAVE, "rejected by ada: too soon")
    for wanted in (Standing.ASK, Standing.PROMOTE):
        assert newest(ledger, "returns", wanted, RULES["always"]) is None
    assert challenger(ledger, "returns") is None
    with pytest.raises(PromotionRefusedError, match="rejected by ada: too soon"):
        promote_judged(ledger, None, "returns", judged, actor="x", approval=RULES["always"])


def test_what_needs_approval_is_not_promoted_without_it(ledger) -> None:
    with pytest.raises(PromotionRefusedError, match=r"may not be promoted.*ModelApproveOperator"):
        promote_judged(ledger, None, "returns", judge(ledger), actor="x", approval=RULES["always"])


def test_what_a_dead_run_has_not_asked_to_the_end_is_found_again(ledger) -> None:
    promote(ledger)
    first = judge(ledger, run="returns.train/dead")
    assert newest(ledger, "returns", Standing.ASK, RULES["always"]) == first
    second = judge(ledger, version="3", run="returns.train/dead-too")
    assert newest(ledger, "returns", Standing.ASK, RULES["always"]) == second
    record_answer(ledger, "returns", second, Answer(True, "bo"), actor="x")
    assert newest(ledger, "returns", Standing.PROMOTE, RULES["always"]) == second
    promote(ledger, "3")
    assert newest(ledger, "returns", Standing.ASK, RULES["always"]) is None


def test_a_retired_version_is_not_asked_about(ledger) -> None:
    promote(ledger)
    judge(ledger)
    retire(ledger, "returns", "2", reason="bad", actor="bo")
    assert newest(ledger, "returns", Standing.ASK, RULES["always"]) is None


def test_asking_again_does_not_move_the_deadline(ledger) -> None:
    judged, approval = judge(ledger), Approval("always", timeout_hours=2)
    deadline = note_asking(ledger, "returns", judged, approval, actor="x")
    assert note_asking(ledger, "returns", judged, Approval("always", timeout_hours=9), actor="y") == deadline
    (asked,) = ledger.events(STREAM, kinds=["asked"])
    assert deadline == asked.recorded_at + timedelta(hours=2)


@pytest.mark.parametrize(("default", "kind"), [("reject", "rejected"), ("approve", "approved")])
def test_nobodys_answer_is_the_declared_one_and_says_so(ledger, default, kind) -> None:
    approval = Approval("always", timeout_hours=0.5, on_timeout=default)
    event = record_answer(ledger, "returns", judge(ledger), by_timeout(approval), actor="dag:returns.train")
    assert (event.kind, event.actor, event.payload["by"]) == (kind, "dag:returns.train", None)
    assert event.payload["note"] == "nobody answered within 0.5 hours"
    assert answer_of(ledger, "returns", "returns.train/run") == event


def test_who_asked_by_hand_is_known_also_when_another_run_answers_the_wish(ledger) -> None:
    wishes = [{"trigger": "on_demand", "actor": "ada"}, {"trigger": "decay", "actor": "dag:returns.data"}]
    assert askers(judge(ledger, requests=wishes)) == {"ada"}
    assert askers(judge(ledger, run="b", actor="bo")) == {"bo"}
    assert askers(judge(ledger, run="c")) == frozenset()


def test_the_evidence_shows_numbers_conditions_links_and_who_may_not_answer(ledger) -> None:
    judged = judge(
        ledger,
        actor="ada",
        status="inconclusive",
        requests=[{"trigger": "on_demand", "actor": "ada", "reason": "new labels"}],
        serving={"status": "pass", "reasons": [], "checks": [{"name": "load", "status": "pass", "reason": "2 s"}]},
        holdout=["2024-03@v1"],
    )
    links = {"Version in MLflow": "http://m/#/models/returns/versions/2", "Training": ""}
    subject, body = question("returns", judged, Approval("always", 24), links, separate=True)
    assert subject == "Promote version 2 of returns instead of version 1? The gate says inconclusive"
    for shown in (
        "| all rows | 100 | 0.7000 | 0.7100 | 0.0100 | -0.0050 to 0.0250 | inconclusive |", "| load | pass | 2 s |",
        "[Version in MLflow](http://m/#/models/returns/versions/2)", "judged on 2024-03@v1", "new labels (ada)",
        "Not to be answered by ada", "within 24 hours: reject",
    ):  # fmt: skip
        assert shown in body, shown
    assert "[Training]" not in body
    assert "Not to be answered" not in question("returns", judged, Approval("always"), links, separate=False)[1]


def test_evidence_with_slices_and_without_numbers_can_be_shown(ledger) -> None:
    verdict = {
        "status": "inconclusive", "metric": "roc_auc", "rule": "non_inferior", "reasons": ["too few rows"], "rows": 3,
        "slices": {"shop=a|b": {"rows": 2, "champion": None, "challenger": 0.5, "status": "inconclusive"}},
        "conditions": [{"name": "age", "status": "pass", "reason": "1 day"}],
    }  # fmt: skip
    judged = judge(ledger, champion=None, verdict=verdict)
    subject, body = question("returns", judged, Approval("always"), {}, separate=True)
    assert "as its first champion" in subject
    assert "| shop=a\\|b | 2 | - | 0.5000 | - | - | inconclusive |" in body
    assert "| age | pass | 1 day |" in body


@pytest.mark.parametrize(
    "wrong", [{"when": "often"}, {"on_timeout": "ask"}, {"timeout_hours": 0}, {"timeout_hours": -1.0}]
)
def test_a_wrong_rule_is_refused(wrong) -> None:
    with pytest.raises(ContractError):
        Approval(**wrong)
