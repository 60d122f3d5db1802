"""How drift came about: sudden, gradual, incremental or recurring, told from one number per past partition.

The number is how far the partition lies from the reference on the column that leads the verdict: the shift in normal
scores for numbers, the total variation distance for levels. The words are those of Gama et al. (2014).
"""

import itertools
from collections.abc import Sequence

from retrain.drift import levels, statistics
from retrain.drift.evidence import level_counts
from retrain.drift.profiles import ColumnProfile, Kind, Profile
from retrain.drift.sketch import cells, shared_grid
from retrain.records import DriftShape

# Fewer past partitions than this have no shape.
FEWEST = 4
# How far on the way from the reference to the current state a partition counts as already being there.
NEAR, FAR = 0.25, 0.75
# An effect in normal scores that is more than noise.
SOME = 0.1


def shape(reference: Profile, current: Profile, history: Sequence[Profile], column: str) -> DriftShape | None:
    """Tell how `column` came from the reference to where it is; None with fewer than 4 past partitions.

    `history` runs from the oldest partition to the newest before `current`. Recurring: the column was where it is now
    before, and went back in between. Gradual: partitions near the old and near the new state take turns. Incremental:
    it went the way in steps. Sudden: all partitions before were near the reference, or it came in one step.
    """
    if column not in reference.columns or column not in current.columns:
        return None
    past = [profile.columns[column] for profile in history if column in profile.columns]
    measure = _measure(reference.columns[column], current.columns[column])
    distances = [_distance(reference.columns[column], one, measure) for one in [*past, current.columns[column]]]
    known = [distance for distance in distances[:-1] if distance is not None]
    now = distances[-1]
    if len(known) < FEWEST or not now:
        return None
    return _shape([distance / now for distance in known])


def _shape(way: Sequence[float]) -> DriftShape:
    """`way`: how much of the way each past partition had gone, 1 being where the column is now."""
    states = [1 if one >= FAR else 0 if one <= NEAR else -1 for one in way]
    settled = [state for state in [*states, 1] if state >= 0]
    changes = [(a, b) for a, b in itertools.pairwise(settled) if a != b]
    arrivals, returns = changes.count((0, 1)), changes.count((1, 0))
    if returns:
        # Turns that follow one another closely are one transition; a long way back is a state of its own.
        return DriftShape.GRADUAL if arrivals > 1 and _longest(settled, 0) < FEWEST - 1 else DriftShape.RECURRING
    between = sum(1 for state in states if state == -1)
    return DriftShape.INCREMENTAL if between >= 2 else DriftShape.SUDDEN


def _longest(states: Sequence[int], state: int) -> int:
    """Return the longest run of `state` after the first time that it was left."""
    first = next((index for index, one in enumerate(states) if one != state), len(states))
    longest = run = 0
    for one in states[first:]:
        run = run + 1 if one == state else 0
        longest = max(longest, run)
    return longest


_MEASURES = {"location": statistics.location, "scale": statistics.scale, "ks_d": statistics.ks}


def _measure(reference: ColumnProfile, current: ColumnProfile) -> str:
    """Choose what the column moved in: its level, its spread, or else its distribution as a whole."""
    moved = {name: abs(_distance(reference, current, name) or 0.0) for name in ("location", "scale")}
    largest = max(moved, key=lambda name: moved[name])
    return largest if moved[largest] > SOME else "ks_d"


def _distance(reference: ColumnProfile, other: ColumnProfile, measure: str) -> float | None:
    if reference.kind is not other.kind or not (reference.values and other.values) or other.private:
        return None
    if reference.kind is Kind.NUMERIC:
        grid = shared_grid([reference.sketch, other.sketch])
        return _MEASURES[measure](cells(reference.sketch, grid), cells(other.sketch, grid)).effect
    if reference.kind in (Kind.CATEGORICAL, Kind.BOOLEAN):
        counts = level_counts(reference, other), level_counts(other, reference)
        return max(0.0, levels.total_variation(*counts) - levels.sampling_variation(*counts))
    return None
