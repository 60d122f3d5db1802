"""Release: promote a version on its verdict, and go back to an earlier one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.exceptions import PromotionRefusedError, SequenceConflictError
from retrain.loop.approval import Standing, newest, standing
from retrain.loop.streams import Kind, model_stream
from retrain.records import RELEASES, Alarm, Approval, GateStatus, Verdict
from retrain.registry.champions import Champion, champion, check_intact, promotions
from retrain.registry.promotion import Promotion, promote
from retrain.registry.reconciliation import reconcile
from retrain.registry.retirement import check_not_retired, retired

if TYPE_CHECKING:
    from retrain.ledger import Entry, Event, Ledger
    from retrain.registry import RegistryClient

ATTEMPTS = 20
# What monitoring needs to know of a champion; kept with its promotion, so that one event tells it all.
EVIDENCE = (
    "training_key", "profile_uri", "snapshot_uri", "partitions", "holdout", "predictions_uri", "losses_uri",
    "metric_name", "metric", "champion_metric", "requests",
)  # fmt: skip


@dataclass(frozen=True)
class Demand:
    """Who wants a rollback, to which version (None: the champion before), and why. `key` names the demand.

    With `retire` the version that is gone back from is retired in the same transaction. `alarm` is what went off, where
    no person asks.
    """

    key: str
    actor: str
    reason: str
    version: str | None = None
    retire: bool = False
    alarm: Alarm | None = None


def promote_judged(
    ledger: "Ledger",
    registry: "RegistryClient",
    model: str,
    judged: "Event",
    *,
    actor: str,
    approval: Approval | None = None,
) -> dict[str, Any]:
    """Promote the version of a `judged` event that may be promoted; repeating it is a no-op.

    PromotionRefusedError where it may not: the gate or the serving check did not pass, a person has to be asked, or
    was and said no.
    """
    payload: Mapping[str, Any] = judged.payload
    to_do, why, answer = standing(ledger, model, judged, approval)
    if to_do is not Standing.PROMOTE:
        raise PromotionRefusedError(
            f"version {payload['version']} of {model} may not be promoted: {why}",
            expected="a verdict of pass, or the approval of a person",
            remedy="Let a person approve it (ModelApproveOperator), or train again on more data"
            if to_do is Standing.ASK
            else "Train again on other data, or promote it by name: retrain registry promote",
        )
    verdict = Verdict.from_dict(payload["verdict"])
    given = dict(answer.payload) if answer else None
    done = promote(
        ledger,
        registry,
        model,
        payload["version"],
        expected=payload["champion"],
        actor=actor,
        reason=why if answer else "; ".join(verdict.reasons),
        verdict=verdict,
        approved_by=(given["by"] or given["note"]) if given else None,
        request=judged.key,
        evidence={
            **{name: payload.get(name) for name in EVIDENCE},
            "digest": recorded_digest(payload),
            "approval": given and {**given, "at": answer.recorded_at.isoformat() if answer else None},
        },
    )
    return {
        "version": done.champion.version,
        "previous": done.champion.previous,
        "created": done.created,
        "reasons": list(verdict.reasons),
    }


def promote_by_hand(
    ledger: "Ledger",
    registry: "RegistryClient",
    model: str,
    version: str,
    *,
    actor: str,
    reason: str,
    check: Mapping[str, Any] | None,
) -> Promotion:
    """Promote a version on a person's word, without a gate; repeating it is a no-op.

    `check` is what `retrain.jobs.release_steps.loads` said of it, kept with the event; None: it was not loaded.
    PromotionRefusedError where it does not load, is retired or not in MLflow.
    """
    check_serves(model, version, check)
    current, judged = champion(ledger, model), judged_of(ledger, model, version)
    known = {name: judged[name] for name in EVIDENCE if name in judged}
    digest = digest_of(ledger, model, version) or (check or {}).get("digest")
    return promote(
        ledger,
        registry,
        model,
        version,
        expected=current.version if current else None,
        actor=actor,
        approved_by=actor,
        reason=reason,
        evidence={**known, "digest": digest, "check": dict(check) if check else None},
    )


def judged_of(ledger: "Ledger", model: str, version: str) -> Mapping[str, Any]:
    """Return what was found out about a version when it was last judged; empty where it never was."""
    for event in ledger.events(model_stream(model), kinds=[Kind.JUDGED], newest_first=True):
        if event.payload["version"] == version:
            return event.payload
    return {}


def unfinished_promotion(ledger: "Ledger", model: str, approval: Approval | None = None) -> "Event | None":
    """Return the latest `judged` event that may be promoted and of which nothing came: its run died before that."""
    return newest(ledger, model, Standing.PROMOTE, approval)


def recorded_digest(judged: Mapping[str, Any]) -> str | None:
    """Return the digest of the artifact's files: as the training left them, else as its serving check found them."""
    found = judged.get("artifact_digest") or (judged.get("serving") or {}).get("digest")
    return str(found) if found else None


def digest_of(ledger: "Ledger", model: str, version: str) -> str | None:
    """Return the digest that was recorded of a version, the first time it was; None where there is none."""
    for event in ledger.events(model_stream(model), kinds=[Kind.JUDGED, *RELEASES]):
        if str(event.payload["version"]) == version:
            found = (
                recorded_digest(event.payload)
                or (event.payload.get("check") or {}).get("digest")
                or (event.payload.get("evidence") or {}).get("digest")
            )
            if found:
                return str(found)
    return None


