"""The distribution of a numeric column in bounded space: exact when small, quantile bins when large, mergeable.

A sketch is a list of points taken from the data, at about equal distances in rank. For each point it keeps how many
rows lie exactly on it and how many strictly between it and the point before, so a value that many rows share (a zero,
a sentinel, an integer) stays a jump and is never smeared over a bin.

Error. Up to `POINTS` distinct values the sketch is the data. Above, the distribution function is exact at every point;
between two points it is interpolated and off by at most the rows between them, which is 1/(POINTS - 1) of all rows
(0.1%). A merge reads each sketch at the other's points and thins the union again, adding at most that much for each
sketch that was not exact, each time. A distance between two sketches is off by at most the sum of their errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

POINTS = 1024


@dataclass(frozen=True)
class QuantileSketch:
    """Ascending `values`, rows exactly `at` each, rows strictly `below` each and above the one before."""

    values: tuple[float, ...] = ()
    at: tuple[int, ...] = ()
    below: tuple[int, ...] = ()

    @classmethod
    def of(cls, values: "Floats", *, points: int = POINTS) -> "QuantileSketch":
        """Sketch finite `values` (any order); one sort."""
        import numpy as np

        if values.size == 0:
            return cls()
        return cls.of_counts(*np.unique(values, return_counts=True), points=points)

    @classmethod
    def of_counts(cls, distinct: "Floats", counts: "NDArray[np.int64]", *, points: int = POINTS) -> "QuantileSketch":
        """Sketch ascending finite values, each of which comes `counts` times."""
        import numpy as np

        if distinct.size == 0:
            return cls()
        right = np.cumsum(counts).astype(np.float64)
        return _thin(distinct, right - counts, right, points)

    @property
    def rows(self) -> int:
        """How many values were sketched."""
        return sum(self.at) + sum(self.below)

    @property
    def exact(self) -> bool:
        """Whether nothing was left out."""
        return not any(self.below)

    def scaled(self, rows: int) -> "QuantileSketch":
        """Return the sketch of a sample as that of the `rows` it was drawn from; whole rows, and exactly that many."""
        import numpy as np

        seen = self.rows
        if seen in (0, rows):
            return self
        edges = np.column_stack([self.below, self.at]).ravel().astype(np.float64)
        counts = np.diff(np.rint(np.cumsum(edges) * (rows / seen)), prepend=0.0).reshape(-1, 2)
        return QuantileSketch(self.values, _integers(counts[:, 1]), _integers(counts[:, 0]))

    def cumulative(self, grid: "Floats") -> tuple["Floats", "Floats"]:
        """Return how many rows lie strictly below, and at or below, each value of the ascending `grid`."""
        import numpy as np

        if not self.values:
            return np.zeros(len(grid)), np.zeros(len(grid))
        values = np.asarray(self.values)
        at, below = np.asarray(self.at, dtype=np.float64), np.asarray(self.below, dtype=np.float64)
        right = np.cumsum(at + below)
        index = np.minimum(np.searchsorted(values, grid, side="left"), len(values) - 1)
        before = np.where(index > 0, right[index - 1], 0.0)
        floor = np.where(index > 0, values[index - 1], values[0])
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            fraction = np.nan_to_num((grid - floor) / (values[index] - floor), nan=0.5, posinf=1.0, neginf=0.0)
        between = before + below[index] * np.clip(fraction, 0.0, 1.0)
        hit = values[index] == grid
        left = np.where(hit, right[index] - at[index], between)
        upto = np.where(hit, right[index], between)
        outside = grid > values[-1]
        return np.where(outside, right[-1], left), np.where(outside, right[-1], upto)

    def merge(self, other: "QuantileSketch", *, points: int = POINTS) -> "QuantileSketch":
        """Sketch both together; exact when both are and the union still fits."""
        return merge_all([self, other], points=points)


def merge_all(sketches: Sequence[QuantileSketch], *, points: int = POINTS) -> QuantileSketch:
    """Merge any number of sketches in one step, so that the union is thinned only once."""
    import numpy as np

    filled = [sketch for sketch in sketches if sketch.values]
    if not filled:
        return QuantileSketch()
    grid = shared_grid(filled)
    sides = [sketch.cumulative(grid) for sketch in filled]
    return _thin(grid, np.sum([left for left, _ in sides], axis=0), np.sum([upto for _, upto in sides], axis=0), points)


def shared_grid(sketches: Sequence[QuantileSketch]) -> "Floats":
    """Return the ascending union of the sketches' points."""
    import numpy as np

    parts = [np.asarray(sketch.values, dtype=np.float64) for sketch in sketches if sketch.values]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0)


def cells(sketch: QuantileSketch, grid: "Floats") -> "Floats":
    """Return the rows in each cell of `grid`: before a value, on it, before the next, ... (2 x len(grid) numbers).

    The grid has to reach from the sketch's smallest value to its largest.
    """
    import numpy as np

    left, upto = sketch.cumulative(grid)
    edges = np.column_stack([left, upto]).ravel()
    return np.diff(edges, prepend=0.0)


def _thin(grid: "Floats", left: "Floats", right: "Floats", points: int) -> QuantileSketch:
    """Keep at most `points` values of `grid` at equal distances in rank, the first and the last among them."""
    import numpy as np

    # Whole rows only, rounded where they accumulate: the total stays exact and the document small.
    left, right = np.rint(left), np.rint(right)
    if len(grid) > points:
        levels = np.linspace(0.0, right[-1], points)
        keep = np.unique(np.concatenate([[0], np.searchsorted(right, levels, side="left"), [len(grid) - 1]]))
        grid, left, right = grid[keep], left[keep], right[keep]
    below = left - np.concatenate([[0.0], right[:-1]])
    return QuantileSketch(_floats(grid), _integers(right - left), _integers(below))


def _floats(array: "Floats") -> tuple[float, ...]:
    return tuple(array.tolist())


def _integers(array: "Floats") -> tuple[int, ...]:
    return tuple(array.astype("int64").tolist())
