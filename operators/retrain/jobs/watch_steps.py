"""The steps that watch the champion on a new partition: its predictions, its performance, and what drifted, drawn.

A step that has nothing to say gives the status None and says why. Data that the champion cannot predict is such a
result too: what validation said is not lost with it.
"""

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError, MissingDependencyError
from retrain.jobs.measured import losses_of, value_of
from retrain.jobs.own_code import with_own_code
from retrain.jobs.steps import UNKNOWN, StepContext, fingerprint, is_refused, object_name, short_verdict
from retrain.jobs.watched import holdout, in_time, positive, predictions_of, scored_partition, watched_ref
from retrain.records import PerformanceStatus

if TYPE_CHECKING:
    import pandas as pd

    from retrain.drift import Profile

log = logging.getLogger(__name__)

_PRIVATE = "The label is private, and so is what predicts it"
NO_LABELS = "No labels ({target}) in the partition yet"
# Rows of the stream of losses: the latest. Detectors need a second for half a million.
MOST_LOSSES = 500_000


Step = Callable[[StepContext, Mapping[str, Any]], dict[str, Any]]


def _watching(evidence: str, what: str) -> Callable[[Step], Callable[[StepContext], dict[str, Any]]]:
    """Let a step run only where there is a champion with this evidence; a DataError becomes the reason of no result."""

    def decorate(step: Step) -> Callable[[StepContext], dict[str, Any]]:
        @wraps(step)
        def run(context: StepContext) -> dict[str, Any]:
            champion = context.request.inputs.get("champion")
            if champion is None or is_refused(context):
                return _nothing("No champion to watch yet" if champion is None else "Refused")
            if not champion.get(evidence):
                return _nothing(UNKNOWN.format(what=what))
            try:
                return step(context, champion)
            except DataError as error:
                if isinstance(error.__cause__, PermissionError):
                    raise
                log.warning("the champion %s: no result: %s", champion["version"], error, exc_info=True)
                return {**_nothing(str(error)), "champion": champion["version"]}

        return run

    return decorate


def _nothing(reason: str) -> dict[str, Any]:
    return {"status": None, "reason": reason}


@with_own_code
@_watching("losses_uri", "losses on unseen rows")
def performance(context: StepContext, champion: Mapping[str, Any]) -> dict[str, Any]:
    """Judge the champion's losses on the labelled rows against its hold-out's; the losses go to the store."""
    import pandas as pd

    from retrain import drift as drifting
    from retrain.data import read, write_parquet

    scored = scored_partition(context, champion)
    if scored.labels is None:
        return {"metric": None, **_nothing(NO_LABELS.format(target=context.spec.target))}
    order = in_time(context, scored.frame)
    losses = losses_of(context.spec, scored.frame.iloc[order], scored.predicted[order])
    verdict = drifting.performance(read(champion["losses_uri"])["loss"].to_numpy(), losses)
    ref = watched_ref(context)
    name = fingerprint(ref.digest, champion["model_uri"], context.spec.metric, context.spec.event_time)
    uri = context.store("losses", context.spec.model, f"{object_name(ref)}-{name}.parquet")
    write_parquet(pd.DataFrame({"loss": losses}), uri)
    return {
        **verdict.to_dict(),
        "metric": value_of(context.spec, scored.frame, scored.predicted),
        "reference_metric": champion["metric"],
        "champion": champion["version"],
        "losses_uri": uri,
    }


