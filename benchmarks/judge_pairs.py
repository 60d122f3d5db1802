"""Simulated champions and challengers whose true difference is known, to measure how often the gate is wrong.

A family makes rows for a challenger that is truly worse by `gap`. The truth is exact (closed forms, or expectations
over a fixed set of draws in which the label is integrated out), so that "worse by one margin" means just that.

`tuned` families were looked at while the rules were made; `kept aside` ones were run only for the final table.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, softmax
from scipy.stats import norm

Generator = np.random.Generator
Pair = tuple[Any, Any, Any]


@dataclass(frozen=True)
class Family:
    """One kind of pair: `make(generator, rows, gap)` gives y, champion, challenger."""

    name: str
    metric: str
    margin: float
    make: Callable[[Generator, int, float], Pair]
    kept_aside: bool = False


def _correlated(generator: Generator, rows: int, rho: float) -> tuple[Any, Any]:
    common = generator.normal(size=rows)
    return tuple(rho**0.5 * common + (1 - rho) ** 0.5 * generator.normal(size=rows) for _ in range(2))  # type: ignore[return-value]


def binormal(
    generator: Generator, rows: int, gap: float, *, positives: float, area: float, rho: float, step: float = 0.0
) -> Pair:
    """Two normal scores of correlated errors; with `step` they are rounded to it, so that they tie."""
    y = (generator.random(rows) < positives).astype(int)
    old, new = _correlated(generator, rows, rho)
    scores = [_shift(wanted, step) * y + noise for wanted, noise in ((area, old), (area - gap, new))]
    return (y, *(np.round(score / step) if step else score for score in scores))  # type: ignore[return-value]


@functools.cache
def _shift(area: float, step: float) -> float:
    """Return by how much the positives' scores lie higher, for this area under the ROC curve."""
    if not step:
        return float(2**0.5 * norm.ppf(area))
    edges = (np.arange(-200, 200) + 0.5) * step

    def area_of(shift: float) -> float:
        below, own = norm.cdf(edges[:-1]), np.diff(norm.cdf(edges))
        return float((np.diff(norm.cdf(edges - shift)) * (below + own / 2)).sum()) - area

    return float(brentq(area_of, 0.0, 5.0))


def exponential_scores(generator: Generator, rows: int, gap: float, *, positives: float, area: float) -> Pair:
    """Skewed scores: exponential in each class, the positives' stretched; barely correlated models."""
    y = (generator.random(rows) < positives).astype(int)
    scores = []
    for wanted, noise in zip((area, area - gap), _correlated(generator, rows, 0.1), strict=True):
        scores.append(-np.log(norm.sf(noise)) * np.where(y == 1, wanted / (1 - wanted), 1.0))
    return y, scores[0], scores[1]


def flips(generator: Generator, rows: int, gap: float, *, both: float, alone: float, classes: int = 2) -> Pair:
    """Labels: both models are wrong on a share of the rows, each alone on another, the challenger on `gap` more."""
    y = generator.integers(0, classes, rows)
    draw = generator.random(rows)
    wrong = (y + generator.integers(1, classes, rows)) % classes
    old = draw < both + alone
    new = (draw < both) | ((draw >= both + alone) & (draw < both + 2 * alone + gap))
    return y, np.where(old, wrong, y), np.where(new, wrong, y)


def errors(
    generator: Generator, rows: int, gap: float, *, draw: Callable[[Generator, int], Any], root: float, rho: float
) -> Pair:
    """Values: errors of one kind, correlated through a shared part; the challenger's are larger by `gap` in RMSE."""
    common = draw(generator, rows)
    each = [rho**0.5 * common + (1 - rho) ** 0.5 * draw(generator, rows) for _ in range(2)]
    y = generator.normal(size=rows)
    return y, y + each[0], y + each[1] * (1 + gap / root)


def _normal(generator: Generator, rows: int) -> Any:
    return generator.normal(size=rows)


def _student(freedom: float) -> Callable[[Generator, int], Any]:
    return lambda generator, rows: generator.standard_t(freedom, rows) * ((freedom - 2) / freedom) ** 0.5


def _contaminated(generator: Generator, rows: int) -> Any:
    """2% of the rows err eight times as much (unit variance over all)."""
    large = np.where(generator.random(rows) < 0.02, 8.0, 1.0)
    return large * generator.normal(size=rows) / (0.98 + 0.02 * 64) ** 0.5


def _laplace(generator: Generator, rows: int) -> Any:
    return generator.laplace(size=rows) / 2**0.5


