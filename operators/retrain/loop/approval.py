"""Approval: whether a person has to be asked about a judged version, what they are shown, and what they answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from retrain.exceptions import SequenceConflictError
from retrain.records import Approval, ApprovalRule, GateStatus, Kind, OnTimeout, model_stream
from retrain.registry.champions import champion
from retrain.registry.retirement import retired

if TYPE_CHECKING:
    from retrain.ledger import Event, Ledger

ATTEMPTS = 20
NO_APPROVAL = Approval()
# A comment longer than this is no comment; the ledger keeps it for good.
COMMENT = 2_000


class Standing(StrEnum):
    """What is to be done with a judged version."""

    PROMOTE = "promote"
    ASK = "ask"
    LEAVE = "leave"


@dataclass(frozen=True)
class Answer:
    """What a person said, or what counts as the answer because nobody said anything (`person` is None)."""

    approved: bool
    person: str | None
    comment: str = ""
    note: str = ""


def overall(judged: Mapping[str, Any]) -> tuple[GateStatus, list[str]]:
    """Return the worse of the gate's status and the serving check's, where there was one, and the reasons of it."""
    # A serving check that was declared away has no status.
    verdicts = [one for one in (judged["verdict"], judged.get("serving")) if one and one["status"]]
    order = (GateStatus.FAIL, GateStatus.INCONCLUSIVE, GateStatus.PASS)
    status = min((GateStatus(one["status"]) for one in verdicts), key=order.index)
    return status, [reason for one in verdicts if one["status"] == status for reason in one["reasons"]]


def standing(
    ledger: "Ledger", model: str, judged: "Event", approval: Approval | None = None
) -> tuple[Standing, str, "Event | None"]:
    """Return what is to be done with a judged version, why, and the answer of a person if there is one."""
    approval = approval or NO_APPROVAL
    version = judged.payload["version"]
    status, reasons = overall(judged.payload)
    said = f"{status.value}: " + "; ".join(reasons)
    if (event := retired(ledger, model).get(version)) is not None:
        return Standing.LEAVE, f"version {version} is retired: {event.payload['reason']}", None
    if status is GateStatus.FAIL:
        return Standing.LEAVE, said, None
    if (answer := answer_of(ledger, model, judged.key)) is not None:
        to_do = Standing.PROMOTE if answer.kind == Kind.APPROVED else Standing.LEAVE
        return to_do, f"{answer.kind} by {answer.payload['by'] or 'nobody'}: {answer.payload['comment']}", answer
    asks = approval.when is ApprovalRule.ALWAYS
    if status is GateStatus.INCONCLUSIVE:
        asks = approval.when is not ApprovalRule.NEVER
    elif not asks:
        return Standing.PROMOTE, said, None
    return (Standing.ASK if asks else Standing.LEAVE), said, None


def newest(ledger: "Ledger", model: str, wanted: Standing, approval: Approval | None = None) -> "Event | None":
    """Return the latest `judged` event with which `wanted` is still to be done: its run died before it was.

    A verdict on a champion that is not there any more, or from before it was promoted, says nothing.
    """
    current = champion(ledger, model)
    version, since = (current.version, current.sequence) if current else (None, 0)
    for judged in ledger.events(model_stream(model), kinds=[Kind.JUDGED], after=since, newest_first=True):
        same = judged.payload["champion"] == version
        if same and standing(ledger, model, judged, approval)[0] is wanted:
            return judged
    return None


def answer_of(ledger: "Ledger", model: str, key: str) -> "Event | None":
    """Return the answer about the verdict with this key; there is at most one."""
    for kind in (Kind.APPROVED, Kind.REJECTED):
        if (event := ledger.get(model_stream(model), kind, key)) is not None:
            return event
    return None


def note_asking(ledger: "Ledger", model: str, judged: "Event", approval: Approval, *, actor: str) -> datetime:
    """Record that a person is asked about a verdict and return the deadline; asking again does not move it."""
    payload = {
        "version": judged.payload["version"],
        "when": approval.when.value,
        "timeout_hours": approval.timeout_hours,
        "on_timeout": approval.on_timeout.value,
    }
    asked = ledger.append(model_stream(model), Kind.ASKED, judged.key, payload, actor=actor).event
    return asked.recorded_at + timedelta(hours=asked.payload["timeout_hours"])


def record_answer(ledger: "Ledger", model: str, judged: "Event", answer: Answer, *, actor: str) -> "Event":
    """Record an answer; the first one counts, also when another is given at the same time."""
    stream = model_stream(model)
    payload = {
        "version": judged.payload["version"],
        "by": answer.person,
        "comment": answer.comment,
        "note": answer.note,
    }
    kind = Kind.APPROVED if answer.approved else Kind.REJECTED
    for _ in range(ATTEMPTS):
        head = ledger.last(stream)
        if (done := answer_of(ledger, model, judged.key)) is not None:
            return done
        try:
            who = answer.person or actor
            return ledger.append(
                stream, kind, judged.key, payload, actor=who, expected_sequence=head.sequence if head else 0
            ).event
        except SequenceConflictError:
            continue
    raise SequenceConflictError(
        f"the stream {stream} moved on {ATTEMPTS} times while an answer was being recorded", remedy="Try again"
    )


def askers(judged: "Event") -> frozenset[str]:
    """Return who asked for this training by hand: by themselves they may not approve what came of it."""
    wishes = judged.payload.get("requests") or ()
    people = {wish.get("actor") for wish in wishes if wish.get("trigger") == "on_demand"} | {judged.actor}
    return frozenset(str(one) for one in people if one and not str(one).startswith("dag:"))


def by_timeout(approval: Approval) -> Answer:
    """Return what counts as the answer when nobody has answered in time."""
    approved = approval.on_timeout is OnTimeout.APPROVE
    return Answer(approved, None, note=f"nobody answered within {approval.timeout_hours:g} hours")


def question(
    model: str, judged: "Event", approval: Approval, links: Mapping[str, str], *, separate: bool
) -> tuple[str, str]:
    """Return headline and evidence (Markdown) for the one who is asked; `separate`: the askers may not answer."""
    payload = judged.payload
    status, reasons = overall(payload)
    current = payload["champion"]
    instead = f"instead of version {current}" if current else "as its first champion"
    subject = f"Promote version {payload['version']} of {model} {instead}? The gate says {status.value}"
    lines = [*(f"- {reason}" for reason in reasons), "", *_table(payload["verdict"]), *_conditions(payload)]
    lines += ["", f"Trained on {len(payload.get('partitions') or ())} partitions, judged on {_names(payload)}."]
    lines += [f"Asked for: {wish.get('reason')} ({wish.get('actor')})." for wish in payload.get("requests") or ()]
    if separate and (people := askers(judged)):
        lines += [f"**Not to be answered by {', '.join(sorted(people))}**, who asked for this training."]
    lines += ["", " · ".join(f"[{name}]({address})" for name, address in links.items() if address)]
    lines += ["", f"Without an answer within {approval.timeout_hours:g} hours: {approval.on_timeout.value}."]
    return subject, "\n".join(lines)


def _table(verdict: Mapping[str, Any]) -> list[str]:
    rows = [("all rows", {**verdict, "rows": verdict.get("rows")}), *(verdict.get("slices") or {}).items()]
    head = f"| {verdict['metric']} on | rows | champion | challenger | difference | interval | status |"
    return [head, "|---|---|---|---|---|---|---|", *(_row(name, numbers) for name, numbers in rows)]


def _row(name: str, numbers: Mapping[str, Any]) -> str:
    interval = numbers.get("interval") or ()
    span = " to ".join(_number(one) for one in interval) or "-"
    values = [_number(numbers.get(field)) for field in ("champion", "challenger", "difference")]
    shown = str(name).replace("|", "\\|")
    return f"| {shown} | {numbers.get('rows', '-')} | {' | '.join(values)} | {span} | {numbers.get('status', '-')} |"


def _conditions(payload: Mapping[str, Any]) -> list[str]:
    checks = [*(payload["verdict"].get("conditions") or ()), *((payload.get("serving") or {}).get("checks") or ())]
    told = [f"| {one['name']} | {one['status']} | {str(one.get('reason', '')).replace('|', '/')} |" for one in checks]
    return ["", "| condition | status | |", "|---|---|---|", *told] if told else []


def _names(payload: Mapping[str, Any]) -> str:
    return ", ".join(payload.get("holdout") or ()) or "nothing"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}"
