"""Verdicts in plain words."""

from collections.abc import Sequence

from retrain.drift.evidence import Evidence
from retrain.drift.profiles import MIXED, ColumnProfile, Kind, Profile
from retrain.records import CheckLevel, DriftStatus, DriftVerdict

NAMED_DRIVERS = 5

_PHRASES = {
    "location": "shifted by {effect:+.2f} standard deviations",
    "scale": "spread changed by {effect:+.2f} (squared scores; + is wider)",
    "ks_d": "distribution differs by KS D={effect:.3f}",
    "total_variation": "{effect:.1%} of the rows would have to change category",
    "missing_share": "{effect:+.1%} of the rows missing",
    "infinite_share": "{effect:+.1%} of the rows infinite",
    "outlier_share": "{effect:+.1%} of the rows beyond the reference's outer 0.5% on either side",
    "range_share": "{effect:.1%} of the rows three times as far from the reference's median as its extreme",
    "beyond_share": "{effect:.1%} of the rows beyond all values that the reference held",
    "unknown_share": "{effect:.1%} more rows than expected with categories the reference never showed",
}
_PHRASES_OF_PAIRS = {
    "correlation": "correlation of {label} changed by {effect:+.2f}",
    "segment": "{label} moved by {effect:+.2f} standard deviations against the other rows",
    "domain_classifier": "a classifier tells the two sides apart by how {label} go together ({effect:+.2f} AUC)",
    "association": "association of {label} changed by {effect:+.2f}",
}
_NOT_JUDGED = {
    Kind.DATETIME: "a datetime (or a span of time) differs from batch to batch by its nature: recorded, not judged",
    Kind.TEXT: "too many different values to compare (identifiers or text): recorded, not judged",
    Kind.EMPTY: "there is no value in the reference: recorded, not judged",
}


def reason(item: Evidence, *, alarmed: bool) -> str:
    """Say what one test found and why it does or does not count."""
    phrases = _PHRASES_OF_PAIRS if item.partner else _PHRASES
    phrase = phrases[item.test if item.partner else item.measure].format(effect=item.effect, label=item.label)
    if item.size < item.floor:
        why = f"below the floor of {item.floor:g}"
    elif alarmed:
        why = f"floor {item.floor:g}"
    else:
        why = "no more than chance over so many tests"
    p_values = f"{item.test} p={item.p_value:.2g}, adjusted {item.adjusted:.2g}"
    return f"{phrase} ({p_values}; {why}{item.note})"


def not_judged(column: ColumnProfile) -> str:
    """Say why a column has no test."""
    if column.private:
        return "declared private, so no value was kept: only its type and missing values are judged"
    if column.family == MIXED:
        return f"of different types in the parts of the reference ({column.dtype}): recorded, not judged"
    return _NOT_JUDGED.get(column.kind, "no value on one of the sides: recorded, not judged")


def summary(verdict: DriftVerdict, reference: Profile) -> str:
    """Return one paragraph on the whole table."""
    rows = f"{_rows(verdict.current_rows)} against a reference of {verdict.reference_rows:,}"
    extra = [check.column for check in verdict.checks if check.name == "extra_column" and check.column]
    new = f" Not in the reference, and not judged: {_listing(extra)}." if extra else ""
    if verdict.status is DriftStatus.INCONCLUSIVE:
        return f"Too few rows to judge: {rows}. At least {verdict.rows_needed:,} are needed on either side.{new}"
    tested = sum(1 for column in verdict.columns.values() if column.test or column.status is DriftStatus.DRIFT)
    if verdict.status is DriftStatus.OK:
        return _no_drift(rows, tested) + new
    severity = f", severity {verdict.severity}" if verdict.severity else ""
    shape = f", {verdict.shape}" if verdict.shape else ""
    parts = [f"Drift of {' and '.join(verdict.kinds) or 'the table'}{severity}{shape}: {rows}."]
    if any(check.level is CheckLevel.FAULT for check in verdict.checks):
        named = [f"{one.name} ({one.column or 'table'})" for one in verdict.checks if one.level is CheckLevel.FAULT]
        parts.append(f"Failed checks: {_listing(named)}.")
    shown = verdict.drivers[:NAMED_DRIVERS]
    parts += [f"{name} ({reference.role(name)}): {verdict.columns[name].reason}." for name in shown]
    if len(verdict.drivers) > len(shown):
        parts.append(f"Also drifted: {_listing(verdict.drivers[len(shown) :])}.")
    if verdict.drivers:
        parts.append(f"{len(verdict.drivers)} of {tested} judged columns drifted.")
    return " ".join(parts) + new


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _no_drift(rows: str, tested: int) -> str:
    if not tested:
        return f"No fault: {rows}. No column has values to compare (times, identifiers, private or empty ones)."
    if tested == 1:
        return f"No drift: in {rows}, the one judged column does not differ both really and materially."
    return f"No drift: in {rows}, none of the {tested} judged columns differs both really and materially."


def _listing(items: Sequence[str]) -> str:
    head = ", ".join(items[:10])
    return head if len(items) <= 10 else f"{head} and {len(items) - 10} more"
