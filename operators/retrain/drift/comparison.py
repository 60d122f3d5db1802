"""Compare a current profile with a reference: checks of quality first, then columns, then one verdict."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from retrain.drift import wording
from retrain.drift._threads import one_thread
from retrain.drift.calibration import calibrate
from retrain.drift.checks import duplicates, extra_columns, schema_checks
from retrain.drift.classifier import among_past, classify
from retrain.drift.dependence import dependence
from retrain.drift.effects import effects
from retrain.drift.evidence import CHECKS, WEIGHTS, Evidence, gather
from retrain.drift.profiles import Profile
from retrain.drift.profiling import as_profile
from retrain.drift.shapes import shape
from retrain.drift.statistics import adjust
from retrain.drift.thresholds import Thresholds
from retrain.records import Check, ColumnDrift, DriftSeverity, DriftStatus, DriftVerdict

if TYPE_CHECKING:
    from retrain.drift.profiling import Source

# How many times its floor an effect is, from which on drift is of medium and of high severity.
MATERIAL, SEVERE = 2.0, 4.0


def compare(
    reference: "Profile | Source",
    current: "Profile | Source",
    *,
    history: "Sequence[Profile | Source]" = (),
    thresholds: Thresholds | None = None,
) -> DriftVerdict:
    """Judge whether `current` differs from `reference`, really and materially.

    Faults of the schema (a column missing, retyped, empty or constant; no rows) are drift at once and named in
    `checks`. Every other difference has to be significant over the whole table (`Thresholds.alpha`, weighted Holm over
    all tests) and above the floor of its effect. Columns are tested one by one, then in pairs on the profiles' samples,
    and where nothing alarmed a classifier looks for what neither shows. With `history` (profiles of past partitions,
    the oldest first) a difference has to be unusual among them too, and the verdict has a shape. Columns without a test
    (datetimes, identifiers, private ones) are recorded and not judged. A source in place of a profile is profiled with
    the reference's options. Statistics: `statistics`, `dependence`, `classifier`, `calibration` in this package.
    """
    reference = as_profile(reference)
    current = as_profile(current, reference)
    limits = (thresholds or Thresholds()).at(min(reference.rows, current.rows))
    faults = schema_checks(reference, current)
    judged = min(reference.rows, current.rows) >= limits.min_rows
    evidence: list[Evidence] = []
    past = [as_profile(one, reference) for one in history]
    faults += duplicates(reference, current, past, limits.duplicate_share)
    if judged:
        faulty = {check.column for check in faults}
        names = [name for name in current.columns if name in reference.columns and name not in faulty]
        evidence = [item for name in names for item in gather(reference.columns[name], current.columns[name], limits)]
        if past:
            evidence = calibrate(evidence, current, past)
        sides = reference.select(names), current.select(names)
        with one_thread():
            together = dependence(*sides, limits, past)
            evidence = _adjusted([*evidence, together] if together else evidence)
            if not any(item.alarms(limits.alpha) for item in evidence):
                evidence = _hidden(evidence, sides, limits, past)
    verdict = _verdict(reference, current, limits, faults, evidence, judged=judged)
    moved = [name for name in verdict.drivers if name not in {check.column for check in faults}]
    if moved and past:
        verdict = replace(verdict, shape=shape(reference, current, past, moved[0]))
    return replace(verdict, summary=wording.summary(verdict, reference))


def _hidden(
    evidence: list[Evidence], sides: tuple[Profile, Profile], limits: Thresholds, past: list[Profile]
) -> list[Evidence]:
    """Add what the classifier finds; the past, which can only raise its p-value, is asked where it would alarm."""
    hidden = classify(*sides, limits)
    if not hidden:
        return evidence
    found = _adjusted([*evidence, hidden])
    if past and found[-1].alarms(limits.alpha):
        found = _adjusted([*evidence, among_past(hidden, *sides, past)])
    return found


def _adjusted(evidence: list[Evidence]) -> list[Evidence]:
    """Adjust the p-values for the number of tests; the classifier's share is kept free whether it was asked or not."""
    asked = any(item.measure == "classifier" for item in evidence)
    p_values = [*(item.p_value for item in evidence), *([] if asked else [1.0])]
    weights = [*(item.weight for item in evidence), *([] if asked else [WEIGHTS["classifier"]])]
    adjusted = adjust(p_values, weights)[: len(evidence)]
    return [replace(item, adjusted=p) for item, p in zip(evidence, adjusted, strict=True)]


