"""Which quantile sketch for profiles: ours, Apache DataSketches' KLL, and t-digest, by what the drift tests ask of one.

    python -m benchmarks.sketches [--rows N] [--seeds N] [--json FILE]

Needs `datasketches` (a measurement, no dependency of the library). KLL's k is chosen for about our bytes; t-digest
gains little from a larger k. `rank`: largest error of the distribution function, at and strictly below a value, in
percent of the rows; `merged`: the same after 20 parts were merged one by one. `tails`: error of the number of rows
beyond the 0.5% fences, in percent of it. `p KS`, `p location`: log10 of the ratio of the p-value from sketches to that
of the data, of two samples that differ by a hundredth of their interquartile range. All are the largest over the seeds.
Sizes are bytes as serialised (ours: of JSON, the others' binary), times CPU-ms for 100,000 values.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from retrain.drift import statistics
from retrain.drift.sketch import QuantileSketch, cells, shared_grid

Floats = Any
PARTS = 20
DRAWS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda generator, rows: generator.normal(size=rows),
    "lognormal": lambda generator, rows: generator.lognormal(size=rows),
    "cauchy": lambda generator, rows: generator.standard_cauchy(rows),
    "half zeros": lambda generator, rows: np.where(generator.random(rows) < 0.5, 0.0, generator.exponential(size=rows)),
    "poisson": lambda generator, rows: generator.poisson(500, rows).astype(float),
}


class Ours:
    """Equi-depth points with exact ties."""

    def __init__(self, values: Floats) -> None:
        self.sketch = QuantileSketch.of(values)

    def merge(self, other: "Ours") -> None:
        """Take the other's rows in."""
        self.sketch = self.sketch.merge(other.sketch)

    def cumulative(self, grid: Floats) -> tuple[Floats, Floats]:
        """Rows strictly below, and up to, each value."""
        return self.sketch.cumulative(grid)

    def points(self) -> Floats:
        """Values to compare at."""
        return np.asarray(self.sketch.values)

    def bytes(self) -> int:
        """Size as it is stored."""
        return len(json.dumps([self.sketch.values, self.sketch.at, self.sketch.below]))


class Kll:
    """Karnin, Lang and Liberty's sketch, by Apache DataSketches."""

    def __init__(self, values: Floats) -> None:
        import datasketches

        self.sketch, self.rows = datasketches.kll_doubles_sketch(1200), len(values)
        self.sketch.update(values)

    def merge(self, other: "Kll") -> None:
        """Take the other's rows in."""
        self.sketch.merge(other.sketch)
        self.rows += other.rows

    def cumulative(self, grid: Floats) -> tuple[Floats, Floats]:
        """Rows strictly below, and up to, each value."""
        left, upto = (np.array(self.sketch.get_cdf(list(grid), inclusive))[:-1] for inclusive in (False, True))
        return left * self.rows, upto * self.rows

    def points(self) -> Floats:
        """Values to compare at."""
        return np.unique(self.sketch.get_quantiles(list(np.linspace(0, 1, 1024))))

    def bytes(self) -> int:
        """Size as it is stored."""
        return len(self.sketch.serialize())


class TDigest:
    """Dunning's sketch, by Apache DataSketches."""

    def __init__(self, values: Floats) -> None:
        import datasketches

        self.sketch, self.rows = datasketches.tdigest_double(500), len(values)
        self.sketch.update(values)

    def merge(self, other: "TDigest") -> None:
        """Take the other's rows in."""
        self.sketch.merge(other.sketch)
        self.rows += other.rows

    def cumulative(self, grid: Floats) -> tuple[Floats, Floats]:
        """Rows up to each value, once more for those below: it does not keep ties apart."""
        upto = np.array([self.sketch.get_rank(float(value)) for value in grid]) * self.rows
        return upto, upto

    def points(self) -> Floats:
        """Values to compare at."""
        return np.unique([self.sketch.get_quantile(level) for level in np.linspace(0, 1, 1024)])

    def bytes(self) -> int:
        """Size as it is stored."""
        return len(self.sketch.serialize())