def rollback_target(ledger: "Ledger", model: str, version: str | None = None) -> Champion:
    """Return the earlier champion that a rollback goes back to: the one before, or a named one.

    Raises PromotionRefusedError when there is none, or it is retired.
    """
    history = list(promotions(ledger, model))
    current = history[-1] if history else None
    gone = retired(ledger, model)
    wanted = version or _before(history, frozenset(gone))
    found = next((change for change in reversed(history) if change.version == wanted), None)
    if version is not None:
        check_not_retired(ledger, model, version)
    if found is None or current is None or found.version == current.version:
        raise PromotionRefusedError(
            f"{model} cannot be rolled back to {f'version {version}' if version else 'the previous champion'}: "
            f"the champion is {current.version if current else 'none'}, "
            f"and champions so far were {sorted({change.version for change in history}) or 'none'}"
            + (f", of which {sorted(gone)} are retired" if gone else ""),
            expected="an earlier champion that is not retired",
            remedy="Name one of those that were champion before",
        )
    return found


def finished_rollback(ledger: "Ledger", registry: "RegistryClient", model: str, key: str) -> dict[str, Any] | None:
    """Return what an earlier try of a demand did, after finishing it in MLflow; None if it has not done it."""
    done = ledger.get(model_stream(model), Kind.ROLLED_BACK, key)
    if done is None:
        return None
    reconcile(ledger, registry, model)
    return {"version": done.payload["version"], "previous": done.payload["previous"], "created": False}


def roll_back(
    ledger: "Ledger",
    registry: "RegistryClient",
    model: str,
    demand: Demand,
    *,
    target: Champion | None = None,
    check: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make an earlier champion the champion again; repeating a demand is a no-op.

    `check` is what `retrain.jobs.release_steps.loads` said of `target`, kept with the event. Raises
    PromotionRefusedError when there is nothing to go back to, the target is not what the demand means any more, does
    not load, or is not in MLflow any more; ChainBrokenError when the ledger was tampered with.
    """
    stream = model_stream(model)
    check_intact(ledger, model)
    for _ in range(ATTEMPTS):
        head = ledger.last(stream)
        if (done := finished_rollback(ledger, registry, model, demand.key)) is not None:
            return done
        current = champion(ledger, model)
        earlier = rollback_target(ledger, model, demand.version)
        _check_target(registry, model, earlier, target, check)
        previous = current.version if current else None
        entries = _entries(model, demand, earlier, previous, check, head.sequence if head else 0)
        try:
            ledger.append_all(entries)
        except SequenceConflictError:
            continue
        reconcile(ledger, registry, model)
        return {"version": earlier.version, "previous": previous, "created": True}
    raise SequenceConflictError(
        f"the stream {stream} moved on {ATTEMPTS} times during the rollback", remedy="Try again; nothing was changed"
    )


def _check_target(
    registry: "RegistryClient",
    model: str,
    earlier: Champion,
    target: Champion | None,
    check: Mapping[str, Any] | None,
) -> None:
    if registry.version(model, earlier.version) is None:
        raise PromotionRefusedError(
            f"version {earlier.version} of {model} is not in MLflow any more",
            expected="a registered version",
            remedy="Name another version, see: retrain registry history",
        )
    if target is not None and target.version != earlier.version:
        raise PromotionRefusedError(
            f"version {target.version} of {model} was checked, but the champion before is now {earlier.version}",
            expected="no other release in the same minute",
            remedy="Look at: retrain registry history. Then name the version",
        )
    check_serves(model, earlier.version, check, said="does not serve any more")


def check_serves(model: str, version: str, check: Mapping[str, Any] | None, *, said: str = "does not serve") -> None:
    """Refuse a version that a check says does not load, or is not what was judged; None: nobody has looked."""
    if check is None or check["status"] != GateStatus.FAIL:
        return
    raise PromotionRefusedError(
        f"version {version} of {model} {said}: {'; '.join(check['reasons'])}",
        expected="a version that loads and answers",
        remedy="Name another version, see: retrain registry history",
    )


def _entries(
    model: str,
    demand: Demand,
    earlier: Champion,
    previous: str | None,
    check: Mapping[str, Any] | None,
    head: int,
) -> "list[Entry]":
    from retrain.ledger import Entry

    stream = model_stream(model)
    payload = {
        "version": earlier.version,
        "previous": previous,
        "run_id": earlier.run_id,
        "model_uri": earlier.model_uri,
        "reason": demand.reason,
        "verdict": None,
        "evidence": dict(earlier.evidence),
        "check": dict(check) if check else None,
        "alarm": demand.alarm.value if demand.alarm else None,
    }
    entries = [Entry(stream, Kind.ROLLED_BACK, demand.key, payload, demand.actor, head)]
    if demand.retire and previous is not None:
        gone = {"version": previous, "reason": demand.reason}
        entries.append(Entry(stream, Kind.RETIRED, previous, gone, demand.actor))
    return entries


def _before(history: list[Champion], gone: frozenset[str] = frozenset()) -> str | None:
    """The champion before this one, as if what was rolled back from, or retired, had never been promoted."""
    line: list[str] = []
    for change in history:
        # One that is named and was gone back from before comes again: then nothing is undone.
        if change.kind == Kind.ROLLED_BACK and change.version in line:
            while line[-1] != change.version:
                line.pop()
        if not line or line[-1] != change.version:
            line.append(change.version)
    return next((version for version in reversed(line[:-1]) if version not in gone), None)
