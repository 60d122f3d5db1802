"""Drift detectors on one suite: false alarms, detection, faults and performance alarms.

    python -m benchmarks.drift [--quick] [--family everyday|aside] [--first-seed N] [--json FILE]

`ours` is `drift.compare`; beside it Evidently's dataset verdict (half of the columns by its default tests), any column
by the same tests, Kolmogorov-Smirnov and chi-square with Bonferroni at 0.05, and PSI above 0.2 in any column.
"""

import argparse
import json
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table as Screen
from scipy import stats

from benchmarks.drift_suite import FAMILIES, FAULTS, Family
from retrain import drift

os.environ.setdefault("DO_NOT_TRACK", "true")
SEEDS = {200: 200, 1_000: 200, 10_000: 40, 100_000: 8}
QUICK = {200: 30, 1_000: 20, 10_000: 3}
HISTORY = 20
WOBBLE = 0.25
console = Console()


def ours(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, bool]:
    verdict = drift.compare(drift.profile(reference), drift.profile(current))
    return {"ours": verdict.status == "drift"}


class Rivals:
    """What teams use today, as column tests; Evidently's own functions where the test is Evidently's."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from evidently.legacy.calculations.stattests.registry import get_stattest
            from evidently.legacy.core import ColumnType
        self._stattest, self._types = get_stattest, ColumnType

    def __call__(self, reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, bool]:
        """Return each rival's verdict."""
        names = [name for name in reference.columns if name in current.columns]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            drifted = [self._evidently(reference[name], current[name]) for name in names]
            p_values = [_p_value(reference[name], current[name]) for name in names]
            psi = [_psi(reference[name], current[name]) for name in names]
        return {
            "evidently": float(np.mean(drifted)) >= 0.5,
            "evidently any": any(drifted),
            "ks+bonferroni": min(p_values) < 0.05 / len(names),
            "psi": max(psi) > 0.2,
        }

    def _evidently(self, reference: pd.Series, current: pd.Series) -> bool:
        kind = self._types.Numerical if _numeric(reference) else self._types.Categorical
        reference, current = reference.dropna(), current.dropna()
        return bool(self._stattest(reference, current, kind, None)(reference, current, kind, None).drifted)


