"""Faults of a batch as a whole: what is missing, of another type, without a single usable value, or there twice."""

from collections.abc import Sequence

from retrain.drift.duplicates import excess
from retrain.drift.profiles import MIXED, ColumnProfile, Kind, Profile
from retrain.drift.tables import level_name
from retrain.records import Check, CheckLevel

# Chance, on an unchanged column, that so uniform a batch comes up all the same.
_IMPLAUSIBLE = 1e-4
# One row says nothing about a column; that a handful of rows are alike may be one record sent several times.
_FEWEST = 2
_FEWEST_CONSTANT = 10
_USABLE = {"all_missing": "there", "all_infinite": "finite"}


def schema_checks(reference: Profile, current: Profile) -> list[Check]:
    """Name what is wrong with the table as a whole and with each column's presence, type and values."""
    found = []
    if current.rows == 0:
        found.append(Check("empty_batch", None, f"the current data has no rows; the reference has {reference.rows:,}"))
    for name in dict.fromkeys([*reference.columns, *reference.absent, *current.absent]):
        check = _column(name, reference.columns.get(name), current.columns.get(name))
        if check:
            found.append(check)
    return found


def extra_columns(reference: Profile, current: Profile) -> list[Check]:
    """Name the columns that the reference does not have: worth knowing, and no alarm."""
    return [
        Check("extra_column", name, f"{name} is not in the reference: recorded, not judged", CheckLevel.WARNING)
        for name in current.columns
        if name not in reference.columns
    ]


def duplicates(reference: Profile, current: Profile, past: Sequence[Profile], floor: float) -> list[Check]:
    """Name a surge of rows that repeat others whole, beyond `floor` and what reference or past partitions explain.

    Only where reference and current rows were compared in the same columns.
    """
    if not (reference.duplicates and current.duplicates and reference.duplicates.columns == current.duplicates.columns):
        return []
    tables = [(one.duplicates, one.rows) for one in (reference, *past)]
    known = [(found, rows) for found, rows in tables if found and found.columns == current.duplicates.columns]
    beyond = excess(known, current.duplicates, current.rows)
    if beyond < floor:
        return []
    share = current.duplicates.rows / current.rows
    return [Check("duplicates", None, f"{share:.1%} of the rows repeat others whole, {beyond:+.1%} on the reference")]


def _column(name: str, reference: ColumnProfile | None, current: ColumnProfile | None) -> Check | None:
    if current is None:
        there = "and was in the reference" if reference else "nor in the reference, though it was asked for"
        return Check("missing_column", name, f"{name} is not in the current data, {there}")
    if reference is None or current.rows == 0:
        return None
    if reference.family == MIXED:
        return _unusable(reference, current)
    return _unusable(reference, current) or _retyped(reference, current) or _constant(reference, current)


def _unusable(reference: ColumnProfile, current: ColumnProfile) -> Check | None:
    if current.values or current.rows < _FEWEST:
        return None
    check, hits, before = "all_missing", current.nulls, reference.nulls
    if current.infinite:
        check, hits, before = "all_infinite", current.infinite, reference.infinite
    if ((before + 1) / (reference.rows + 1)) ** hits >= _IMPLAUSIBLE:
        return None
    share = before / max(1, reference.rows)
    return Check(check, current.name, f"no value of {current.name} is {_USABLE[check]}; {1 - share:.1%} were before")


def _retyped(reference: ColumnProfile, current: ColumnProfile) -> Check | None:
    name = current.name
    if Kind.EMPTY in (reference.kind, current.kind) or not (
        reference.rows > reference.nulls and current.rows > current.nulls
    ):
        return None
    if reference.family != current.family:
        what = f"{name} was {reference.family} ({reference.dtype}) and is {current.family} ({current.dtype})"
        return Check("retyped_column", name, what)
    levels = (Kind.CATEGORICAL, Kind.TEXT)
    if reference.kind is not current.kind and not (reference.kind in levels and current.kind in levels):
        kinds = f"{name} was profiled as {reference.kind} and is {current.kind}"
        what = f"{kinds}: profile both with the same `categorical`"
        return Check("retyped_column", name, what)
    return None


def _constant(reference: ColumnProfile, current: ColumnProfile) -> Check | None:
    """One value throughout, where the reference has several and it is not that value nearly always."""
    if current.values < _FEWEST_CONSTANT or current.distinct != 1 or reference.distinct < 2:
        return None
    if current.private or reference.private:
        return None
    if current.kind is Kind.NUMERIC and current.minimum is not None:
        value = level_name(current.minimum, "number")
        rows_before = dict(zip(reference.sketch.values, reference.sketch.at, strict=True))
        before = rows_before.get(float(current.minimum), 0)
    elif current.counts:
        value = next(iter(current.counts))
        before = reference.counts.get(value, 0)
    else:
        return None
    share = (before + 1) / (reference.values + 1)
    if share**current.values >= _IMPLAUSIBLE:
        return None
    return Check("constant_column", current.name, f"every value of {current.name} is {value}; {share:.1%} were before")
