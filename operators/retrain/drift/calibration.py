"""How unusual is an effect among past partitions? Ordinary movement from batch to batch is no drift.

Each past partition is compared with all the others together (leave one out), the current one with all of them. The
current effect is then held against a prediction interval of the past ones (Student's t, as for one more draw from a
normal sample); distances, which have no sign, on a log scale. With few past partitions there is no distribution to
speak of, and the current effect has to exceed every past one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from retrain.drift import levels, statistics
from retrain.drift.evidence import NUMERIC, VALUED, Evidence, level_counts
from retrain.drift.profiles import ColumnProfile, Kind, Profile
from retrain.drift.ranges import beyond_others
from retrain.drift.sketch import cells, merge_all

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ENOUGH_PAST = 8
_UNSIGNED = ("ks_d", "total_variation")
_TINY = 1e-4


def calibrate(evidence: Sequence[Evidence], current: Profile, history: Sequence[Profile]) -> list[Evidence]:
    """Raise each p-value to that of being an ordinary partition among `history`, where that is larger."""
    cache: dict[str, dict[str, list[float]]] = {}
    calibrated = []
    for item in evidence:
        if item.column not in cache:
            cache[item.column] = _effects(current.columns[item.column], _past(item.column, current, history))
        effects = cache[item.column].get(item.measure)
        if effects is None:
            calibrated.append(item)
            continue
        *past, now = effects
        unusual = p_unusual(past, now, unsigned=item.measure in _UNSIGNED)
        note = f"; among {len(past)} past partitions p={unusual:.2g}"
        calibrated.append(replace(item, p_value=max(item.p_value, unusual), note=item.note + note))
    return calibrated


def _past(name: str, current: Profile, history: Sequence[Profile]) -> list[ColumnProfile]:
    kind = current.columns[name].kind
    found = [profile.columns[name] for profile in history if name in profile.columns]
    return [column for column in found if column.kind is kind and column.values]


def _effects(current: ColumnProfile, past: Sequence[ColumnProfile]) -> dict[str, list[float]]:
    """Return, per measure, the leave-one-out effect of each past partition and, last, the current one's."""
    if len(past) < 2:
        return {}
    shares = [column.nulls / column.rows for column in (*past, current)]
    total = sum(shares[:-1])
    effects = {"missing_share": [share - (total - share) / (len(past) - 1) for share in shares[:-1]]}
    effects["missing_share"].append(shares[-1] - total / len(past))
    if not current.values or current.private:
        return effects
    if current.kind is Kind.NUMERIC:
        effects.update(_numeric(current, past))
        effects["beyond_share"] = beyond_others(past, current)
    elif current.kind in (Kind.CATEGORICAL, Kind.BOOLEAN):
        effects["total_variation"] = _categorical(current, past)
        effects["unknown_share"] = _unknown(current, past)
    return effects


def _numeric(current: ColumnProfile, past: Sequence[ColumnProfile]) -> dict[str, list[float]]:
    import numpy as np

    # One grid for all: reading each sketch on it once makes every leave-one-out sum a subtraction. It is thinned, so
    # the ends of each are put back: else the largest past row and a current one in a wrong unit may share a cell.
    sketches = [column.sketch for column in (*past, current)]
    ends = [end for sketch in sketches for end in (sketch.values[:1] + sketch.values[-1:])]
    grid = np.union1d(merge_all(sketches).values, ends)
    batches = [cells(column.sketch, grid) for column in past]
    everything = np.sum(batches, axis=0)
    pairs = [(everything - batch, batch) for batch in batches] + [(everything, cells(current.sketch, grid))]
    effects = {"ks_d": [statistics.ks_distance(rest, batch) for rest, batch in pairs]}
    for measure, test in NUMERIC.items():
        if measure not in effects:
            effects[measure] = [effect_of(measure, test, rest, batch, grid) for rest, batch in pairs]
    return effects


def effect_of(
    measure: str, test: "Callable[..., statistics.Finding]", rest: "Floats", batch: "Floats", grid: "Floats"
) -> float:
    """Return the effect as `gather` measures it."""
    return (test(rest, batch, grid) if measure in VALUED else test(rest, batch)).effect


def _categorical(current: ColumnProfile, past: Sequence[ColumnProfile]) -> list[float]:
    counts = [level_counts(column, column) for column in (*past, current)]
    everything: dict[str, int] = {}
    for batch in counts[:-1]:
        for level, count in batch.items():
            everything[level] = everything.get(level, 0) + count
    rests = [{level: count - batch.get(level, 0) for level, count in everything.items()} for batch in counts[:-1]]
    return [levels.total_variation(rest, batch) for rest, batch in zip([*rests, everything], counts, strict=True)]


def _unknown(current: ColumnProfile, past: Sequence[ColumnProfile]) -> list[float]:
    """Return the share of rows with levels that no other past partition showed."""
    holders: dict[str, int] = {}
    for column in past:
        for level in column.counts:
            holders[level] = holders.get(level, 0) + 1
    alone = [[count for level, count in column.counts.items() if holders[level] == 1] for column in past]
    fresh = [count for level, count in current.counts.items() if level not in holders]
    counts = [*map(sum, alone), sum(fresh)]
    return [count / column.values for count, column in zip(counts, [*past, current], strict=True)]


def p_unusual(past: Sequence[float], now: float, *, unsigned: bool) -> float:
    """Return how probable an effect at least as far out as `now` is, after those of past partitions."""
    import numpy as np
    from scipy import stats

    if unsigned:
        past, now = [math.log(max(value, _TINY)) for value in past], math.log(max(now, _TINY))
    if len(past) < ENOUGH_PAST:
        beyond = now > max(past) if unsigned else abs(now) > max(abs(value) for value in past)
        return 0.0 if beyond else 1.0
    mean, spread = float(np.mean(past)), float(np.std(past, ddof=1))
    if spread < 1e-12:
        return 0.0 if abs(now - mean) > 1e-12 else 1.0
    t = (now - mean) / (spread * math.sqrt(1 + 1 / len(past)))
    tail = float(stats.t.sf(t if unsigned else abs(t), len(past) - 1))
    return tail if unsigned else 2 * tail
