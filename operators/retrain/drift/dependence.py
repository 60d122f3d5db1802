"""What no column shows by itself: changed dependence between two columns, and segments that moved.

Judged on the profiles' row samples. Every numeric column is replaced by the normal scores of its ranks *within its own
side*, so whatever happened to the column alone is gone and only the way columns go together is left. Three families of
pairs share the alpha of this test (Bonferroni within each):

- two numbers: the correlation of their scores, also of their distances from the middle (a dependence that is not a
  line). Fisher's z; its variance is widened where the products are more dispersed than under a normal copula.
- a level and a number: how far the rows of the level lie from the other rows (a segment); Student's t.
- two levels of different columns: the phi coefficient.
"""

import math
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
    Places = NDArray[np.intp]

# A level is looked at where it has this many sampled rows on both sides, and at most so many levels of one column.
LEVEL_ROWS = 15
MOST_LEVELS = 12
CELL_ROWS = 10
# Pairs grow with the square: wider tables are looked at in their first so many columns.
MOST_COLUMNS = 200
FEWEST_ROWS = 100
_SHARES = {"correlation": 0.5, "segment": 0.35, "association": 0.15}
_LEVELS = (Kind.CATEGORICAL, Kind.BOOLEAN)


@dataclass(frozen=True)
class _Side:
    """One sample as numbers: scores (0 where missing), whether they are there, and level indicators."""

    scores: "Floats"
    there: "Floats"
    indicators: "Floats"


@dataclass(frozen=True)
class _Pairs:
    """All pairs of one family: positions among its features, effects, p-values before Bonferroni."""

    family: str
    first: "Places"
    second: "Places"
    effect: "Floats"
    p_value: "Floats"


# A number with fewer values than this is not unfolded around its middle.
FEWEST_VALUES = 10


@dataclass(frozen=True)
class _Found:
    """A pair as evidence, and where its statistic is found again in another sample."""

    evidence: Evidence
    place: tuple[int, int]
    tests: int


def dependence(
    reference: Profile, current: Profile, limits: Thresholds, history: Sequence[Profile] = ()
) -> Evidence | None:
    """Return the most telling pair of columns whose dependence differs, or None where there is nothing to compare.

    The p-value speaks for all pairs. With `history` the pair's statistic must be unusual among past samples as well.
    """
    features = _Features.of(reference, current)
    sides = features.side(reference), features.side(current)
    if min(len(side.scores) for side in sides) < FEWEST_ROWS:
        return None
    found = [_best(pairs, features, limits) for pairs in _families(features, *sides)]
    if not found:
        return None
    best = min(found, key=lambda one: (one.evidence.size < one.evidence.floor, one.evidence.p_value))
    return _calibrated(best, features, history, sides[1]) if history else best.evidence


@dataclass(frozen=True)
class _Features:
    """Which numbers, and which levels of which columns, both samples can speak of."""

    numbers: tuple[str, ...]
    levels: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, reference: Profile, current: Profile) -> "_Features":
        common = [
            name
            for name, column in reference.columns.items()
            if name in current.columns
            and column.kind is current.columns[name].kind
            and name in reference.sample
            and name in current.sample
        ][:MOST_COLUMNS]
        numbers = tuple(name for name in common if reference.columns[name].kind is Kind.NUMERIC)
        levels: list[tuple[str, str]] = []
        for name in common:
            if reference.columns[name].kind in _LEVELS:
                levels += _usable_levels(name, reference, current)
        return cls(numbers, tuple(levels))

    @property
    def number_names(self) -> tuple[str, ...]:
        """The columns behind the scores: every number, and once more for its distance from the middle."""
        return (*self.numbers, *self.numbers)

    def columns(self, family: str, place: tuple[int, int]) -> tuple[str, str]:
        """The plain names of a pair's columns."""
        first, second = place
        if family == "correlation":
            return self.number_names[first], self.number_names[second]
        other = self.number_names[second] if family == "segment" else self.levels[second][0]
        return self.levels[first][0], other

    def label(self, family: str, place: tuple[int, int]) -> str:
        """The pair in words."""
        first, second = self.columns(family, place)
        if family == "correlation":
            folded = [name for name, index in zip((first, second), place, strict=True) if index >= len(self.numbers)]
            unfolded = f" (distance from the middle of {' and '.join(folded)})" if folded else ""
            return f"{first} with {second}{unfolded}"
        segment = "{}={}".format(*self.levels[place[0]])
        if family == "segment":
            what = "spread" if place[1] >= len(self.numbers) else "level"
            return f"{what} of {second} where {segment}"
        return "{} with {}={}".format(segment, *self.levels[place[1]])

    def side(self, profile: Profile) -> _Side:
        """Turn a sample into scores and indicators."""
        import numpy as np

        rows = max((len(values) for values in profile.sample.values()), default=0)
        plain = [normal_scores(np.asarray(profile.sample[name], dtype=np.float64)) for name in self.numbers]
        folded = [normal_scores(np.abs(scores)) if _has_middle(scores) else np.full(rows, np.nan) for scores in plain]
        columns = [*plain, *folded]
        raw = np.column_stack(columns) if columns else np.empty((rows, 0))
        named: dict[str, Any] = {
            name: np.array([str(value) for value in profile.sample[name]], dtype=object)
            for name in dict.fromkeys(name for name, _ in self.levels)
        }
        hits = [(named[name] == level).astype(np.float64) for name, level in self.levels]
        indicators = np.column_stack(hits) if hits else np.empty((rows, 0))
        return _Side(np.nan_to_num(raw), np.isfinite(raw).astype(np.float64), indicators)


