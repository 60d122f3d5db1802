"""How far two columns are apart, by every measure that people use, from their profiles alone.

Numbers are put into bins as Evidently puts them: one for each value up to 20 values, else equal widths by Sturges'
rule over both sides. Up to 1,024 values the measures are those of the data. Above, each bin's share is off by at most
the errors of the sketches (`sketch`: 0.1% of the rows), and by 0.5% more where a column was sampled; `wasserstein`,
whose unit is that of the values, by the width of the outermost cells times 0.1%.

ks_d               largest distance of the distribution functions
total_variation    share of rows that would have to change bin or category
hellinger          square root of 1 - sum(sqrt(p q)), from 0 to 1
jensen_shannon     square root of the Jensen-Shannon divergence in nats, as `scipy.spatial.distance.jensenshannon`
psi                population stability index; empty bins count as 0.0001 of the rows, or less than the smallest bin
kl                 Kullback and Leibler's divergence of the reference from the current side, in nats, filled like `psi`
wasserstein        earth mover's distance in standard deviations of the reference
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retrain.drift import statistics
from retrain.drift.profiles import ColumnProfile, Kind
from retrain.drift.sketch import QuantileSketch, cells, shared_grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from retrain.drift.evidence import Evidence

    Floats = NDArray[np.float64]

MEASURES = ("ks_d", "total_variation", "hellinger", "jensen_shannon", "psi", "kl", "wasserstein")
_FEW_VALUES = 20
_LEAST_SPREAD = 0.001


def effects(reference: ColumnProfile, current: ColumnProfile) -> dict[str, float]:
    """Return each of `MEASURES` that two profiles of one kind allow; empty where there is nothing to compare."""
    import numpy as np

    usable = reference.kind is current.kind and reference.values and current.values
    if not usable or reference.private or current.private:
        return {}
    with np.errstate(all="ignore"):
        if reference.kind is Kind.NUMERIC:
            found = _of_shares(*_binned(reference, current)) | _ordered(reference, current)
        elif reference.kind in (Kind.CATEGORICAL, Kind.BOOLEAN):
            found = _of_shares(*_levels(reference, current))
        else:
            return {}
    return {name: found[name] for name in MEASURES if name in found and math.isfinite(found[name])}


def govern(
    evidence: "Sequence[Evidence]", reference: ColumnProfile, current: ColumnProfile, limits: Mapping[str, float]
) -> "list[Evidence]":
    """Hold tests against the `limits` of measures in place of floors of their own, where the column has one of them.

    Of several it is the one that is the furthest above, or the nearest below its limit.
    """
    found = effects(reference, current)
    name = max((name for name in limits if name in found), key=lambda name: found[name] / limits[name], default=None)
    if name is None:
        return list(evidence)
    note = f"; {name} {found[name]:.3g}, limit {limits[name]:g}"
    return [replace(item, size=found[name], floor=limits[name], note=item.note + note) for item in evidence]


def _ordered(reference: ColumnProfile, current: ColumnProfile) -> dict[str, float]:
    import numpy as np

    grid = shared_grid([reference.sketch, current.sketch])
    sides = [cells(side.sketch, grid) for side in (reference, current)]
    before, after = (np.cumsum(side) / side.sum() for side in sides)
    gap = before - after
    # Between two points both functions are straight lines, from what lies up to the one to what lies below the other.
    start, end, width = gap[1:-1:2], gap[2::2], np.diff(grid)
    same = start * end >= 0
    crossed = (start**2 + end**2) / np.where(same, 1.0, np.abs(start) + np.abs(end))
    area = float((np.where(same, np.abs(start + end), crossed) / 2 * width).sum())
    spread = max(reference.std or 0.0, _LEAST_SPREAD)
    return {"ks_d": statistics.ks_distance(*sides), "wasserstein": area / spread}


def _of_shares(before: "Floats", after: "Floats") -> dict[str, float]:
    """Return the measures of two lists of shares, each of which sums up to 1."""
    import numpy as np
    from scipy import stats
    from scipy.spatial import distance

    filled_before, filled_after = _filled(before), _filled(after)
    overlap = float(np.clip(np.sqrt(before * after).sum(), 0, 1))
    return {
        "total_variation": 0.5 * float(np.abs(before - after).sum()),
        "hellinger": math.sqrt(1 - overlap),
        "jensen_shannon": float(np.nan_to_num(distance.jensenshannon(before, after))),
        "psi": float(((filled_before - filled_after) * np.log(filled_before / filled_after)).sum()),
        "kl": float(stats.entropy(filled_before, filled_after)),
    }


def _filled(shares: "Floats") -> "Floats":
    import numpy as np

    least = float(shares[shares > 0].min())
    filled: Floats = np.where(shares > 0, shares, least / 1e6 if least <= 1e-4 else 1e-4)
    return filled


def _levels(reference: ColumnProfile, current: ColumnProfile) -> "tuple[Floats, Floats]":
    from retrain.drift.evidence import level_counts

    sides = level_counts(reference, current), level_counts(current, reference)
    return _shares(*sides)


def _shares(before: Mapping[Any, int], after: Mapping[Any, int]) -> "tuple[Floats, Floats]":
    import numpy as np

    names = sorted({*before, *after})
    table = np.array([[side.get(name, 0) for name in names] for side in (before, after)], dtype=np.float64)
    return table[0] / table[0].sum(), table[1] / table[1].sum()


def _binned(reference: ColumnProfile, current: ColumnProfile) -> "tuple[Floats, Floats]":
    import numpy as np

    sketches = reference.sketch, current.sketch
    if len(sketches[0].values) <= _FEW_VALUES and all(sketch.exact for sketch in sketches):
        return _shares(*(dict(zip(sketch.values, sketch.at, strict=True)) for sketch in sketches))
    ends = [float(end) for side in (reference, current) for end in (side.minimum, side.maximum) if end is not None]
    low, high = min(ends), max(ends)
    # A width first and then its number of bins, as NumPy does it: where the rule gives a whole number (64 rows), the
    # rounding of these two divisions decides whether there is one bin more.
    width = (high - low) / (math.log2(reference.values + current.values) + 1)
    if width and all("int" in side.dtype for side in (reference, current)):
        width = max(width, 1.0)
    edges = np.linspace(low, high, (math.ceil((high - low) / width) if width else 1) + 1)
    before, after = (_counts(sketch, edges) for sketch in sketches)
    return before / before.sum(), after / after.sum()


def _counts(sketch: QuantileSketch, edges: "Floats") -> "Floats":
    """Count the rows from each edge up to the next, with those on the last."""
    import numpy as np

    left, upto = sketch.cumulative(edges)
    counts: Floats = np.diff(np.append(left[:-1], upto[-1]))
    return counts