@_watching("predictions_uri", "predictions on unseen rows")
def prediction(context: StepContext, champion: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the distribution of the champion's predictions with that on its hold-out: P(y-hat).

    The profile of the predictions goes to the store; those of past partitions tell what variation is ordinary.
    """
    scored = scored_partition(context, champion)
    if context.spec.target in context.spec.pii and scored.metric.takes in ("label", "value"):
        return _nothing(_PRIVATE)
    kept = holdout(champion)
    reference, current = (predictions_of(values, scored.metric) for values in (kept["predicted"], scored.predicted))
    return _compared(context, champion, "prediction", reference, current)


@_watching("predictions_uri", "labels on unseen rows")
def label(context: StepContext, champion: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the distribution of labels that arrived apart with that of the hold-out: P(y).

    Labels that are in the data are a column of its profile, and the step `drift` has judged them.
    """
    import pandas as pd

    if context.spec.labels is None:
        return _nothing("The labels are in the data: they are judged with it")
    if context.spec.target in context.spec.pii:
        return _nothing(_PRIVATE)
    scored = scored_partition(context, champion)
    if scored.labels is None:
        return _nothing(NO_LABELS.format(target=context.spec.target))
    reference, current = (
        pd.DataFrame({"label": pd.Series(values).reset_index(drop=True)})
        for values in (holdout(champion)["labels"], scored.labels)
    )
    return _compared(context, champion, "label", reference, current)


@_watching("losses_uri", "losses on unseen rows")
def concept(context: StepContext, champion: Mapping[str, Any]) -> dict[str, Any]:
    """Look for a change of P(y|x) in the stream of losses since the hold-out, partition after partition.

    A rise inside the hold-out is none of production's. Without river there is no result, and the reason says so.
    """
    import numpy as np

    from retrain import drift as drifting
    from retrain.data import read

    judged = context.outputs.get("performance") or {}
    if not judged.get("losses_uri"):
        return _nothing(judged.get("reason") or NO_LABELS.format(target=context.spec.target))
    past = [one for one in context.request.inputs.get("past_losses") or [] if one["uri"] != judged["losses_uri"]]
    now = {"partition": watched_ref(context).partition, "uri": judged["losses_uri"]}
    parts = [read(uri)["loss"].to_numpy() for uri in (champion["losses_uri"], *(one["uri"] for one in (*past, now)))]
    stream = np.concatenate(parts)
    dropped = max(0, len(stream) - MOST_LOSSES)
    try:
        verdict = drifting.concept(stream[dropped:])
    except MissingDependencyError as error:
        return _nothing(f"Not judged: {error}")
    ends = np.cumsum([len(part) for part in parts]) - dropped
    since_holdout = [row for row in verdict.changes if row >= ends[0]]
    status = verdict.status
    if status is PerformanceStatus.DECAY and not since_holdout:
        status = PerformanceStatus.OK
    places = [int(np.searchsorted(ends, row, side="right")) for row in since_holdout]
    return {
        "status": status.value,
        "detector": verdict.detector,
        "since": (*past, now)[places[-1] - 1]["partition"] if places else None,
        "before": verdict.before,
        "after": verdict.after if places else None,
        "rows": len(stream) - dropped,
        "reason": verdict.reason,
        "champion": champion["version"],
    }


@_watching("predictions_uri", "predictions on unseen rows")
def estimate(context: StepContext, champion: Mapping[str, Any]) -> dict[str, Any]:
    """Estimate the performance where the labels are not there yet; an estimate, and marked as one."""
    import pandas as pd

    from retrain import drift as drifting
    from retrain.drift.estimation import METRICS

    scored = scored_partition(context, champion)
    if scored.labels is not None:
        return _nothing("The labels are there: the performance is measured")
    kept = holdout(champion)
    labels = pd.Series(kept["labels"])
    classes = sorted(labels.dropna().unique())
    known, fresh = positive(kept["predicted"]), positive(scored.predicted)
    if scored.metric.takes not in ("score", "proba") or len(classes) != 2 or known is None or fresh is None:
        return _nothing("Only probabilities of two classes can be estimated from")
    wanted = context.spec.metric if context.spec.metric in METRICS else "roc_auc"
    found = drifting.estimate((labels == classes[1]).to_numpy(dtype=float), known, fresh, metric=wanted)
    return {
        "status": found.status.value,
        "estimated": True,
        "metric": found.metric,
        "value": found.value,
        "realised": found.realised,
        "spread": found.spread,
        "reason": found.reason,
        "champion": champion["version"],
    }


def _compared(
    context: StepContext,
    champion: Mapping[str, Any],
    kind: str,
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
) -> dict[str, Any]:
    """Compare one column, keep its profile and the verdict in the store, and say it in short."""
    from retrain import drift as drifting
    from retrain.data import storage

    spec, ref = context.spec, watched_ref(context)
    options: dict[str, Any] = {kind if kind == "prediction" else "target": kind}
    before, now = (drifting.profile(side, **options) for side in (reference, current))
    past: list[Profile] = [
        drifting.Profile.from_dict(storage.read_json(uri)) for uri in context.request.inputs.get(f"past_{kind}s") or []
    ]
    verdict = drifting.compare(before, now, history=past)
    name = f"{object_name(ref)}-{fingerprint(kind, ref.digest, champion['model_uri'], spec.metric, spec.target)}"
    profile_uri = context.store("profiles", spec.model, f"{kind}-{name}.json")
    verdict_uri = context.store("drift", spec.model, f"{kind}-{name}.json")
    storage.write_json(profile_uri, now.to_dict())
    storage.write_json(verdict_uri, verdict.to_dict())
    return {
        **{name: value for name, value in short_verdict(verdict).items() if name not in ("drivers", "kinds")},
        "verdict_uri": verdict_uri,
        "profile_uri": profile_uri,
        "champion": champion["version"],
    }
