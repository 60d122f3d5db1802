"""How often the gate is wrong: challengers whose true difference is known, judged again and again.

    python -m benchmarks.judge [--pairs 500] [--seed 1] [--families tuned|aside|all] [--json FILE]

For each family of pairs (`benchmarks.judge_pairs`) and number of rows: how often `judge` promotes a challenger that is
truly worse by three margins and by exactly one, how often it fails one that is equally good, and how often it promotes
that one (its power); beside each, how often the plain rule "its metric is higher" promotes. A rate of `pairs` trials
is known to about `2 * sqrt(p (1 - p) / pairs)`.
"""

import argparse
import json
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.judge_pairs import FAMILIES, Family
from retrain.evaluation import judge
from retrain.records import GateStatus

SIZES = (200, 1000, 5000, 20_000)
GAPS = {"three margins worse": 3.0, "one margin worse": 1.0, "equally good": 0.0}
# Each goal: the share of what, the most it may be; "one margin" may exceed the level by the noise of the simulation.
GOALS = {"three margins worse": ("pass", 0.01), "one margin worse": ("pass", 0.05), "equally good": ("fail", 0.02)}


def rates(family: Family, rows: int, gap: float, pairs: int, seed: int) -> dict[str, float]:
    """Return the share of each status, and of "higher": what the plain rule would have promoted."""
    generator = np.random.default_rng([seed, zlib.crc32(f"{family.metric} {family.name}".encode()), rows, int(gap)])
    count = dict.fromkeys([*GateStatus, "higher"], 0)
    for _ in range(pairs):
        drawn = family.make(generator, rows, gap * family.margin)
        verdict = judge(*drawn, metric=family.metric, margin=family.margin)
        count[verdict.status] += 1
        count["higher"] += verdict.difference is not None and verdict.difference > 0
    return {str(name): number / pairs for name, number in count.items()}


def measure(families: Sequence[Family], sizes: Sequence[int], pairs: int, seed: int) -> list[dict[str, Any]]:
    """Return one document per family and size."""
    documents = []
    for family in families:
        for rows in sizes:
            started = time.perf_counter()
            found = {name: rates(family, rows, gap, pairs, seed) for name, gap in GAPS.items()}
            documents.append(
                {
                    "metric": family.metric,
                    "family": family.name,
                    "kept_aside": family.kept_aside,
                    "rows": rows,
                    "margin": family.margin,
                    "seconds": round(time.perf_counter() - started, 1),
                    "broken": [name for name in GAPS if _breaks(name, found[name], pairs)],
                    **found,
                }
            )
            print(json.dumps(documents[-1]), file=sys.stderr, flush=True)
    return documents


def _breaks(name: str, found: dict[str, float], pairs: int) -> bool:
    status, most = GOALS[name]
    noise = 2 * (most * (1 - most) / pairs) ** 0.5 if name == "one margin worse" else 0.0
    return found[status] > most + noise


def show(documents: Sequence[dict[str, Any]]) -> None:
    """Print the table: shares in percent, the plain rule's in brackets."""
    table = Table(title="Shares in percent (in brackets: promoted by 'the metric is higher')")
    for column in ("metric", "pairs", "rows", "3 margins worse: pass", "1 margin worse: pass", "equal: fail"):
        table.add_column(column, justify="left" if column in ("metric", "pairs") else "right")
    table.add_column("equal: pass", justify="right")
    for document in documents:
        worse, one, equal = (document[name] for name in GAPS)
        name = document["family"] + (" *" if document["kept_aside"] else "")
        table.add_row(
            *(document["metric"], name, f"{document['rows']:,}"),
            *(f"{100 * part['pass']:.1f} ({100 * part['higher']:.0f})" for part in (worse, one)),
            *(f"{100 * equal['fail']:.1f}", f"{100 * equal['pass']:.0f}"),
            style="red" if document["broken"] else None,
        )
    console = Console(width=130)
    console.print(table)
    broken = [document for document in documents if document["broken"]]
    console.print(f"{len(broken)} of {len(documents)} rows break a goal (* families kept aside until the final table)")


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, print, and write JSON where asked. Exit code 1: a goal is not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--families", choices=["tuned", "aside", "all"], default="all")
    parser.add_argument("--metric", default=None)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    chosen = [
        family
        for family in FAMILIES
        if options.families == "all" or family.kept_aside == (options.families == "aside")
        if options.metric in (None, family.metric)
    ]
    documents = measure(chosen, options.sizes, options.pairs, options.seed)
    show(documents)
    if options.json:
        text = json.dumps({"pairs": options.pairs, "seed": options.seed, "results": documents}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
    return 1 if any(document["broken"] for document in documents) else 0


if __name__ == "__main__":
    sys.exit(main())
