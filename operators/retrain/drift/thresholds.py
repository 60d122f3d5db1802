"""How large a difference must be to matter, and how sure one must be that it is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from retrain.drift.effects import MEASURES
from retrain.exceptions import DeclarationError


@dataclass(frozen=True)
class Thresholds:
    """Limits of `compare`. An alarm needs both: significance over the whole table, and an effect above its floor.

    `alpha` bounds the chance of any alarm on a table that did not change; with fewer than 1,000 rows on a side less
    of it is spent (`at`), since the floors protect small tables least. The floors: `location` is a shift in
    standard deviations and `scale` the same for squared scores (both of normal scores, so an outlier weighs little;
    0.1 is a variance 1.15 times as large), `ks_d` the largest distance of the two distribution functions (what is
    left of it, where moving values by half of `location` mends most), `total_variation` the share of rows whose
    category would have to change. `missing_share`, `infinite_share`, `outlier_share`, `range_share`,
    `unknown_share`, `beyond_share` (beyond all that the reference held) and `duplicate_share` are additional shares
    of rows. `effects` names measures of `retrain.drift.effects` with limits (`{"psi": 0.2}`): then a column alarms
    where the difference is significant and one of them reaches its limit, in place of the floors above; a column
    that has none of them keeps the floors. With fewer than `min_rows` rows on either side nothing but the schema is
    judged: below 50 even a shift of half a standard deviation would go unseen.
    """

    alpha: float = 0.04
    location: float = 0.14
    scale: float = 0.1
    ks_d: float = 0.08
    total_variation: float = 0.05
    missing_share: float = 0.03
    infinite_share: float = 0.005
    outlier_share: float = 0.02
    range_share: float = 0.005
    unknown_share: float = 0.003
    dependence: float = 0.15
    segment: float = 0.3
    classifier: float = 0.05
    beyond_share: float = 0.005
    duplicate_share: float = 0.01
    min_rows: int = 50
    effects: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise DeclarationError(f"alpha is {self.alpha}", expected="a number above 0 and below 1")
        if self.min_rows < 2:
            raise DeclarationError(f"min_rows is {self.min_rows}", expected="at least 2")
        if unknown := sorted(set(self.effects) - set(MEASURES)):
            raise DeclarationError(f"effects names {unknown}", expected=f"some of {list(MEASURES)}")
        if low := {name: limit for name, limit in self.effects.items() if not limit > 0}:
            raise DeclarationError(f"effects has the limits {low}", expected="numbers above 0")

    def at(self, rows: int) -> "Thresholds":
        """Return what holds where the smaller side has `rows` rows: all of `alpha` from 1,000 on.

        Below it is in proportion, and 0.55 of it for the smallest: there a difference that is barely significant is
        above its floor by itself, so that nothing but `alpha` stands against false alarms.
        """
        return replace(self, alpha=self.alpha * min(1.0, max(0.55, rows / 1000)))
