"""Which columns of one table go together: the summary of dependence that a profile's document carries.

For whoever reads the profile. `dependence` compares two tables and asks more of the same row samples.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrain.drift._threads import one_thread
from retrain.drift.profiles import Kind, Profile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAIRS = 20
FEWEST_ROWS = 30
# Numbers and levels that are looked at; the cost grows with the square.
MOST_FEATURES = 100
# Rows that a level needs on either side.
LEVEL_ROWS = 5


@dataclass(frozen=True)
class Pair:
    """Two columns, which of their levels tell most (None for a number), and how strongly they go together.

    `correlation` (-1 to 1) is that of the normal scores of the ranks (van der Waerden), with 0 and 1 for a level.
    """

    first: str
    second: str
    first_level: str | None
    second_level: str | None
    correlation: float
    rows: int


def strongest_pairs(profile: Profile, most: int = PAIRS) -> tuple[Pair, ...]:
    """Return the pairs of columns that go together most, the strongest first, from the profile's row sample."""
    import numpy as np

    from retrain.drift.dependence import correlations

    features = _features(profile)
    if len(features) < 2:
        return ()
    columns = np.column_stack(list(features.values()))
    there = np.isfinite(columns).astype(np.float64)
    x = np.nan_to_num(columns)
    with one_thread():
        r, _, rows = correlations(x, there)
        r = np.clip(r, -1.0, 1.0)
    names = list(features)
    left, right = np.triu_indices(len(names), 1)
    found: dict[tuple[str, str], Pair] = {}
    for index in np.argsort(-np.abs(r[left, right]), kind="stable"):
        i, j = left[index], right[index]
        (first, its), (second, other) = names[i], names[j]
        if first != second and (first, second) not in found and rows[i, j] >= FEWEST_ROWS:
            found[first, second] = Pair(first, second, its, other, round(float(r[i, j]), 4), int(rows[i, j]))
            if len(found) == most:
                break
    return tuple(found.values())


def _features(profile: Profile) -> "dict[tuple[str, str | None], NDArray[np.float64]]":
    """Return centred columns of the sample by name and level: scores of numbers, then frequent levels."""
    import numpy as np

    from retrain.drift.dependence import normal_scores

    found: dict[tuple[str, str | None], NDArray[np.float64]] = {}
    kinds = {name: column.kind for name, column in profile.columns.items() if name in profile.sample}
    for name in [name for name, kind in kinds.items() if kind is Kind.NUMERIC][:MOST_FEATURES]:
        scores = normal_scores(np.asarray(profile.sample[name], dtype=np.float64))
        if np.isfinite(scores).any():
            found[name, None] = scores
    for name in [name for name, kind in kinds.items() if kind in (Kind.CATEGORICAL, Kind.BOOLEAN)]:
        cells = np.array([str(value) for value in profile.sample[name]], dtype=object)
        for level in list(profile.columns[name].counts):
            hit = (cells == level).astype(np.float64)
            if len(found) >= MOST_FEATURES or not LEVEL_ROWS <= hit.sum() <= len(hit) - LEVEL_ROWS:
                continue
            found[name, level] = hit - hit.mean()
    return found
