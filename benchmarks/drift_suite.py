"""Tables, shifts and faults that drift detectors are judged on: three families of tables.

The detector was built and tuned against `everyday` and `aside` (with other seeds than the published ones). `shop` was
written when it was done and nothing was changed after it had been run: its numbers are the ones to believe.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

Generator = np.random.Generator
Table = pd.DataFrame
Change = Callable[[Table, Generator], Table]


def _levels(weights: np.ndarray, rows: int, generator: Generator, prefix: str) -> np.ndarray:
    names = np.array([f"{prefix}{level}" for level in range(len(weights))], dtype=object)
    return names[generator.choice(len(weights), rows, p=weights / weights.sum())]


def _tilt(weights: np.ndarray, generator: Generator, wobble: float) -> np.ndarray:
    return weights * np.exp(generator.normal(0, wobble, len(weights))) if wobble else weights


def everyday(rows: int, generator: Generator, *, wobble: float = 0.0, shift: float = 0.0) -> Table:
    """Twelve columns; `wobble` moves each by that many sd of its own, at random; `shift` all numeric ones alike."""

    def moved(values: np.ndarray, sd: float) -> np.ndarray:
        return values + sd * (shift + generator.normal(0, wobble) if wobble else shift)

    first = generator.normal(0, 1, rows)
    second = 0.7 * first + np.sqrt(1 - 0.49) * generator.normal(0, 1, rows)
    label = generator.random(rows) < 1 / (1 + np.exp(1.0 - 0.8 * first))
    columns = {
        "normal": moved(first, 1.0),
        "paired": moved(second, 1.0),
        "heavy": moved(generator.standard_t(2, rows), 1.5),
        "skewed": np.exp(moved(generator.normal(0, 1, rows), 1.0)),
        "count": np.maximum(0, np.rint(generator.poisson(4, rows) + 2 * (shift + wobble * generator.normal()))),
        "integer": np.rint(moved(generator.normal(0, 1000, rows), 1000)).astype("int64"),
        "flag": generator.random(rows) < 0.3,
        "label": label,
    }
    for size in (5, 12, 50, 300):
        weights = _tilt(1 / np.arange(1, size + 1) ** 0.7, generator, wobble)
        columns[f"of{size}"] = _levels(weights, rows, generator, "v")
    return pd.DataFrame(columns)


def aside(rows: int, generator: Generator, *, wobble: float = 0.0, shift: float = 0.0) -> Table:
    """Fifteen columns of other kinds, with missing values and numbers stored as text."""

    def moved(values: np.ndarray, sd: float) -> np.ndarray:
        return values + sd * (shift + generator.normal(0, wobble) if wobble else shift)

    common = generator.normal(0, 1, rows)
    uniform = stats.norm.cdf(0.8 * common + 0.6 * generator.normal(0, 1, rows))
    wave = generator.normal(0, 1, rows)
    columns = {
        "laplace": moved(generator.laplace(10, 2, rows), 2.83),
        "pair_a": moved(uniform, 0.289),
        "pair_b": np.exp(moved(0.8 * common + 0.6 * generator.normal(0, 1, rows), 1.0) / 2),
        "pareto": (1 + generator.pareto(1.5, rows)) * np.exp(0.7 * moved(np.zeros(rows), 1.0)),
        "rounded": np.round(moved(generator.normal(20, 5, rows), 5), 0),
        "mixture": moved(np.where(generator.random(rows) < 0.4, -2, 2) + wave, 2.2),
        "trials": generator.negative_binomial(2, 0.2, rows),
        "waiting": generator.exponential(30, rows) * np.exp(moved(np.zeros(rows), 0.8)),
        "holes": np.where(generator.random(rows) < 0.05, np.nan, moved(generator.normal(0, 1, rows), 1.0)),
        "rare": generator.random(rows) < 0.08,
        "label": generator.random(rows) < 0.5,
    }
    for size, power in ((5, 0.3), (12, 1.1), (50, 0.5), (300, 1.0)):
        weights = _tilt(1 / np.arange(1, size + 1) ** power, generator, wobble)
        columns[f"of{size}"] = _levels(weights, rows, generator, f"k{size}-")
    return pd.DataFrame(columns)


def shop(rows: int, generator: Generator, *, wobble: float = 0.0, shift: float = 0.0) -> Table:
    """Fourteen columns as a shop has them: skewed amounts, many zeros, bounded scores, whole numbers with limits."""

    def moved(values: np.ndarray, sd: float) -> np.ndarray:
        return values + sd * (shift + generator.normal(0, wobble) if wobble else shift)

    taste = generator.normal(0, 1, rows)
    orders = generator.poisson(np.exp(0.3 + 0.5 * taste)) * (generator.random(rows) < 0.6)
    columns = {
        "amount": np.round(np.exp(moved(3 + 0.9 * taste + 0.8 * generator.normal(0, 1, rows), 1.2)), 2),
        "orders": orders,
        "age": np.clip(np.rint(moved(generator.normal(41, 14, rows), 14)), 18, 90).astype("int64"),
        "balance": moved(50 * generator.standard_t(4, rows), 70),
        "income": moved(generator.normal(0, 1, rows) + 0.6 * taste, 1.17),
        "discount": np.clip(moved(generator.beta(2, 5, rows), 0.16), 0, 1),
        "minutes": generator.gamma(0.7, 12, rows) * np.exp(moved(np.zeros(rows), 0.8)),
        "rating": np.clip(np.rint(moved(generator.normal(3.9, 1.1, rows), 1.1)), 1, 5),
        "member": generator.random(rows) < 0.6,
        "label": generator.random(rows) < 0.15,
    }
    for size, power in ((5, 1.5), (12, 0.0), (50, 1.2), (300, 0.8)):
        weights = _tilt(1 / np.arange(1, size + 1) ** power, generator, wobble)
        columns[f"of{size}"] = _levels(weights, rows, generator, f"s{size}.")
    return pd.DataFrame(columns)


def _add(column: str, sds: float) -> Change:
    def change(table: Table, _: Generator) -> Table:
        return table.assign(**{column: table[column] + sds * table[column].std()})

    return change


def _widen(column: str, variance: float) -> Change:
    def change(table: Table, _: Generator) -> Table:
        middle = table[column].mean()
        return table.assign(**{column: middle + (table[column] - middle) * np.sqrt(variance)})

    return change


def _some(column: str, share: float, make: Callable[[pd.Series], object]) -> Change:
    def change(table: Table, generator: Generator) -> Table:
        hit = generator.random(len(table)) < share
        return table.assign(**{column: table[column].mask(hit, make(table[column]))})

    return change


def _remix(column: str, source: str, target: str, share: float) -> Change:
    """Move `share` of all rows from one level to another: a total variation distance of that much."""

    def change(table: Table, generator: Generator) -> Table:
        of_source = table[column] == source
        hit = of_source & (generator.random(len(table)) < share / max(of_source.mean(), share))
        return table.assign(**{column: table[column].mask(hit, target)})

    return change


def _spread_mix(column: str, share: float) -> Change:
    """Draw `share` of the rows anew, at random among the rarer half of the levels."""

    def change(table: Table, generator: Generator) -> Table:
        frequent = table[column].value_counts()
        rarer = frequent.index[len(frequent) // 2 :].to_numpy()
        lost = share / max(1e-9, 1 - frequent[rarer].sum() / len(table))
        hit = generator.random(len(table)) < lost
        return table.assign(**{column: table[column].mask(hit, pd.Series(generator.choice(rarer, len(table))))})

    return change


def _prior(column: str, more: float) -> Change:
    def change(table: Table, generator: Generator) -> Table:
        absent = ~table[column].astype(bool)
        hit = absent & (generator.random(len(table)) < more / absent.mean())
        return table.assign(**{column: table[column] | hit})

    return change


def _unpair(column: str) -> Change:
    def change(table: Table, generator: Generator) -> Table:
        return table.assign(**{column: generator.permutation(table[column].to_numpy())})

    return change


def _invert(column: str) -> Change:
    def change(table: Table, _: Generator) -> Table:
        values = np.sort(table[column].to_numpy())
        ranks = stats.rankdata(-table[column].to_numpy(), method="ordinal").astype(int) - 1
        return table.assign(**{column: values[ranks]})

    return change


def _segment(by: str, columns: tuple[str, ...], sds: float) -> Change:
    """Shift the rows of the levels of `by` that together hold about a tenth of the table."""

    def change(table: Table, _: Generator) -> Table:
        frequent = table[by].value_counts(normalize=True)
        segment = table[by] == (frequent - 0.1).abs().idxmin()
        moved = {name: table[name] + sds * table[name].std() * segment for name in columns}
        return table.assign(**moved)

    return change


def _hidden_segment(columns: tuple[str, ...], sds: float) -> Change:
    """Shift one random tenth of the rows; no column tells which."""

    def change(table: Table, generator: Generator) -> Table:
        hit = generator.random(len(table)) < 0.1
        return table.assign(**{name: table[name] + sds * table[name].std() * hit for name in columns})

    return change


@dataclass(frozen=True)
class Family:
    """How to make a table, and the hard shifts on it, each with the columns it touches."""

    make: Callable[..., Table]
    shifts: Mapping[str, tuple[Change, tuple[str, ...]]]


FAMILIES = {
    "everyday": Family(
        everyday,
        {
            "mean 0.2 sd": (_add("normal", 0.2), ("normal",)),
            "variance x1.3": (_widen("normal", 1.3), ("normal",)),
            "mix TV 0.1 (5 levels)": (_remix("of5", "v0", "v4", 0.1), ("of5",)),
            "mix TV 0.1 (12 levels)": (_spread_mix("of12", 0.1), ("of12",)),
            "new category 1%": (_some("of12", 0.01, lambda _: "new"), ("of12",)),
            "missing 20%": (_some("heavy", 0.2, lambda _: np.nan), ("heavy",)),
            "label prior +0.1": (_prior("label", 0.1), ("label",)),
            "correlation removed": (_unpair("paired"), ("paired", "normal")),
            "correlation inverted": (_invert("paired"), ("paired", "normal")),
            "wrong unit 5%": (_some("skewed", 0.05, lambda column: column * 1000), ("skewed",)),
            "segment 10%, 1 sd": (_segment("of12", ("normal",), 1.0), ("of12", "normal")),
            "hidden segment 10%, 2 sd": (_hidden_segment(("normal", "paired"), 2.0), ("normal", "paired")),
        },
    ),
    "aside": Family(
        aside,
        {
            "mean 0.2 sd": (_add("laplace", 0.2), ("laplace",)),
            "mean 0.2 sd (two modes)": (_add("mixture", -0.2), ("mixture",)),
            "variance x1.3": (_widen("holes", 1.3), ("holes",)),
            "mix TV 0.1 (5 levels)": (_spread_mix("of5", 0.1), ("of5",)),
            "mix TV 0.1 (12 levels)": (_remix("of12", "k12-0", "k12-3", 0.1), ("of12",)),
            "new category 1%": (_some("of5", 0.01, lambda _: "other"), ("of5",)),
            "missing 20%": (_some("of50", 0.2, lambda _: None), ("of50",)),
            "label prior +0.1": (_prior("label", 0.1), ("label",)),
            "correlation removed": (_unpair("pair_b"), ("pair_a", "pair_b")),
            "correlation inverted": (_invert("pair_b"), ("pair_a", "pair_b")),
            "wrong unit 5%": (_some("waiting", 0.05, lambda column: column * 60), ("waiting",)),
            "segment 10%, 1 sd": (_segment("of12", ("laplace",), 1.0), ("of12", "laplace")),
            "hidden segment 10%, 2 sd": (_hidden_segment(("laplace", "holes"), 2.0), ("laplace", "holes")),
        },
    ),
    "shop": Family(
        shop,
        {
            "mean 0.2 sd": (_add("income", 0.2), ("income",)),
            "mean 0.2 sd (heavy tail)": (_add("balance", 0.2), ("balance",)),
            "variance x1.3": (_widen("income", 1.3), ("income",)),
            "mix TV 0.1 (5 levels)": (_remix("of5", "s5.0", "s5.2", 0.1), ("of5",)),
            "mix TV 0.1 (12 levels)": (_remix("of12", "s12.0", "s12.7", 0.1), ("of12",)),
            "new category 1%": (_some("of50", 0.01, lambda _: "gift card"), ("of50",)),
            "missing 20%": (_some("minutes", 0.2, lambda _: np.nan), ("minutes",)),
            "label prior +0.1": (_prior("label", 0.1), ("label",)),
            "correlation removed": (_unpair("income"), ("income", "amount")),
            "correlation inverted": (_invert("income"), ("income", "amount")),
            "wrong unit 5%": (_some("amount", 0.05, lambda column: column * 100), ("amount",)),
            "segment 10%, 1 sd": (_segment("of12", ("income",), 1.0), ("of12", "income")),
            "hidden segment 10%, 2 sd": (_hidden_segment(("income", "balance"), 2.0), ("income", "balance")),
        },
    ),
}


def _number(table: Table) -> str:
    return str(next(name for name in table.columns if table[name].dtype == "float64"))


FAULTS: Mapping[str, tuple[Callable[[Table], Table], str]] = {
    "dropped column": (lambda table: table.drop(columns=_number(table)), "missing_column"),
    "number to text": (
        lambda table: table.assign(**{_number(table): table[_number(table)].astype(str)}),
        "retyped_column",
    ),
    "text to number": (lambda table: table.assign(of5=np.arange(len(table)) * 1.0), "retyped_column"),
    "all missing": (lambda table: table.assign(**{_number(table): np.nan}), "all_missing"),
    "all levels missing": (lambda table: table.assign(of12=None), "all_missing"),
    "all infinite": (lambda table: table.assign(**{_number(table): np.inf}), "all_infinite"),
    "empty batch": (lambda table: table.iloc[:0], "empty_batch"),
    "constant": (lambda table: table.assign(of5=table["of5"].iloc[0]), "constant_column"),
}
