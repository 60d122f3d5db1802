"""From an estimate to pass, fail or inconclusive, with the reasons in plain words.

With confidence 0.95 the rules are:

- non_inferior passes when the 95% interval of the difference lies above -margin, so that a challenger worse by exactly
  one margin passes in at most 2.5% of cases, and when a loss of three margins is excluded at 99%, which binds only
  where the interval is many margins wide. It fails when the challenger is worse than the champion at 99% one-sided,
  also within the margin: a significantly worse model is never promoted, and an equally good one fails in at most 1%.
- superior passes when the interval lies above +margin, and fails when a gain of the margin is excluded at 99%.
- anything else is inconclusive.

Another confidence moves the 99% too: the stricter level leaves one fifth of the risk.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from numbers import Real
from typing import TYPE_CHECKING

from retrain.exceptions import ConfigurationError
from retrain.records import GateStatus

if TYPE_CHECKING:
    from retrain.evaluation.metrics import Metric
    from retrain.evaluation.paired import Estimate

GRAVE_MARGINS = 3
STRICTER = 5
# `rows_needed` is for this chance of a clear outcome, should the difference stay as it was seen: the normal quantile.
POWER_80 = 0.8416
# Beyond this, "more rows" is no advice.
MOST_ROWS = 10**9


class GateRule(StrEnum):
    """What the challenger has to show."""

    NON_INFERIOR = "non_inferior"
    SUPERIOR = "superior"


@dataclass(frozen=True)
class Question:
    """The gate's declared terms; refuses those that mean nothing."""

    metric: "Metric"
    margin: float
    rule: GateRule
    confidence: float
    against: str = "the champion"

    @classmethod
    def of(cls, metric: "Metric", margin: float, rule: str, confidence: float) -> "Question":
        """Check the terms and return them."""
        if rule not in list(GateRule):
            raise ConfigurationError(f"rule is {rule!r}", expected="non_inferior | superior")
        if not is_number(margin) or margin < 0:
            raise ConfigurationError(
                f"margin is {margin!r}",
                expected="a number >= 0, in units of the metric",
                remedy="Name the largest loss that you would accept",
            )
        if not is_number(confidence) or not 0.5 < confidence < 1:
            raise ConfigurationError(
                f"confidence is {confidence!r}", expected="a number between 0.5 and 1, such as 0.95"
            )
        return cls(metric, float(margin), GateRule(rule), float(confidence))

    @property
    def two_sided(self) -> float:
        """Return the one-sided level of each end of the confidence interval."""
        return (1 + self.confidence) / 2

    @property
    def strict(self) -> float:
        """Return the one-sided level at which a harm counts as shown."""
        return 1 - (1 - self.confidence) / STRICTER


@dataclass(frozen=True)
class Outcome:
    """A status with its reasons."""

    status: GateStatus
    reasons: tuple[str, ...]
    rows_needed: int | None = None


def apply(estimate: "Estimate", question: Question) -> Outcome:
    """Apply the rule to the estimate."""
    facts = describe(estimate, question)
    rule = _non_inferior if question.rule is GateRule.NON_INFERIOR else _superior
    status, reason = rule(estimate, question)
    if status is not GateStatus.INCONCLUSIVE:
        return Outcome(status, (facts, reason))
    needed = rows_needed(estimate, question)
    advice = (
        "no number of rows is likely to settle a difference this close to the limit"
        if needed is None
        else f"about {needed:,} rows in all ({needed - estimate.rows:,} more) would settle it, four times out of five, "
        "if the difference stays as it is"
    )
    return Outcome(status, (facts, reason, advice), needed)


def describe(estimate: "Estimate", question: Question) -> str:
    """Say both values, the difference and its interval."""
    low, high = estimate.interval(question.confidence)
    better = "" if question.metric.greater_is_better else " (lower is better; a positive difference is an improvement)"
    return (
        f"{question.metric.name} {estimate.challenger:.4g} against {estimate.champion:.4g} of {question.against} on "
        f"the same {estimate.rows:,} rows: {estimate.difference:+.4g}, {_percent(question.confidence)} interval "
        f"[{low:+.4g}, {high:+.4g}] ({estimate.test}){better}"
    )


def _non_inferior(estimate: "Estimate", question: Question) -> tuple[GateStatus, str]:
    low, high = estimate.interval(question.confidence)
    margin, strict = question.margin, question.strict
    if estimate.upper(strict) < 0:
        size = "although within" if low > -margin else "and perhaps by more than"
        if estimate.upper(strict) < -margin:
            size = "and by more than"
        return (
            GateStatus.FAIL,
            f"significantly worse than {question.against} (at {_percent(strict)}), {size} the margin {margin:.4g}",
        )
    if high < 0:
        return (
            GateStatus.INCONCLUSIVE,
            f"the whole interval lies below 0: probably worse than {question.against}, not yet at {_percent(strict)}",
        )
    if low <= -margin:
        return (
            GateStatus.INCONCLUSIVE,
            f"a loss of the margin {margin:.4g} is not excluded: the interval reaches {low:+.4g}",
        )
    grave = estimate.lower(strict)
    if margin > 0 and grave <= -GRAVE_MARGINS * margin:
        return (
            GateStatus.INCONCLUSIVE,
            f"the rows are too few for a margin of {margin:.4g}: a loss of three margins is not excluded at "
            f"{_percent(strict)} ({grave:+.4g})",
        )
    return GateStatus.PASS, f"not worse by the margin: the whole interval lies above {-margin:+.4g}"


def _superior(estimate: "Estimate", question: Question) -> tuple[GateStatus, str]:
    low, _ = estimate.interval(question.confidence)
    margin, strict = question.margin, question.strict
    goal = f"better than {question.against}" + (f" by the margin {margin:.4g}" if margin else "")
    if low > margin:
        return GateStatus.PASS, f"{goal}: the whole interval lies above {margin:+.4g}"
    if estimate.upper(strict) < margin:
        return GateStatus.FAIL, f"not {goal}: that is excluded at {_percent(strict)}"
    return GateStatus.INCONCLUSIVE, f"not shown to be {goal}: the interval begins at {low:+.4g}"


def rows_needed(estimate: "Estimate", question: Question) -> int | None:
    """Say how many rows in all would likely settle it, if the difference stays; None beyond a billion."""
    d, margin = estimate.difference, question.margin
    wide, strict = (
        estimate.reach(level) + POWER_80 * estimate.error for level in (question.two_sided, question.strict)
    )
    if question.rule is GateRule.SUPERIOR:
        ways = [_ratio(wide, d - margin), _ratio(strict, margin - d)]
    else:
        passes = math.inf
        if estimate.interval(question.confidence)[1] >= 0:
            grave = _ratio(strict, d + GRAVE_MARGINS * margin) if margin else 0.0
            passes = max(_ratio(wide, d + margin), grave)
        ways = [passes, _ratio(strict, -d)]
    rows = estimate.rows * min(ways) ** 2
    return None if rows > MOST_ROWS else max(math.ceil(rows), estimate.rows + 1)


def is_number(value: object) -> bool:
    """Say whether it is a finite number; text that looks like one is not."""
    return isinstance(value, Real) and math.isfinite(value)


def _percent(level: float) -> str:
    digits = max(4, 2 - math.floor(math.log10(1 - level)))  # 99.9999% is not 100%
    return f"{100 * level:.{digits}g}%"


def _ratio(reach: float, gap: float) -> float:
    return reach / gap if gap > 0 else math.inf