def _usable_levels(name: str, reference: Profile, current: Profile) -> list[tuple[str, str]]:
    from collections import Counter

    sides = [Counter(str(value) for value in side.sample[name] if value is not None) for side in (reference, current)]
    both = [level for level in sides[0] if min(side[level] for side in sides) >= LEVEL_ROWS]
    ranked = sorted(both, key=lambda level: (-sides[0][level] - sides[1][level], level))
    if len(set(sides[0]) | set(sides[1])) == 2 and len(ranked) == 2:
        # The second of two says the same as the first.
        ranked = ranked[1:]
    return [(name, level) for level in ranked[:MOST_LEVELS]]


def _has_middle(scores: "Floats") -> bool:
    """Say whether the distance from the middle means anything.

    Of a few values (a label of 0 and 1) the rarer lies farther out, and which one that is changes by chance.
    """
    import numpy as np

    return len(np.unique(scores[np.isfinite(scores)])) >= FEWEST_VALUES


def normal_scores(values: "Floats") -> "Floats":
    """Return standardised normal scores of the ranks; NaN stays NaN, of fewer than two different values all is NaN."""
    import numpy as np
    from scipy import stats
    from scipy.special import ndtri

    scores = np.full(len(values), np.nan)
    there = np.isfinite(values)
    if there.sum() < 2:
        return scores
    ranks = stats.rankdata(values[there])
    normal = ndtri((ranks - 0.5) / there.sum())
    spread = normal.std()
    if spread > 1e-9:
        scores[there] = (normal - normal.mean()) / spread
    return scores


def _families(features: _Features, reference: _Side, current: _Side) -> list[_Pairs]:
    import numpy as np

    found = []
    count = len(features.numbers)
    if count > 1:
        left, right = np.triu_indices(2 * count, 1)
        own = right - left == count
        found.append(_correlations("correlation", reference, current, left[~own], right[~own]))
    if features.levels and count:
        found.append(_segments(reference, current))
    if len(features.levels) > 1:
        left, right = np.triu_indices(len(features.levels), 1)
        columns = np.array([name for name, _ in features.levels], dtype=object)
        expected = [np.outer(*[side.indicators.mean(axis=0)] * 2) * len(side.scores) for side in (reference, current)]
        enough = (np.minimum(*expected)[left, right] >= CELL_ROWS) & (columns[left] != columns[right])
        if enough.any():
            found.append(_correlations("association", reference, current, left[enough], right[enough]))
    return found


def _correlations(family: str, reference: _Side, current: _Side, left: "Places", right: "Places") -> _Pairs:
    """Compare correlations by Fisher's z, its variance widened as far as the products of the scores ask for."""
    import numpy as np
    from scipy.special import ndtr

    sides = [_correlation(side, family) for side in (reference, current)]
    (r_r, wide_r, n_r), (r_c, wide_c, n_c) = [tuple(part[left, right] for part in side) for side in sides]
    wide = np.maximum(1.0, (wide_r * n_r + wide_c * n_c) / np.maximum(n_r + n_c, 1))
    error = np.sqrt(wide * (1 / np.maximum(n_r - 3, 1) + 1 / np.maximum(n_c - 3, 1)))
    z = (np.arctanh(r_c) - np.arctanh(r_r)) / error
    p_value = np.where(np.minimum(n_r, n_c) >= FEWEST_ROWS, 2 * ndtr(-np.abs(z)), 1.0)
    return _Pairs(family, left, right, r_c - r_r, p_value)


def _correlation(side: _Side, family: str) -> tuple["Floats", "Floats", "Floats"]:
    """Return, for all pairs, the correlation, the variance of its influence over (1 - r^2)^2, and the rows."""
    import numpy as np

    if family == "correlation":
        x, there = side.scores, side.there
    else:
        mean = side.indicators.mean(axis=0)
        x = (side.indicators - mean) / np.sqrt(np.maximum(mean * (1 - mean), 1e-12))
        there = np.ones_like(x)
    squares = x**2
    r, on_both, rows = correlations(x, there)
    r = np.clip(r, -0.999, 0.999)
    two_two = (squares.T @ squares) / rows / (on_both**2 * on_both.T**2)
    three_one = ((squares * x).T @ x) / rows / (on_both**3 * on_both.T)
    four = (squares**2).T @ there / rows / on_both**4
    variance = two_two - r * (three_one + three_one.T) + r**2 / 4 * (four + four.T + 2 * two_two)
    return r, variance / (1 - r**2) ** 2, rows


