"""What a model answered, judged: its shape, finite numbers, the same answers as before, the champion's replayed."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError
from retrain.serving.verdict import Limits, ServingCheck, failed, passed

if TYPE_CHECKING:
    import pandas as pd

Table = Mapping[str, Any]


def judge_schema(name: str, table: Table, rows: int | None, declared: Sequence[str] | None) -> ServingCheck:
    """Check that there is one answer per row, with the columns that the signature declares."""
    have = list(table["columns"])
    if rows is not None and len(table["rows"]) != rows:
        return failed("schema", f"{rows} rows of the {name} got {len(table['rows'])} answers")
    if declared is not None and have != list(declared):
        return failed(
            "schema", f"the answers to the {name} have the columns {have}; the signature says {list(declared)}"
        )
    return passed("schema", f"{len(table['rows'])} answers to the {name} with the columns {have}")


def judge_finite(name: str, table: Table) -> ServingCheck:
    """Check that no answer is missing, NaN or infinite."""
    bad = [row for row in table["rows"] if any(_is_bad(value) for value in row)]
    if bad:
        said = f"{len(bad)} of {len(table['rows'])} answers to the {name} are NaN, infinite or missing"
        return failed("finite", said, value=float(len(bad)), limit=0.0)
    return passed("finite", f"all answers to the {name} are finite", value=0.0, limit=0.0)


def judge_same(table: Table, expected: "pd.DataFrame", limits: Limits) -> ServingCheck:
    """Check that the model answers the requests as it did where it was evaluated."""
    changed, difference = compare(table, expected, limits.tolerance)
    said = (
        f"{changed:.2%} of the answers differ from those of the evaluation, the scores by {difference:.4g} on average"
    )
    if changed > 0 or difference > limits.tolerance:
        return failed("same answers", said, value=max(changed, difference), limit=limits.tolerance)
    return passed("same answers", "the answers are those of the evaluation", value=difference, limit=limits.tolerance)


def judge_replay(table: Table, champion: "pd.DataFrame", limits: Limits) -> ServingCheck:
    """Measure the difference from the champion's answers to the same requests, and hold it to the limits."""
    changed, difference = compare(table, champion, limits.tolerance)
    said = f"{changed:.2%} of the champion's answers change, the scores by {difference:.4g} on average"
    bounds = ((changed, limits.changed_share, "a share"), (difference, limits.score_difference, "a score difference"))
    for value, limit, what in bounds:
        if limit is not None and value > limit:
            return failed("champion replay", f"{said}; {what} of {limit:.4g} is allowed", value=value, limit=limit)
    return passed("champion replay", said, value=changed, limit=limits.changed_share)


def compare(table: Table, other: "pd.DataFrame", tolerance: float) -> tuple[float, float]:
    """Return the share of rows whose prediction differs, and the mean absolute difference of the scores.

    The first common column is the prediction (`prediction`, if there is one); further numeric ones are scores. Where
    there are none, the prediction's own difference counts, if it is a number. DataError when rows or columns do not
    fit.
    """
    common = [name for name in table["columns"] if name in other.columns]
    if len(other) != len(table["rows"]) or not common:
        raise DataError(
            f"{len(table['rows'])} answers with the columns {list(table['columns'])} cannot be compared with "
            f"{len(other)} rows of {[str(name) for name in other.columns]}",
            expected="recorded answers to the very requests, with the model's output columns",
        )
    first = "prediction" if "prediction" in common else common[0]
    mine = _column(table, first)
    theirs = other[first].tolist()
    changed = sum(not _equal(one, two, tolerance) for one, two in zip(mine, theirs, strict=True))
    gaps: list[float] = []
    for name in [name for name in common if name != first] or [first]:
        pairs = zip(_column(table, name), other[name].tolist(), strict=True)
        gaps += [abs(float(one) - float(two)) for one, two in pairs if _is_number(one) and _is_number(two)]
    share = changed / len(mine) if mine else 0.0
    return share, sum(gaps) / len(gaps) if gaps else 0.0


def _column(table: Table, name: str) -> list[Any]:
    index = list(table["columns"]).index(name)
    return [row[index] for row in table["rows"]]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_bad(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _equal(one: Any, two: Any, tolerance: float) -> bool:
    if _is_number(one) and _is_number(two):
        return math.isclose(one, two, rel_tol=tolerance, abs_tol=tolerance)
    return bool(one == two) or str(one) == str(two)
