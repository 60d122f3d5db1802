"""From a frame and a suite to failures: the guards, then Great Expectations, then a plain sentence for each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from retrain.exceptions import SuiteError
from retrain.records import ExpectationFailure, Severity
from retrain.validation import guards, gx
from retrain.validation.suites import Expectation, Suite

if TYPE_CHECKING:
    import pandas as pd


_SUBJECT = ("column", "column_A", "column_B", "column_list")


@dataclass(frozen=True)
class Findings:
    """What does not hold. `table_level` are critical failures that setting rows aside cannot repair.

    `broken` maps the position of a row to the critical expectations that it breaks; `results` is one plain dict per
    expectation, without any value of the data.
    """

    failures: tuple[ExpectationFailure, ...] = ()
    table_level: bool = False
    broken: Mapping[int, Sequence[str]] = field(default_factory=dict)
    results: tuple[Mapping[str, Any], ...] = ()


def evaluate(frame: "pd.DataFrame", suite: Suite, built: Sequence[Any]) -> Findings:
    """Evaluate a suite on a frame that has rows; `built` are its expectations as `gx.build` made them.

    A column that is missing, or whose type an expectation cannot be evaluated on, is schema skew: a critical
    failure whatever the severity of the expectation. Any other crash is a SuiteError: it could not be checked.
    """
    blank = guards.has_values(frame, suite.expectations)
    outcomes: dict[int, gx.Outcome] = {}
    to_run = []
    for i, one in enumerate(suite.expectations):
        if absent := [name for name in one.columns if name not in frame.columns]:
            outcomes[i] = gx.Outcome(
                False, False, crash="missing_column", message=f"the column {absent[0]!r} is missing"
            )
        elif not guards.obstructed(one, blank):
            to_run.append(i)
    outcomes.update(zip(to_run, gx.run(frame, [built[i] for i in to_run]), strict=True))
    outcomes.update(_with_positions(frame, suite, built, outcomes))
    failures, table_level = list(blank), any(one.severity is Severity.CRITICAL for one in blank)
    for i, outcome in sorted(outcomes.items()):
        if not outcome.success:
            failures.append(_failure(suite, i, outcome, frame))
            table_level |= failures[-1].severity is Severity.CRITICAL and not outcome.about_rows
    results = tuple(_result(one, outcomes.get(i)) for i, one in enumerate(suite.expectations))
    return Findings(tuple(failures), table_level, _broken(suite, outcomes), results)


def _with_positions(
    frame: "pd.DataFrame", suite: Suite, built: Sequence[Any], outcomes: Mapping[int, gx.Outcome]
) -> dict[int, gx.Outcome]:
    """Ask again for the rows that break critical expectations; a second pass, but only over what has failed."""
    wanted = [
        i
        for i, outcome in sorted(outcomes.items())
        if not outcome.success and outcome.about_rows and suite.expectations[i].severity is Severity.CRITICAL
    ]
    again = gx.run(frame, [built[i] for i in wanted], positions=True)
    # Where no row can be named for a failure, no row can be set aside for it either.
    return {i: replace(outcome, about_rows=bool(outcome.rows)) for i, outcome in zip(wanted, again, strict=True)}


def _broken(suite: Suite, outcomes: Mapping[int, gx.Outcome]) -> dict[int, list[str]]:
    broken: dict[int, list[str]] = {}
    for i, outcome in sorted(outcomes.items()):
        one = suite.expectations[i]
        label = f"{one.type}({one.subject})" if one.subject else one.type
        for position in outcome.rows:
            broken.setdefault(position, []).append(label)
    return broken


def _failure(suite: Suite, position: int, outcome: gx.Outcome, frame: "pd.DataFrame") -> ExpectationFailure:
    one = suite.expectations[position]
    if outcome.crash == "missing_column":
        return ExpectationFailure(one.type, one.subject, Severity.CRITICAL, reason=outcome.message)
    if outcome.crash == "wrong_type":
        types = ", ".join(f"{name} is {frame[name].dtype}" for name in one.columns)
        reason = f"it cannot be evaluated on columns of these types: {types}"
        return ExpectationFailure(one.type, one.subject, Severity.CRITICAL, reason=reason)
    if outcome.crash:
        raise SuiteError(
            f"{suite.source}, expectation {position} ({one.type} on {one.subject or 'the table'}) "
            f"could not be evaluated: {outcome.message}",
            expected="an expectation that Great Expectations can evaluate on a pandas frame",
            remedy="Correct its kwargs",
        )
    count = outcome.result.get("unexpected_count") if outcome.about_rows else None
    return ExpectationFailure(one.type, one.subject, one.severity, count, _reason(one, outcome, frame))


def _reason(one: Expectation, outcome: gx.Outcome, frame: "pd.DataFrame") -> str:
    demanded_columns = one.kwargs.get("column_set", one.kwargs.get("column_list"))
    if one.type.startswith("expect_table_columns_") and isinstance(demanded_columns, list | tuple | set):
        missing = [name for name in demanded_columns if name not in frame.columns]
        extra = [str(name) for name in frame.columns if name not in demanded_columns]
        return f"missing columns {missing}, extra columns {extra}" + ("" if missing or extra else ": another order")
    arguments = {name: value for name, value in one.kwargs.items() if name not in _SUBJECT}
    demanded = f", demanded {json.dumps(arguments, default=str)[:200]}" if arguments else ""
    rows, count = outcome.result.get("element_count"), outcome.result.get("unexpected_count")
    if outcome.about_rows and rows and count is not None:
        return f"{count:,} of {rows:,} rows break it ({count / rows:.2%}){demanded}"
    observed = outcome.result.get("observed_value")
    if "type" in one.type and not one.type.startswith("expect_table_") and one.kwargs.get("column") in frame.columns:
        return f"the column is {frame[one.kwargs['column']].dtype}{demanded}"
    return (f"observed {observed:.6g}" if observed is not None else "it does not hold") + demanded


def _result(one: Expectation, outcome: gx.Outcome | None) -> dict[str, Any]:
    document = {"type": one.type, "kwargs": dict(one.kwargs), "severity": one.severity.value}
    if outcome is None:
        return {**document, "success": False, "skipped": "every value of its column is null"}
    return {**document, "success": outcome.success, "crash": outcome.crash, "result": dict(outcome.result)}