def rank_error(sketch: Any, data: Floats) -> float:
    """Largest error of the distribution function, at up to 2,000 values of the data."""
    data = np.sort(data)
    grid = np.unique(data[np.linspace(0, len(data) - 1, 2000).astype(int)])
    left, upto = sketch.cumulative(grid)
    errors = (left - np.searchsorted(data, grid, "left"), upto - np.searchsorted(data, grid, "right"))
    return float(max(np.abs(error).max() for error in errors)) / len(data)


def tail_error(sketch: Any, data: Floats) -> float:
    """Largest relative error of the rows beyond the outer 0.5% on either side."""
    low, high = np.quantile(data, (0.005, 0.995))
    left, upto = sketch.cumulative(np.array([low, high]))
    counts = (left[0], (data < low).sum()), (len(data) - upto[1], (data > high).sum())
    return max(abs(found - true) / (0.005 * len(data)) for found, true in counts)


def p_values(sketches: tuple[Any, Any], rows: int) -> tuple[float, float]:
    """KS and location from two sketches."""
    grid = np.unique(np.concatenate([sketch.points() for sketch in sketches]))
    sides = []
    for sketch in sketches:
        edges = np.column_stack(sketch.cumulative(grid)).ravel()
        sides.append(np.maximum(0, np.diff(np.append(edges, rows), prepend=0.0)))
    return statistics.ks(*sides).p_value, statistics.location(*sides).p_value


def true_p_values(reference: Floats, current: Floats) -> tuple[float, float]:
    """The same from all values."""
    exact = [QuantileSketch.of(side, points=len(side)) for side in (reference, current)]
    sides = [cells(sketch, shared_grid(exact)) for sketch in exact]
    return statistics.ks(*sides).p_value, statistics.location(*sides).p_value


def measure(kind: type, draw: Callable[[np.random.Generator, int], Floats], rows: int, seed: int) -> dict[str, float]:
    """Every number of one sketch on one draw."""
    generator = np.random.default_rng(seed)
    data, other = draw(generator, rows), draw(generator, rows)
    started = time.process_time()
    sketch = kind(data)
    cpu = (time.process_time() - started) * 1e5 / rows
    found = {"rank": 100 * rank_error(sketch, data), "tails": 100 * tail_error(sketch, data), "CPU ms": 1000 * cpu}
    whole = kind(data[: rows // PARTS])
    for part in np.array_split(data[rows // PARTS :], PARTS - 1):
        whole.merge(kind(part))
    found["merged"] = 100 * rank_error(whole, data)
    found["merged tails"] = 100 * tail_error(whole, data)
    found["bytes"] = sketch.bytes()
    shifted = other + 0.01 * np.subtract(*np.quantile(data, (0.75, 0.25)))
    truth = true_p_values(data, shifted)
    for name, p, true in zip(("p KS", "p location"), p_values((sketch, kind(shifted)), rows), truth, strict=True):
        found[name] = abs(np.log10(max(p, 1e-300)) - np.log10(max(true, 1e-300)))
    return found


def worst(found: Iterable[dict[str, float]]) -> dict[str, float]:
    """The largest of each number."""
    found = list(found)
    return {name: max(one[name] for one in found) for name in found[0]}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sketches", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    results = {}
    for kind in (Ours, Kll, TDigest):
        for name, draw in DRAWS.items():
            found = (measure(kind, draw, options.rows, seed) for seed in range(options.seeds))
            results[f"{kind.__name__}, {name}"] = worst(found)
    names = ("rank", "merged", "tails", "merged tails", "p KS", "p location", "bytes", "CPU ms")
    screen = Table("sketch", *names, title=f"Sketches of {options.rows:,} values")
    for label, found in results.items():
        screen.add_row(label, *(f"{found[name]:.3g}" if name != "bytes" else f"{found[name]:,.0f}" for name in names))
    Console().print(screen)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