def _verdict(
    reference: Profile,
    current: Profile,
    limits: Thresholds,
    faults: list[Check],
    evidence: list[Evidence],
    *,
    judged: bool,
) -> DriftVerdict:
    alarms = sorted((item for item in evidence if item.alarms(limits.alpha)), key=lambda item: -item.ratio)
    quality = [
        Check(CHECKS[item.measure], item.column, wording.reason(item, alarmed=True))
        for item in alarms
        if item.measure in CHECKS
    ]
    named: dict[tuple[str, str | None], Check] = {}
    for check in quality:
        # Two tests may fail one check of a column: the one that is further above its floor speaks.
        named.setdefault((check.name, check.column), check)
    checks = (*faults, *named.values())
    status = DriftStatus.OK if judged else DriftStatus.INCONCLUSIVE
    if checks or alarms:
        status = DriftStatus.DRIFT
    drivers = [check.column for check in faults if check.column]
    drivers += [name for item in alarms for name in item.columns]
    return DriftVerdict(
        status=status,
        columns=_columns(reference, current, faults, evidence, limits, judged=judged),
        checks=(*checks, *extra_columns(reference, current)),
        drivers=tuple(dict.fromkeys(drivers)),
        reference_rows=reference.rows,
        current_rows=current.rows,
        rows_needed=limits.min_rows if status is DriftStatus.INCONCLUSIVE else None,
        severity=_severity(faults, alarms),
        kinds=tuple(sorted({reference.role(name) for name in drivers})),
    )


def _severity(faults: list[Check], alarms: list[Evidence]) -> DriftSeverity | None:
    largest = max((item.ratio for item in alarms), default=0.0)
    if faults or largest >= SEVERE:
        return DriftSeverity.HIGH
    if not alarms:
        return None
    return DriftSeverity.MEDIUM if largest >= MATERIAL else DriftSeverity.LOW


def _columns(
    reference: Profile,
    current: Profile,
    faults: list[Check],
    evidence: list[Evidence],
    limits: Thresholds,
    *,
    judged: bool,
) -> dict[str, ColumnDrift]:
    by_fault = {check.column: check for check in faults}
    columns = {}
    for name in dict.fromkeys([*reference.columns, *reference.absent, *current.columns]):
        if name in by_fault:
            columns[name] = ColumnDrift(DriftStatus.DRIFT, None, None, None, by_fault[name].reason)
        elif name not in reference.columns:
            columns[name] = _unjudged(f"{name} is not in the reference: recorded, not judged")
        elif not judged:
            status, rows = DriftStatus.INCONCLUSIVE, min(reference.rows, current.rows)
            columns[name] = ColumnDrift(status, None, None, None, f"{rows} rows are too few to judge")
        else:
            judgement = _column(name, reference, [item for item in evidence if name in item.columns], limits)
            columns[name] = replace(judgement, effects=effects(reference.columns[name], current.columns[name]))
    return columns


def _column(name: str, reference: Profile, evidence: list[Evidence], limits: Thresholds) -> ColumnDrift:
    alarms = sorted((item for item in evidence if item.alarms(limits.alpha)), key=lambda item: -item.ratio)
    if alarms:
        return _from(alarms[0], DriftStatus.DRIFT, "; ".join(wording.reason(item, alarmed=True) for item in alarms))
    main = [item for item in evidence if item.measure not in CHECKS and item.partner is None]
    if not main:
        return _unjudged(wording.not_judged(reference.columns[name]))
    # The omnibus test speaks for an unchanged column; it is the first of its kind's.
    return _from(main[0], DriftStatus.OK, wording.reason(main[0], alarmed=False))


def _from(item: Evidence, status: DriftStatus, reason: str) -> ColumnDrift:
    effect = item.effect if math.isfinite(item.effect) else None
    return ColumnDrift(status, effect, item.p_value, item.test, reason, effect_name=item.measure)


def _unjudged(reason: str) -> ColumnDrift:
    return ColumnDrift(DriftStatus.OK, None, None, None, reason)