def logits(generator: Generator, rows: int, gap: float, *, base: float, noise: float, sharp: float, rho: float) -> Pair:
    """Probabilities: both see the true logit through noise, the challenger through more; `sharp` > 1: overconfident."""
    more = _noisier(gap, base, noise, sharp, rho)
    truth, shared, own = _logit_draws(generator, rows, base, rho)
    y = (generator.random(rows) < expit(truth)).astype(int)
    return y, expit(sharp * (truth + noise * shared + own[0] * noise)), expit(
        sharp * (truth + noise * shared + own[1] * more)
    )  # fmt: skip


def _logit_draws(generator: Generator, rows: int, base: float, rho: float) -> tuple[Any, Any, Any]:
    truth = base + 1.5 * generator.normal(size=rows)
    return truth, rho**0.5 * generator.normal(size=rows), (1 - rho) ** 0.5 * generator.normal(size=(2, rows))


@functools.cache
def _noisier(gap: float, base: float, noise: float, sharp: float, rho: float) -> float:
    """Return the challenger's own noise that costs `gap` in expected log loss (over 2 million fixed draws)."""
    if gap == 0:
        return noise
    truth, shared, own = _logit_draws(np.random.default_rng(7), 2_000_000, base, rho)

    def loss(more: float) -> float:
        logit = sharp * (truth + noise * shared + more * own[0])
        return float(np.mean(np.logaddexp(0, logit) - expit(truth) * logit))

    start = loss(noise)
    return float(brentq(lambda more: loss(more) - start - gap, noise, noise + 10, xtol=1e-5))


def three_classes(generator: Generator, rows: int, gap: float) -> Pair:
    """Probabilities of three classes, one of them rare; the challenger's are blurred by more noise."""
    truth = np.array([1.0, 0.5, -1.5]) + generator.normal(size=(rows, 3))
    y = (np.cumsum(softmax(truth, axis=1), axis=1) < generator.random(rows)[:, None]).sum(axis=1).clip(0, 2)
    noise = generator.normal(size=(2, rows, 3))
    return y, softmax(truth + 0.7 * noise[0], axis=1), softmax(truth + _blur(gap) * noise[1], axis=1)


@functools.cache
def _blur(gap: float) -> float:
    if gap == 0:
        return 0.7
    generator = np.random.default_rng(8)
    truth = np.array([1.0, 0.5, -1.5]) + generator.normal(size=(1_000_000, 3))
    noise, share = generator.normal(size=truth.shape), softmax(truth, axis=1)

    def loss(more: float) -> float:
        return float(-(share * np.log(softmax(truth + more * noise, axis=1))).sum(axis=1).mean())

    start = loss(0.7)
    return float(brentq(lambda more: loss(more) - start - gap, 0.7, 5, xtol=1e-5))


def _family(name: str, metric: str, margin: float, make: Any, *, kept_aside: bool = False, **options: Any) -> Family:
    return Family(name, metric, margin, functools.partial(make, **options), kept_aside)


FAMILIES = (
    _family("balanced", "roc_auc", 0.02, binormal, positives=0.3, area=0.75, rho=0.8),
    _family("rare class (5%)", "roc_auc", 0.02, binormal, positives=0.05, area=0.8, rho=0.8),
    _family("ties", "roc_auc", 0.02, binormal, positives=0.2, area=0.7, rho=0.6, step=1.0),
    _family("skewed, hardly correlated", "roc_auc", 0.03, exponential_scores, kept_aside=True, positives=0.1, area=0.8),
    _family("rare class, alike models", "roc_auc", 0.01, binormal, kept_aside=True, positives=0.08, area=0.9, rho=0.97),
    _family("two classes", "accuracy", 0.02, flips, both=0.06, alone=0.04),
    _family("nearly perfect", "accuracy", 0.005, flips, both=0.005, alone=0.003),
    _family("five classes", "accuracy", 0.02, flips, kept_aside=True, both=0.2, alone=0.1, classes=5),
    _family("alike models", "accuracy", 0.01, flips, kept_aside=True, both=0.1, alone=0.002),
    _family("normal errors", "rmse", 0.03, errors, draw=_normal, root=1.0, rho=0.7),
    _family("Student-t (5) errors", "rmse", 0.03, errors, draw=_student(5), root=1.0, rho=0.5),
    _family("Laplace errors", "rmse", 0.02, errors, kept_aside=True, draw=_laplace, root=1.0, rho=0.8),
    _family("2% large errors", "rmse", 0.05, errors, kept_aside=True, draw=_contaminated, root=1.0, rho=0.3),
    _family("calibrated", "log_loss", 0.02, logits, base=0.0, noise=0.5, sharp=0.9, rho=0.5),
    _family("overconfident", "log_loss", 0.03, logits, base=-2.0, noise=0.7, sharp=2.0, rho=0.5),
    _family("rare class", "log_loss", 0.01, logits, kept_aside=True, base=-4.0, noise=0.6, sharp=1.3, rho=0.3),
    _family("three classes", "log_loss", 0.02, three_classes, kept_aside=True),
)
