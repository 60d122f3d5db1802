"""Planning a retraining: which partition versions to train on, and which, unseen by both models, to judge by."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.loop.facts import Accepted, champion_inputs, trainable_partitions
from retrain.records import DataRef, ModelSpec, Snapshot
from retrain.records._codec import Record

if TYPE_CHECKING:
    from retrain.ledger import Ledger


@dataclass(frozen=True)
class Plan(Record):
    """What a retraining works on. `blocked` says why it cannot be done now, and then the rest is empty.

    `profiles` holds the URI of each training partition's profile; `champion` what jobs must know of it. `known` names
    all partition versions that were there, used or not: what comes later is new to the model.
    """

    blocked: str | None = None
    snapshot: Snapshot | None = None
    holdout: tuple[DataRef, ...] = ()
    profiles: Mapping[str, str] = field(default_factory=dict)
    champion: Mapping[str, Any] | None = None
    known: tuple[str, ...] = ()


def plan_training(ledger: "Ledger", spec: ModelSpec) -> Plan:
    """Take the latest `holdout` partitions to judge by and those before them, up to `window`, to train on.

    A partition that either is trained on, in any version or under another name, is never judged by.
    """
    return split(trainable_partitions(ledger, spec), spec, champion_inputs(ledger, spec.model))


def split(accepted: "list[Accepted]", spec: ModelSpec, champion: Mapping[str, Any] | None) -> Plan:
    """Decide the plan; pure."""
    if len(accepted) < spec.holdout + 1:
        usable = "labelled" if spec.labels else "accepted"
        return Plan(
            blocked=f"{len(accepted)} {usable} partitions; at least {spec.holdout + 1} are needed: "
            f"one to train on and {spec.holdout} to judge by"
        )
    training, held = accepted[: -spec.holdout], accepted[-spec.holdout :]
    if spec.window is not None:
        training = training[-spec.window :]
    champions = set(champion["partitions"] or ()) if champion else set()
    known = [*training, *(one for one in accepted if one.ref.partition in champions)]
    reasons = [_seen(one, known, champions) for one in held]
    unseen = [one for one, reason in zip(held, reasons, strict=True) if reason is None]
    if not unseen:
        said = "; ".join(filter(None, reasons))
        return Plan(blocked=f"{said}: no rows are left that neither model has seen")
    return Plan(
        snapshot=Snapshot(spec.dataset, tuple(one.ref for one in training)),
        holdout=tuple(one.ref for one in unseen),
        profiles={str(one.ref.partition): one.profile_uri for one in training if one.profile_uri},
        champion=champion,
        known=tuple(one.key for one in accepted),
    )


def _seen(one: Accepted, known: Sequence[Accepted], champions: Collection[str]) -> str | None:
    """Say why a partition may not judge: it was trained on, or its very rows were, delivered under another name."""
    name = one.ref.partition
    if name in champions:
        return f"the champion was trained on {name}"
    same = {str(other.ref.partition) for other in known if one.ref.digest and other.ref.digest == one.ref.digest}
    return f"{name} holds the very rows of {', '.join(sorted(same))}, which a model is trained on" if same else None
