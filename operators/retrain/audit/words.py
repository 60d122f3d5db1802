"""Why a version is (or is not) in production, in plain words with the numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrain.audit.dossier import Dossier

_MOST = 12
_TRIGGERS = {
    "on_demand": "a person asked for it",
    "cold_start": "there was no model yet",
    "decay": "the champion's performance had decayed",
    "drift": "the data had drifted",
    "new_data": "enough new data had come",
    "schedule": "the schedule was due",
}


@dataclass(frozen=True)
class Paragraph:
    """One question and what the record answers to it."""

    title: str
    lines: tuple[str, ...]


def explain(dossier: "Dossier") -> list[Paragraph]:
    """Tell where it is now, what asked for it, data, code, gate, who said so, and what was seen since."""
    told = dossier.ledger
    found = [
        Paragraph("now", tuple(_now(dossier))),
        Paragraph("asked for by", tuple(_asked(told["asked_for"]))),
        Paragraph("trained on", tuple(_data(told))),
        Paragraph("made from", tuple(_made(dossier))),
        Paragraph("judged", tuple(_judged(told))),
        Paragraph("serving check", tuple(_serving(told["serving"]))),
        Paragraph("who said so", tuple(_who(told))),
        Paragraph("seen since", (*_since(told["since"]), *_guarded(told["remarks"]))),
    ]
    if dossier.gaps:
        found.append(Paragraph("could not be asked", tuple(dossier.gaps)))
    return found


def day(text: str | None) -> str:
    """Shorten a recorded time: `2026-11-21 14:06:25 UTC`."""
    return f"{text[:19].replace('T', ' ')} UTC" if text else "an unknown time"


def number(value: Any) -> str:
    """Write a number to four digits, a count with its thousands, anything else as it is."""
    if isinstance(value, bool) or value is None:
        return "-" if value is None else str(value).lower()
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) >= 1000):
        return f"{int(value):,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def listed(names: Iterable[str], most: int = _MOST) -> str:
    """Join names; of a long list the first and the last, and how many."""
    every = list(names)
    if len(every) <= most:
        return ", ".join(every)
    return f"{', '.join(every[: most // 2])}, ... {', '.join(every[-2:])} ({len(every)} in all)"


def _now(dossier: "Dossier") -> Iterable[str]:
    times = dossier.ledger["production"]
    if not times:
        yield "never in production"
    for one in times:
        how = "made champion" if one["how"] == "promoted" else "made champion again by a rollback"
        end = f", until {day(one['until'])}" if one["until"] else ", and still is"
        what = {"promoted": "replaced by", "rolled_back": "rolled back to"}.get(one["ended_as"] or "", "replaced by")
        by = f", when it was {what} version {one['replaced_by']}" if one["replaced_by"] else ""
        instead = f" in place of version {one['replaced']}" if one["replaced"] else ""
        yield f"{how} at {day(one['since'])}{instead}{end}{by}"
        if one["ended_as"] == "rolled_back" and one["ended_because"]:
            alarm = f" (alarm: {one['ended_by_alarm']})" if one["ended_by_alarm"] else ""
            yield f"why it was rolled back: {one['ended_because']}{alarm}"
        if one["check"]:
            yield f"it was loaded before that: {one['check'].get('status')}"


def _asked(wishes: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    wishes = list(wishes)
    if not wishes:
        yield "nothing that is recorded"
    for wish in wishes:
        meaning = _TRIGGERS.get(wish["trigger"] or "", wish["trigger"] or "unknown")
        yield f"{wish['actor'] or 'somebody'} at {day(wish['at'])}: {meaning}"
        yield from (f"- {reason}" for reason in str(wish["reason"] or "no reason given").split("; "))
        if wish["params"]:
            yield f"- with the parameters {wish['params']}"


def _data(told: Mapping[str, Any]) -> Iterable[str]:
    data = told["data"]
    if not data["partitions"]:
        yield "unknown: no training of it is recorded"
        return
    rows = f"{number(data['rows'])} rows of " if data["rows"] is not None else ""
    keys = listed(one["key"] for one in data["partitions"])
    yield f"{rows}{len(data['partitions'])} partitions of {data['dataset'] or 'an unknown dataset'}: {keys}"
    if data["quarantined_rows"]:
        yield f"{number(data['quarantined_rows'])} rows were set aside before that"
    for one in data["partitions"]:
        if one.get("released_by"):
            yield f"{one['key']} was let in by {one['released_by']}: {one['released_because']}"
        if not one["known"]:
            yield f"{one['key']}: how it came in is not recorded"
    proofs = {True: "the ledger's digests give it", False: "BUT the ledger's digests give another one"}
    if data["snapshot"]:
        yield f"snapshot {data['snapshot']} ({proofs.get(data['proven'], 'not every digest is known')})"
    if told["holdout"]:
        held = listed(f"{one['key']} ({number(one['rows'])} rows)" for one in told["holdout"])
        yield f"judged on {held}"


def _made(dossier: "Dossier") -> Iterable[str]:
    training, mlflow = dossier.ledger["training"], dossier.mlflow or {}
    if code := dossier.training("code"):
        yield f"code {code}" + (f" ({mlflow['train']})" if mlflow.get("train") else "")
    origin = {**(mlflow.get("origin") or {}), **training["origin"]}
    if origin.get("bundle_version"):
        yield f"DAG bundle {origin.get('bundle')} at {origin['bundle_version']}"
    if origin.get("dag_id"):
        yield f"run {origin['dag_id']} / {origin.get('run_id')}, task {origin.get('task_id')}"
    params = dossier.training("params")
    if params is not None:
        yield "parameters " + (", ".join(f"{name}={value}" for name, value in sorted(params.items())) or "none")
    if environment := dossier.training("environment"):
        yield "libraries " + ", ".join(f"{name} {version}" for name, version in sorted(environment.items()))
    if training["training_key"]:
        yield f"training key {training['training_key']}"
    if training["run_id"]:
        yield f"MLflow run {training['run_id']}, model {training['model_uri']}"


def _judged(told: Mapping[str, Any]) -> Iterable[str]:
    gate = told["gate"]
    if gate is None:
        yield "by no gate that is recorded"
        return
    verdict = gate["verdict"] or {}
    against = f"against version {gate['against']}" if gate["against"] else "without a champion to compare with"
    yield f"{verdict.get('status', 'unknown')}, {against}, at {day(gate['at'])}"
    yield from (f"- {reason}" for reason in verdict.get("reasons") or ())
    if verdict.get("margin") is not None:
        confidence = f" at {verdict['confidence']:.0%} confidence" if verdict.get("confidence") else ""
        yield f"rule {verdict.get('rule')}, margin {number(verdict['margin'])}{confidence}"
    if verdict.get("rows_needed"):
        yield f"about {number(verdict['rows_needed'])} rows would settle it"
    for one in verdict.get("conditions") or ():
        yield f"- condition {one.get('name') or one.get('kind')}: {one.get('status')}, {one.get('reason')}"
    for one in told["earlier_verdicts"]:
        yield f"before that {(one['verdict'] or {}).get('status')}, at {day(one['at'])}"


def _serving(serving: Mapping[str, Any] | None) -> Iterable[str]:
    if serving is None:
        yield "none is recorded"
        return
    yield f"{serving.get('status')} ({serving.get('mode', 'unknown mode')})"
    yield from (f"- {reason}" for reason in serving.get("reasons") or ())


def _who(told: Mapping[str, Any]) -> Iterable[str]:
    for one in told["answers"]:
        comment = f": {one['comment']}" if one["comment"] else ""
        yield f"{one['by'] or 'nobody'} {one['answer']} it at {day(one['at'])}{comment}"
    for one in told["production"]:
        what = "promoted" if one["how"] == "promoted" else "rolled back to"
        yield f"{what} by {one['actor'] or 'nobody named'} at {day(one['since'])}" + (
            f", approved by {one['approved_by']}" if one["approved_by"] else ", on the gate's verdict"
            if one["how"] == "promoted" else ""
        )  # fmt: skip
        if (one["approved_by"] or one["how"] != "promoted") and one["reason"]:
            yield f"- {one['reason']}"
    for one in told["remarks"]:
        if one["what"] == "retired":
            yield f"retired by {one['by'] or 'nobody named'} at {day(one['at'])}: {one['reason']}"
    if not told["answers"] and not told["production"]:
        yield "nobody: it was never promoted"


def _guarded(remarks: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for one in remarks:
        if one["what"] == "guarded":
            alarm = f"alarm ({one['alarm']})" if one["alarm"] else "no alarm"
            refused = f"; no way back: {one['refused']}" if one["refused"] else ""
            yield f"guard at {day(one['at'])}: {alarm}, {one['reason']}{refused}"


def _since(watched: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    watched = list(watched)
    if not watched:
        yield "no partition has been watched with it"
    for one in watched[-_MOST:]:
        drivers = f" ({', '.join(one['drivers'])})" if one["drivers"] else ""
        measured = f", metric {number(one['metric'])}" if one["metric"] is not None else ""
        reference = f" against {number(one['reference_metric'])}" if one["reference_metric"] is not None else ""
        judged = f"drift {one['drift'] or '-'}{drivers}, performance {one['performance'] or '-'}"
        yield f"{one['key']}: {judged}{measured}{reference}"
    if len(watched) > _MOST:
        yield f"and {len(watched) - _MOST} partitions before these"