def correlations(x: "Floats", there: "Floats") -> tuple["Floats", "Floats", "Floats"]:
    """Return, for all pairs of centred columns, their correlation, the first's standard deviation, and the rows.

    Of the rows where both are there: `x` is 0 and `there` is 0 where a value is missing.
    """
    import numpy as np

    rows = np.maximum(there.T @ there, 1.0)
    on_both = np.sqrt(np.maximum((x**2).T @ there, 1e-12) / rows)
    return (x.T @ x) / rows / (on_both * on_both.T), on_both, rows


def _segments(reference: _Side, current: _Side) -> _Pairs:
    """Compare how far each level's rows lie from all others, in standard deviations of the scores."""
    import numpy as np
    from scipy import stats

    (gap_r, scale_r, square_r, n_r), (gap_c, scale_c, square_c, n_c) = (_gaps(side) for side in (reference, current))
    freedom = np.maximum(n_r + n_c - 2, 1)
    variance = (square_r + square_c) / freedom
    effect = gap_c - gap_r
    t = effect / np.sqrt(np.maximum(variance, 1e-12) * (scale_r + scale_c))
    usable = (np.minimum(n_r, n_c) >= LEVEL_ROWS) & (variance > 1e-9)
    p_value = np.where(usable, 2 * stats.t.sf(np.abs(t), freedom), 1.0)
    first, second = np.indices(effect.shape)
    return _Pairs("segment", first.ravel(), second.ravel(), effect.ravel(), p_value.ravel())


def _gaps(side: _Side) -> tuple["Floats", "Floats", "Floats", "Floats"]:
    """Return levels x numbers: the gap to the other rows, the factor of its variance, squares within, rows within."""
    import numpy as np

    inside = side.indicators.T @ side.there
    total = np.maximum(side.there.sum(axis=0), 1.0)
    sums = side.indicators.T @ side.scores
    share = np.clip(inside / total, 0.0, 0.999)
    mean = sums / np.maximum(inside, 1.0)
    squares = side.indicators.T @ side.scores**2 - mean**2 * inside
    return mean / (1 - share), 1 / np.maximum(inside * (1 - share), 1e-9), squares, inside


def _best(pairs: _Pairs, features: _Features, limits: Thresholds) -> _Found:
    """Choose the most significant of the pairs that matter; without one, of all."""
    import numpy as np

    floor = limits.segment if pairs.family == "segment" else limits.dependence
    size = np.abs(pairs.effect)
    matters = size >= floor
    index = int(np.argmin(np.where(matters, pairs.p_value, 2.0) if matters.any() else pairs.p_value))
    tests = len(pairs.p_value)
    place = int(pairs.first[index]), int(pairs.second[index])
    columns = features.columns(pairs.family, place)
    evidence = Evidence(
        column=columns[1],
        partner=columns[0],
        label=features.label(pairs.family, place),
        measure="dependence",
        test=pairs.family,
        effect=float(pairs.effect[index]),
        size=float(size[index]),
        floor=floor,
        p_value=min(1.0, float(pairs.p_value[index]) * tests / _SHARES[pairs.family]),
        note=f"; the most telling of {tests:,} pairs",
    )
    return _Found(evidence, place, tests)


def _calibrated(found: _Found, features: _Features, history: Sequence[Profile], current: _Side) -> Evidence:
    """Hold the pair's statistic against what it was in the samples of past partitions."""
    item = found.evidence
    usable = [past for past in history if item.column in past.sample and item.partner in past.sample]
    past = [_statistic(found, features.side(_filled(one, features))) for one in usable]
    if len(past) < 2:
        return item
    total = sum(past)
    effects = [value - (total - value) / (len(past) - 1) for value in past]
    now = _statistic(found, current) - total / len(past)
    unusual = min(1.0, p_unusual(effects, now, unsigned=False) * found.tests)
    note = f"{item.note}; among {len(past)} past partitions p={unusual:.2g}"
    return replace(item, p_value=max(item.p_value, unusual), note=note)


def _statistic(found: _Found, side: _Side) -> float:
    if found.evidence.test == "segment":
        return float(_gaps(side)[0][found.place])
    return math.atanh(float(_correlation(side, found.evidence.test)[0][found.place]))


def _filled(profile: Profile, features: _Features) -> Profile:
    """Fill columns that a past sample does not have with missing values: only the pair in question is read."""
    rows = max((len(values) for values in profile.sample.values()), default=0)
    nothing = (None,) * rows
    numbers = {name: _numbers(profile.sample.get(name, nothing)) for name in features.numbers}
    levels = {name: profile.sample.get(name, nothing) for name, _ in features.levels}
    return replace(profile, sample={**numbers, **levels})


def _numbers(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(value if isinstance(value, int | float) else None for value in values)