def _numeric(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _p_value(reference: pd.Series, current: pd.Series) -> float:
    if _numeric(reference):
        return float(stats.ks_2samp(reference.dropna(), current.dropna(), method="asymp").pvalue)
    counts = pd.concat([reference.value_counts(), current.value_counts()], axis=1).fillna(0).to_numpy()
    return float(stats.chi2_contingency(counts.T, correction=False).pvalue)


def _psi(reference: pd.Series, current: pd.Series) -> float:
    if _numeric(reference):
        edges = np.unique(np.nanquantile(reference, np.linspace(0, 1, 11)))
        edges[0], edges[-1] = -np.inf, np.inf
        sides = [np.histogram(side.dropna(), edges)[0] for side in (reference, current)]
    else:
        sides = list(pd.concat([reference.value_counts(), current.value_counts()], axis=1).fillna(0).to_numpy().T)
    before, after = (np.maximum(side / side.sum(), 1e-4) for side in sides)
    return float(np.sum((after - before) * np.log(after / before)))


class Tally:
    """Counts per (row of the table, rows of data, detector)."""

    def __init__(self) -> None:
        self.hits: dict[tuple[str, int, str], list[int]] = defaultdict(lambda: [0, 0])

    def add(self, name: str, rows: int, found: dict[str, bool]) -> None:
        """Count one trial of each detector."""
        for detector, hit in found.items():
            cell = self.hits[name, rows, detector]
            cell[0] += int(hit)
            cell[1] += 1

    def rows(self) -> list[dict[str, Any]]:
        """Return the rates as JSON."""
        return [
            {"case": name, "rows": rows, "detector": detector, "rate": hits / trials, "trials": trials}
            for (name, rows, detector), (hits, trials) in self.hits.items()
        ]

    def show(self, title: str) -> None:
        """Print the rates, sizes beside one another."""
        sizes = sorted({rows for _, rows, _ in self.hits})
        detectors = list(dict.fromkeys(detector for *_, detector in self.hits))
        screen = Screen(title=title)
        for heading in ("case", *(f"{detector}\n{' / '.join(map(str, sizes))}" for detector in detectors)):
            screen.add_column(heading)
        for name in dict.fromkeys(name for name, *_ in self.hits):
            cells = [[self.hits.get((name, size, detector)) for size in sizes] for detector in detectors]
            screen.add_row(name, *(" / ".join(_rate(cell) for cell in row) for row in cells))
        console.print(screen)


def _rate(cell: list[int] | None) -> str:
    return "-" if not cell else f"{cell[0] / cell[1]:.2f}" if cell[0] / cell[1] < 0.995 else "1.0"


def _seeds(plan: dict[int, int], first: int) -> Iterator[tuple[int, np.random.Generator]]:
    for rows, seeds in plan.items():
        for seed in range(first, first + seeds):
            yield rows, np.random.default_rng([seed, rows])


def false_alarms(family: Family, plan: dict[int, int], first: int, rivals: Rivals | None) -> Tally:
    """Goal 1: unchanged tables and an irrelevant shift of 0.03 sd in every numeric column."""
    tally = Tally()
    for rows, generator in _seeds(plan, first):
        reference = family.make(rows, generator)
        for name, shift in (("clean", 0.0), ("0.03 sd everywhere", 0.03)):
            current = family.make(rows, generator, shift=shift)
            tally.add(name, rows, ours(reference, current) | (rivals(reference, current) if rivals else {}))
    return tally


def variation(family: Family, plan: dict[int, int], first: int) -> Tally:
    """Goal 2: every column moves by 0.25 sd from batch to batch, and 20 batches are known."""
    tally = Tally()
    for rows, generator in _seeds(plan, first):
        history = [drift.profile(family.make(rows, generator, wobble=WOBBLE)) for _ in range(HISTORY)]
        merged = history[0]
        for past in history[1:]:
            merged = merged.merge(past)
        current = family.make(rows, generator, wobble=WOBBLE)
        numeric = [name for name in current.columns if _numeric(current[name])]
        moved = current.assign(**{numeric[0]: current[numeric[0]] + 1.5 * current[numeric[0]].std()})
        for name, table in (("ordinary variation", current), ("1.5 sd in one column on top", moved)):
            profile = drift.profile(table)
            verdicts = {
                "all batches as reference": drift.compare(merged, profile, history=history),
                "one batch as reference": drift.compare(history[0], profile, history=history),
                "no history": drift.compare(history[0], profile),
            }
            tally.add(name, rows, {how: verdict.status == "drift" for how, verdict in verdicts.items()})
    return tally


def detection(family: Family, plan: dict[int, int], first: int, rivals: Rivals | None) -> Tally:
    """Goal 3: one hard shift at a time; `named` counts alarms that name a column that was touched."""
    tally = Tally()
    for rows, generator in _seeds(plan, first):
        reference = family.make(rows, generator)
        before = drift.profile(reference)
        for name, (change, columns) in family.shifts.items():
            current = change(family.make(rows, generator), generator)
            verdict = drift.compare(before, drift.profile(current))
            found = {"ours": verdict.status == "drift"}
            found["named"] = found["ours"] and bool(set(verdict.drivers[:2]) & set(columns))
            tally.add(name, rows, found | (rivals(reference, current) if rivals else {}))
    return tally


def faults(family: Family, plan: dict[int, int], first: int) -> Tally:
    """Goal 4: status drift with the right check by its name; one row is inconclusive."""
    tally = Tally()
    for rows, generator in _seeds(plan, first):
        reference = drift.profile(family.make(rows, generator))
        for name, (change, check) in FAULTS.items():
            verdict = drift.compare(reference, drift.profile(change(family.make(rows, generator))))
            named = verdict.status == "drift" and check in [failed.name for failed in verdict.checks]
            tally.add(name, rows, {"ours": named})
        one = drift.compare(reference, drift.profile(family.make(1, generator)))
        tally.add("one row is inconclusive", rows, {"ours": one.status == "inconclusive"})
    return tally


def performance(plan: dict[int, int], first: int) -> Tally:
    """Goal 5: 0/1 losses of a classifier, 20% of them wrong at the reference."""
    tally = Tally()
    cases: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
        "no change": lambda generator, rows: generator.random(rows) < 0.2,
        "drop of 7.5 points": lambda generator, rows: generator.random(rows) < 0.275,
        "concept swap": lambda generator, rows: generator.random(rows) < 0.8,
        "improvement of 10 points": lambda generator, rows: generator.random(rows) < 0.1,
    }
    for rows, generator in _seeds(plan, first):
        reference = (generator.random(rows) < 0.2).astype(float)
        for name, draw in cases.items():
            verdict = drift.performance(reference, draw(generator, rows).astype(float))
            tally.add(name, rows, {"ours": verdict.status == "decay"})
    return tally


def main() -> None:
    """Run the suite, print the tables, write the numbers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few seeds, no rivals: a minute")
    parser.add_argument("--family", choices=FAMILIES, action="append")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rows", type=int, action="append", help="only these sizes")
    parser.add_argument("--seeds", type=int, help="this many seeds at every size")
    parser.add_argument("--no-rivals", action="store_true")
    parser.add_argument("--only", choices=["1", "2", "3", "4", "5"], action="append", help="only these goals")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    plan = {
        rows: options.seeds or seeds
        for rows, seeds in (QUICK if options.quick else SEEDS).items()
        if not options.rows or rows in options.rows
    }
    rivals = None if options.quick or options.no_rivals else Rivals()
    few = {rows: max(1, seeds // 4) for rows, seeds in plan.items() if rows < 100_000}
    results: dict[str, Any] = {}
    for name in options.family or FAMILIES:
        family, first = FAMILIES[name], options.first_seed
        goals: dict[str, tuple[str, Callable[[], Tally]]] = {
            "1": ("false alarms", lambda: false_alarms(family, plan, first, rivals)),  # noqa: B023
            "2": ("ordinary variation", lambda: variation(family, few, first)),  # noqa: B023
            "3": ("detection", lambda: detection(family, plan, first, rivals)),  # noqa: B023
            "4": ("faults", lambda: faults(family, few, first)),  # noqa: B023
            "5": ("performance", lambda: performance(plan, first)),  # noqa: B023
        }
        for goal, (title, measure) in goals.items():
            if options.only and goal not in options.only:
                continue
            started = time.perf_counter()
            tally = measure()
            tally.show(f"Goal {goal}, {title}: {name} ({time.perf_counter() - started:.0f} s)")
            results[f"{goal} {title}: {name}"] = tally.rows()
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
