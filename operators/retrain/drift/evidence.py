"""Gather the evidence on one column: each test with its effect, the floor it must reach, and its share of alpha."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from retrain.drift import levels, statistics
from retrain.drift.effects import govern
from retrain.drift.profiles import ColumnProfile, Kind
from retrain.drift.ranges import beyond_range
from retrain.drift.sketch import cells, shared_grid
from retrain.drift.statistics import Finding
from retrain.drift.thresholds import Thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# How the whole table's alpha is shared out. The tests for ordinary shifts need it; faults are overwhelming when they
# are there at all. `dependence` and `classifier` come once for the table, the others once for each column.
WEIGHTS = {
    "ks_d": 0.3,
    "location": 3.0,
    "scale": 6.3,
    "total_variation": 7.0,
    "outlier_share": 0.3,
    "range_share": 1.0,
    "missing_share": 0.2,
    "infinite_share": 0.2,
    "unknown_share": 1.5,
    "beyond_share": 0.05,
    "dependence": 2.0,
    "classifier": 0.3,
}
# Tests of the quality of a column: when one alarms it is named among the verdict's checks.
CHECKS = {
    "missing_share": "completeness_surge",
    "infinite_share": "infinite_surge",
    "outlier_share": "outliers",
    "range_share": "range",
    "unknown_share": "unknown_categories",
    "beyond_share": "range",
}
NUMERIC: Mapping[str, Callable[..., Finding]] = {
    "ks_d": statistics.ks,
    "location": statistics.location,
    "scale": statistics.scale,
    "outlier_share": statistics.outliers,
    "range_share": statistics.out_of_range,
}
# Those that look at the values of the cells, and not only at their order.
VALUED = ("outlier_share", "range_share")


# The most that a change of spread may be of its effect without the outer rows. A wider normal distribution has 1.3; a
# shift at a hard edge of the data, which moves the outermost ranks only, has 3.
WITHOUT_EDGES = 1.5
# How much of the wider half's effect the other half has to show: a shift at one hard edge narrows one half only.
BOTH_SIDES = 0.15
# An effect in ranks, in standard deviations, that matters whatever the column's own unit says.
LARGE = 0.5
# How much of the least shift that matters a value may be moved by before its row counts as differently distributed.
SLACK = 0.5
WIDER = 0.75
# New levels that are named, and how much of a long one is shown.
NAMED, LONGEST = 3, 40


@dataclass(frozen=True)
class Evidence:
    """One test on one column, or on the pair with `partner` (`label` in words).

    `size` is what is held against `floor`: the effect without its sign, sampling noise and what does not matter.
    """

    column: str
    measure: str
    test: str
    effect: float
    size: float
    floor: float
    p_value: float
    adjusted: float = 1.0
    note: str = ""
    partner: str | None = None
    label: str = ""

    @property
    def weight(self) -> float:
        """The test's share of alpha, relative to the others."""
        return WEIGHTS[self.measure]

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, after its partner where it is a pair."""
        return tuple(dict.fromkeys(name for name in (self.partner, self.column) if name is not None))

    @property
    def ratio(self) -> float:
        """How far above its floor the effect is; what drivers are ordered by."""
        return self.size / self.floor if self.floor > 0 else math.inf

    def alarms(self, alpha: float) -> bool:
        """Whether the difference is both real and material."""
        return self.adjusted < alpha and self.size >= self.floor


def gather(reference: ColumnProfile, current: ColumnProfile, limits: Thresholds) -> list[Evidence]:
    """Run every test that has something to test on two profiles of the same kind, each with at least one row."""
    found = [*_missing(reference, current, limits)]
    if not (reference.values and current.values) or reference.private or current.private:
        return found
    if reference.kind is Kind.NUMERIC:
        found += _numeric(reference, current, limits)
    elif reference.kind in (Kind.CATEGORICAL, Kind.BOOLEAN):
        found += _categorical(reference, current, limits)
    if limits.effects:
        faults = [item for item in found if item.measure in CHECKS]
        shifts = [item for item in found if item.measure not in CHECKS]
        found = [*faults, *govern(shifts, reference, current, limits.effects)]
    return found


def level_counts(column: ColumnProfile, other: ColumnProfile) -> dict[str, int]:
    """Return the counts of a column on levels that both profiles can speak of; the rest is one level of its own.

    A level that one profile keeps and the other may have dropped among its rare ones cannot be compared by itself.
    """
    kept = column.counts
    if column.other or other.other:
        kept = {level: count for level, count in column.counts.items() if level in other.counts}
    rest = column.values - sum(kept.values())
    return {**kept, **({"(all other levels)": rest} if rest else {})}


def _missing(reference: ColumnProfile, current: ColumnProfile, limits: Thresholds) -> list[Evidence]:
    found = []
    for measure, hits_r, hits_c in (
        ("missing_share", reference.nulls, current.nulls),
        ("infinite_share", reference.infinite, current.infinite),
    ):
        # Where nothing is missing on either side there is nothing to test, and no alpha to spend.
        if hits_r or hits_c:
            test = statistics.share_increase((hits_r, reference.rows), (hits_c, current.rows))
            found.append(_evidence(current.name, measure, test, limits))
    return found


def _numeric(reference: ColumnProfile, current: ColumnProfile, limits: Thresholds) -> list[Evidence]:
    grid = shared_grid([reference.sketch, current.sketch])
    rows_r, rows_c = (cells(side.sketch, grid) * (side.evidence_rows / side.values) for side in (reference, current))
    shift, spread = statistics.units(rows_r, rows_c, grid)
    found = []
    for measure, test in NUMERIC.items():
        finding = test(rows_r, rows_c, grid) if measure in VALUED else test(rows_r, rows_c)
        size, note = None, ""
        if measure == "ks_d":
            size = _beyond_slack(finding, (rows_r, rows_c, grid), limits)
            if size < limits.ks_d <= finding.effect:
                note = f"; {size:.3f} beyond a shift that does not matter"
        elif measure == "location":
            finding, size = _tempered(finding, shift)
        elif measure == "scale":
            finding, size = _tempered(_mostly_wider(finding), _mostly_wider(spread))
            size = min(size, _both_sides(finding.effect, rows_r, rows_c))
        found.append(_evidence(current.name, measure, finding, limits, size=size, note=note))
    beyond = beyond_range(reference, current)
    # As above: where no row is beyond the range there is nothing to test, and no alpha to spend.
    return [*found, _evidence(current.name, "beyond_share", beyond, limits)] if beyond.effect else found


def _beyond_slack(finding: Finding, sides: "tuple[Floats, Floats, Floats]", limits: Thresholds) -> float:
    """Return what counts of the distance: all of it, unless moving values a little would mend more than half.

    A little is half of the least shift that matters. A shift that matters leaves half of the distance or more.
    """
    # Slack only takes away: what is below the floor stays there.
    if finding.effect < limits.ks_d:
        return finding.effect
    left = statistics.ks_beyond(*sides, SLACK * limits.location * statistics.unit(*sides))
    return left if left < (1 - SLACK) * finding.effect else finding.effect


def _tempered(ranks: Finding, unit: Finding) -> tuple[Finding, float]:
    """Let a moderate effect in ranks count only as far as the column's own unit bears it out.

    Near a hard edge (the zero of a duration) or a steep flank a shift that nobody cares about moves many ranks. So it
    has to be significant in the unit too (at twice the level: it confirms, and the noise of both is not the same), and
    counts for no more than twice the effect there. A large effect in ranks stands by itself: a single huge value makes
    every shift small in standard deviations.
    """
    size = abs(ranks.effect)
    if size >= LARGE or math.isnan(unit.effect):
        return ranks, size
    return replace(ranks, p_value=max(ranks.p_value, unit.p_value / 2)), min(size, 2 * abs(unit.effect))


def _mostly_wider(spread: Finding) -> Finding:
    """Spend three quarters of the level on a column that became wider: that one became narrower is rarely a fault."""
    share = WIDER if spread.effect > 0 else 1 - WIDER
    return replace(spread, p_value=min(1.0, spread.p_value / (2 * share)))


def _both_sides(effect: float, reference: "Floats", current: "Floats") -> float:
    """Return the most that a change of spread may count: it has to show in both halves, and not only at the edges."""
    if abs(effect) >= LARGE:
        return abs(effect)
    lower, upper = sorted(abs(half) if half * effect > 0 else 0.0 for half in statistics.halves(reference, current))
    if lower < BOTH_SIDES * upper:
        return 0.0
    return WITHOUT_EDGES * abs(statistics.inner_scale(reference, current))


def _categorical(reference: ColumnProfile, current: ColumnProfile, limits: Thresholds) -> list[Evidence]:
    counts_r, counts_c = level_counts(reference, current), level_counts(current, reference)
    test = levels.contingency(counts_r, counts_c)
    noise = levels.sampling_variation(counts_r, counts_c)
    size = math.sqrt(max(0.0, test.effect**2 - noise**2))
    note = f"; {noise:.1%} is to be expected of samples of this size"
    found = [_evidence(current.name, "total_variation", test, limits, size=size, note=note)]
    if not reference.other:
        unknown = levels.unknown_levels(reference.counts, {**current.counts, **_rest(current)})
        found.append(_evidence(current.name, "unknown_share", unknown, limits, note=_new_levels(reference, current)))
    return found


def _new_levels(reference: ColumnProfile, current: ColumnProfile) -> str:
    """Name the most frequent of the levels that the reference never showed."""
    fresh = sorted((-count, level) for level, count in current.counts.items() if level not in reference.counts)
    named = ", ".join(repr(level if len(level) <= LONGEST else f"{level[:LONGEST]}...") for _, level in fresh[:NAMED])
    more = f" and {len(fresh) - NAMED} more" if len(fresh) > NAMED else ""
    return f"; new: {named}{more}" if fresh else ""


def _rest(column: ColumnProfile) -> dict[str, int]:
    # More levels than a profile keeps, against a reference that has fewer: what was dropped is unknown to it.
    return {"(all other levels)": column.other} if column.other else {}


def _evidence(
    column: str, measure: str, test: Finding, limits: Thresholds, *, size: float | None = None, note: str = ""
) -> Evidence:
    # A share that went down is no fault; any other difference counts in both directions.
    plain = max(0.0, test.effect) if measure in CHECKS else abs(test.effect)
    return Evidence(
        column=column,
        measure=measure,
        test=test.name,
        effect=test.effect,
        size=plain if size is None else size,
        floor=getattr(limits, measure),
        p_value=test.p_value,
        note=note,
    )
