"""Release: promote a version on its verdict, and go back to an earlier one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retrain.exceptions import PromotionRefusedError, SequenceConflictError
from retrain.loop.streams import Kind, model_stream
from retrain.records import GateStatus, Verdict
from retrain.registry.champions import Champion, champion, promotions
from retrain.registry.promotion import promote
from retrain.registry.reconciliation import reconcile

if TYPE_CHECKING:
    from retrain.ledger import Event, Ledger
    from retrain.registry import RegistryClient

ATTEMPTS = 20
# What monitoring needs to know of a champion; kept with its promotion, so that one event tells it all.
EVIDENCE = (
    "training_key", "profile_uri", "snapshot_uri", "partitions", "holdout", "predictions_uri", "losses_uri",
    "metric_name", "metric", "champion_metric", "requests",
)  # fmt: skip


def promote_judged(
    ledger: "Ledger", registry: "RegistryClient", model: str, judged: "Event", *, actor: str
) -> dict[str, Any]:
    """Promote the version of a `judged` event whose gate passed; repeating it is a no-op."""
    payload: Mapping[str, Any] = judged.payload
    verdict = Verdict.from_dict(payload["verdict"])
    done = promote(
        ledger,
        registry,
        model,
        payload["version"],
        expected=payload["champion"],
        actor=actor,
        reason="; ".join(verdict.reasons),
        verdict=verdict,
        request=judged.key,
        evidence={name: payload.get(name) for name in EVIDENCE},
    )
    return {
        "version": done.champion.version,
        "previous": done.champion.previous,
        "created": done.created,
        "reasons": list(verdict.reasons),
    }


def unfinished_promotion(ledger: "Ledger", model: str) -> "Event | None":
    """Return the latest `judged` event whose gate passed and of which nothing came: its run died before promoting.

    A verdict on a champion that is not there any more, or from before it was promoted, says nothing.
    """
    current = champion(ledger, model)
    version, since = (current.version, current.sequence) if current else (None, 0)
    for judged in ledger.events(model_stream(model), kinds=[Kind.JUDGED], after=since, newest_first=True):
        passed = Verdict.from_dict(judged.payload["verdict"]).status is GateStatus.PASS
        if passed and judged.payload["champion"] == version:
            return judged
    return None


def roll_back(
    ledger: "Ledger",
    registry: "RegistryClient",
    model: str,
    *,
    version: str | None,
    reason: str,
    actor: str,
    key: str,
) -> dict[str, Any]:
    """Make an earlier champion the champion again: the one before, or a named one. `key` names the demand.

    Raises PromotionRefusedError when there is nothing to go back to, or MLflow does not have the version any more.
    """
    stream = model_stream(model)
    for _ in range(ATTEMPTS):
        head = ledger.last(stream)
        if (done := ledger.get(stream, Kind.ROLLED_BACK, key)) is not None:
            reconcile(ledger, registry, model)
            return {"version": done.payload["version"], "previous": done.payload["previous"], "created": False}
        current = champion(ledger, model)
        earlier = _earlier(ledger, model, current, version)
        if registry.version(model, earlier.version) is None:
            raise PromotionRefusedError(
                f"version {earlier.version} of {model} is not in MLflow any more",
                expected="a registered version",
                remedy="Name another version, see: retrain registry history",
            )
        payload = {
            "version": earlier.version,
            "previous": current.version if current else None,
            "run_id": earlier.run_id,
            "model_uri": earlier.model_uri,
            "reason": reason,
            "verdict": None,
            "evidence": dict(earlier.evidence),
        }
        try:
            ledger.append(
                stream, Kind.ROLLED_BACK, key, payload, actor=actor, expected_sequence=head.sequence if head else 0
            )
        except SequenceConflictError:
            continue
        reconcile(ledger, registry, model)
        return {"version": earlier.version, "previous": payload["previous"], "created": True}
    raise SequenceConflictError(
        f"the stream {stream} moved on {ATTEMPTS} times during the rollback", remedy="Try again; nothing was changed"
    )


def _before(history: list[Champion]) -> str | None:
    """The champion before this one, as if what was rolled back from had never been promoted."""
    line: list[str] = []
    for change in history:
        if change.kind == Kind.ROLLED_BACK:
            while line and line[-1] != change.version:
                line.pop()
        if not line or line[-1] != change.version:
            line.append(change.version)
    return line[-2] if len(line) > 1 else None


def _earlier(ledger: "Ledger", model: str, current: Champion | None, version: str | None) -> Champion:
    history = list(promotions(ledger, model))
    wanted = version or _before(history)
    found = next((change for change in reversed(history) if change.version == wanted), None)
    if found is None or current is None or found.version == current.version:
        raise PromotionRefusedError(
            f"{model} cannot be rolled back to {f'version {version}' if version else 'the previous champion'}: "
            f"the champion is {current.version if current else 'none'}, "
            f"and champions so far were {sorted({change.version for change in history}) or 'none'}",
            expected="an earlier champion",
            remedy="Name one of those that were champion before",
        )
    return found
