"""Whether a classifier can tell current from reference rows by how their columns go together.

The last resort, for what neither a column nor a pair of them shows. Numbers enter as their ranks within their own side
(ties and missing values at random), so that a shift of one column is not what is learnt. Two-fold cross-fitting: each
half of the rows is judged by a classifier that has not seen it, which makes the Mann-Whitney test of each half valid;
the two are not independent, so their p-value is twice the mean, which holds under any dependence (Vovk and Wang 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from retrain.drift.calibration import p_unusual
from retrain.drift.evidence import Evidence
from retrain.drift.profiles import Kind, Profile
from retrain.drift.thresholds import Thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST_ROWS = 300
MOST_ROWS = 2000
MOST_COLUMNS = 100
# scikit-learn's trees take no category with more levels.
MOST_LEVELS = 200
# Past partitions to hold an alarm against; each costs two small fits.
MOST_PAST = 10


@dataclass(frozen=True)
class Separation:
    """How well the two sides are told apart: area under the curve, its p-value, the columns that tell, in order."""

    auc: float
    p_value: float
    columns: tuple[str, ...]


def classify(reference: Profile, current: Profile, limits: Thresholds) -> Evidence | None:
    """Return what a domain classifier finds in the samples; None with fewer than 300 rows or two columns."""
    names = _common(reference, current)
    if len(names) < 2 or min(_rows(reference, names), _rows(current, names)) < FEWEST_ROWS:
        return None
    found = separate([reference], [current], names)
    return Evidence(
        column=found.columns[0],
        partner=found.columns[1],
        label=", ".join(found.columns[:3]),
        measure="classifier",
        test="domain_classifier",
        effect=found.auc - 0.5,
        size=max(0.0, found.auc - 0.5),
        floor=limits.classifier,
        p_value=found.p_value,
    )


def among_past(evidence: Evidence, reference: Profile, current: Profile, history: Sequence[Profile]) -> Evidence:
    """Raise the p-value to that of an ordinary partition: the area among those of past ones against each other.

    That costs two fits for each of them, so ask it of what would be an alarm only.
    """
    names = _common(reference, current)
    past = [one for one in history if all(name in one.sample for name in names)][-MOST_PAST:]
    if len(past) < 2:
        return evidence
    rests = [[other for other in past if other is not one] for one in past]
    before = [separate(rest, [one], names).auc - 0.5 for rest, one in zip(rests, past, strict=True)]
    unusual = p_unusual(before, separate(past, [current], names).auc - 0.5, unsigned=False)
    note = f"; among {len(past)} past partitions p={unusual:.2g}"
    return replace(evidence, p_value=max(evidence.p_value, unusual), note=note)


def separate(reference: Sequence[Profile], current: Sequence[Profile], names: Sequence[str]) -> Separation:
    """Fit the classifier on the samples of both sides and judge it on rows that it has not seen."""
    import numpy as np
    from scipy import stats
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows, side, categorical = _table(reference, current, names)
    generator = np.random.default_rng(len(side))
    fold = np.empty(len(side), dtype=np.int64)
    for value in (0, 1):
        members = np.flatnonzero(side == value)
        fold[generator.permutation(members)] = np.arange(len(members)) % 2
    areas, p_values, gains = [], [], np.zeros(len(names))
    for half in (0, 1):
        train, test = fold != half, fold == half
        model = HistGradientBoostingClassifier(
            max_iter=40, max_leaf_nodes=16, learning_rate=0.15, categorical_features=categorical, random_state=0
        ).fit(rows[train], side[train])
        area, p_value = _area(model, rows[test], side[test], stats)
        areas.append(area)
        p_values.append(p_value)
        if area > 0.5:
            gains += _gains(model, rows[test], side[test], generator, stats)
    order = [names[index] for index in np.argsort(-gains, kind="stable")]
    return Separation(float(np.mean(areas)), min(1.0, 2 * float(np.mean(p_values))), tuple(order))


def _area(model: Any, rows: "Floats", side: Any, stats: Any) -> tuple[float, float]:
    score = model.predict_proba(rows)[:, 1]
    current, reference = score[side == 1], score[side == 0]
    found = stats.mannwhitneyu(current, reference, alternative="greater", method="asymptotic")
    return float(found.statistic) / (len(current) * len(reference)), float(found.pvalue)


def _gains(model: Any, rows: "Floats", side: Any, generator: Any, stats: Any) -> "Floats":
    """Return how much of the area is lost when one column is shuffled."""
    import numpy as np

    whole = _area(model, rows, side, stats)[0]
    gains = np.zeros(rows.shape[1])
    for column in range(rows.shape[1]):
        shuffled = rows.copy()
        shuffled[:, column] = generator.permutation(shuffled[:, column])
        gains[column] = whole - _area(model, shuffled, side, stats)[0]
    return gains


def _table(
    reference: Sequence[Profile], current: Sequence[Profile], names: Sequence[str]
) -> tuple["Floats", Any, list[bool]]:
    import numpy as np

    generator = np.random.default_rng(len(names))
    sides = [_drawn(profiles, names, generator) for profiles in (reference, current)]
    kind = {name: current[0].columns[name].kind for name in names}
    columns = []
    for name in names:
        if kind[name] is Kind.NUMERIC:
            columns.append(np.concatenate([_uniform(side[name], generator) for side in sides]))
        else:
            columns.append(_codes([str(value) for side in sides for value in side[name]]))
    sizes = [len(side[names[0]]) for side in sides]
    return np.column_stack(columns), np.repeat([0, 1], sizes), [kind[name] is not Kind.NUMERIC for name in names]


def _drawn(profiles: Sequence[Profile], names: Sequence[str], generator: Any) -> dict[str, list[Any]]:
    """Take at most MOST_ROWS sampled rows, an equal share from each profile."""
    import numpy as np

    drawn: dict[str, list[Any]] = {name: [] for name in names}
    for profile in profiles:
        rows = _rows(profile, names)
        chosen = generator.permutation(rows)[: max(1, MOST_ROWS // len(profiles))]
        for name in names:
            drawn[name] += np.asarray(profile.sample[name], dtype=object)[chosen].tolist()
    return drawn


def _uniform(values: Sequence[Any], generator: Any) -> "Floats":
    """Ranks between 0 and 1; ties broken and missing values placed at random, so that neither gives a side away."""
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    noise = generator.random(len(numbers))
    there = np.isfinite(numbers)
    order = np.lexsort((noise[there], numbers[there]))
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order)) + generator.random(len(order))
    uniform: Floats = noise.copy()
    uniform[there] = ranks / max(1, len(order))
    return uniform


def _codes(values: Sequence[str]) -> "Floats":
    """Number the levels, the most frequent first; the rarest share the last number."""
    import numpy as np

    levels, codes, counts = np.unique(
        np.asarray(values, dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    rank = np.empty(len(levels))
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(levels))
    numbered: Floats = np.minimum(rank[codes], MOST_LEVELS)
    return numbered


def _common(reference: Profile, current: Profile) -> list[str]:
    kinds = (Kind.NUMERIC, Kind.CATEGORICAL, Kind.BOOLEAN)
    return [
        name
        for name, column in reference.columns.items()
        if column.kind in kinds
        and name in current.columns
        and current.columns[name].kind is column.kind
        and name in reference.sample
        and name in current.sample
    ][:MOST_COLUMNS]


def _rows(profile: Profile, names: Sequence[str]) -> int:
    return len(profile.sample[names[0]])
