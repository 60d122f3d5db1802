"""Has P(y|x) changed? Change detectors on the stream of a model's errors, by river. The only module that imports it.

A detector says where the error rate may have changed; whether it went up, really and materially, is then judged by the
batch test of `performance` on the losses before and after. So an improvement is no alarm, and neither is a change that
nobody would notice. Detectors: ADWIN (Bifet and Gavalda 2007; few false alarms, the default), KSWIN (Raab et al. 2020),
Page-Hinkley (Page 1954), DDM (Gama et al. 2004; for errors of 0 and 1).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.drift.losses import MIN_ROWS, as_losses, performance
from retrain.exceptions import DataError, DeclarationError, MissingDependencyError
from retrain.records import PerformanceStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

# Alarms closer together than this many rows are one: detectors fire several times over one change.
QUIET = 200
# The place of a change is chosen from the data, which makes any difference look larger: the test is that much stricter.
CHOSEN = 20


@dataclass(frozen=True)
class ConceptVerdict:
    """What a stream of losses says. `changes` are the rows at which a rise was noticed (after it began).

    `before` and `after` are the mean losses on both sides of the last one; without a change all losses are `before`.
    """

    status: PerformanceStatus
    detector: str
    changes: tuple[int, ...]
    before: float | None
    after: float | None
    reason: str


def concept(losses: "ArrayLike", *, detector: str = "adwin", confidence: float = 0.99) -> ConceptVerdict:
    """Look for a rise in a stream of losses in order of time: `ok`, `decay` or `inconclusive` (fewer than 60 rows).

    Losses are 1-d, one number per labelled row, lower is better. `detector` is adwin, kswin, page_hinkley or ddm (0/1
    losses only). A detected change counts where `performance` finds the losses after it worse than those before, at
    `confidence` and by its floor. Raises MissingDependencyError without river.
    """
    import numpy as np

    stream = as_losses(losses, "stream of")
    if detector not in _DETECTORS:
        raise DeclarationError(f"there is no detector {detector!r}", expected=" or ".join(_DETECTORS))
    if detector == "ddm" and not np.isin(stream, (0.0, 1.0)).all():
        raise DataError("DDM takes errors of 0 and 1", expected="losses that are all 0 or 1", remedy="use adwin")
    if len(stream) < 2 * MIN_ROWS:
        reason = f"{len(stream):,} labelled rows: at least {2 * MIN_ROWS} are needed"
        return ConceptVerdict(PerformanceStatus.INCONCLUSIVE, detector, (), None, None, reason)
    rises = _rises(stream, _noticed(stream, detector), 1 - (1 - confidence) / CHOSEN)
    if not rises:
        reason = f"{detector} finds no rise in {len(stream):,} losses"
        return ConceptVerdict(PerformanceStatus.OK, detector, (), float(stream.mean()), None, reason)
    last = rises[-1]
    where = f"near row {last.began:,} (noticed at {last.noticed:,} by {detector})"
    reason = f"the mean loss rose from {last.before:.4g} to {last.after:.4g} {where}"
    noticed = tuple(rise.noticed for rise in rises)
    return ConceptVerdict(PerformanceStatus.DECAY, detector, noticed, last.before, last.after, reason)


@dataclass(frozen=True)
class _Rise:
    noticed: int
    began: int
    before: float
    after: float


def _rises(stream: "Floats", alarms: list[tuple[int, int]], confidence: float) -> list[_Rise]:
    """Judge what lies between one alarm and the next against the state before; keep the real and material rises.

    An improvement becomes the state that what follows is held against; what is neither joins the state before.
    """
    found: list[_Rise] = []
    start = 0
    ends = [*(began for _, began in alarms), len(stream)][1:]
    for (noticed, began), end in zip(alarms, ends, strict=True):
        before, after = stream[start:began], stream[began:end]
        if min(len(before), len(after)) < MIN_ROWS:
            continue
        verdict = performance(before, after, confidence=confidence)
        if verdict.status is PerformanceStatus.DECAY:
            found.append(_Rise(noticed, began, float(before.mean()), float(after.mean())))
        better = verdict.p_value is not None and verdict.p_value > confidence
        if verdict.status is PerformanceStatus.DECAY or better:
            start = began
    return found


def _noticed(stream: "Floats", detector: str) -> list[tuple[int, int]]:
    """Return (row of the alarm, row where the change probably began) for each alarm after a quiet time."""
    found: list[tuple[int, int]] = []
    watch = _DETECTORS[detector]()
    since, quiet_until = 0, -1
    for row, loss in enumerate(stream.tolist()):
        watch.update(loss)
        if watch.drift_detected and row > quiet_until:
            found.append((row, _began(stream, since, row)))
            since, quiet_until = found[-1][1], row + QUIET
    return found


def _began(stream: "Floats", start: int, end: int) -> int:
    """Return where the mean changed most between `start` and `end` (the maximum of the CUSUM)."""
    import numpy as np

    part = stream[start : end + 1]
    rows = np.arange(1, len(part))
    sums = np.cumsum(part)[:-1]
    balance = np.abs(sums - part.mean() * rows) / np.sqrt(rows * (len(part) - rows))
    return start + int(rows[int(np.argmax(balance))]) if len(balance) else end


def _river() -> Any:
    try:
        from river import drift
    except ImportError as error:
        raise MissingDependencyError(
            f"concept drift needs river ({error})", remedy="install airflow-provider-retrain[drift]"
        ) from error
    return drift


def _ddm() -> Any:
    _river()
    from river.drift.binary import DDM

    return DDM()


_DETECTORS: Mapping[str, Callable[[], Any]] = {
    "adwin": lambda: _river().ADWIN(),
    "kswin": lambda: _river().KSWIN(alpha=0.001, window_size=300, stat_size=100, seed=0),
    "page_hinkley": lambda: _river().PageHinkley(mode="up"),
    "ddm": _ddm,
}
