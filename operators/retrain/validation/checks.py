"""From rows and a suite to failures: the guards, then Great Expectations group by group."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from retrain.records import ExpectationFailure, Severity
from retrain.validation import guards, gx, plan, wording
from retrain.validation.broken import Broken, mark
from retrain.validation.rows import Rows
from retrain.validation.suites import Suite

if TYPE_CHECKING:
    import numpy as np

# Each group costs Great Expectations some milliseconds, whatever the number of rows: few rows are evaluated in one.
ONE_PASS_ROWS = 50_000


@dataclass(frozen=True)
class Findings:
    """What does not hold. `table_level` are critical failures that setting rows aside cannot repair.

    `broken` is which rows break critical expectations, and `broken_rows` how many (None where nobody can say);
    `results` is one plain dict per expectation, without any value of the data.
    """

    failures: tuple[ExpectationFailure, ...] = ()
    table_level: bool = False
    broken: Broken | None = None
    broken_rows: int | None = 0
    results: tuple[Mapping[str, Any], ...] = ()


@dataclass
class Evaluation:
    """A suite under evaluation: what is known so far. `dtypes` are the columns' types as they were evaluated."""

    suite: Suite
    built: Sequence[Any]
    names: Sequence[Any]
    pii: frozenset[str] = frozenset()
    outcomes: dict[int, gx.Outcome] = field(default_factory=dict)
    dtypes: dict[Any, str] = field(default_factory=dict)

    def to_run(self, blank: Sequence[ExpectationFailure]) -> Iterator[int]:
        """Yield what can be evaluated; a column that is missing is an outcome, one without values is skipped."""
        for i, one in enumerate(self.suite.expectations):
            if absent := [name for name in one.columns if name not in self.names]:
                message = f"the column {absent[0]!r} is missing"
                self.outcomes[i] = gx.Outcome(False, False, crash=gx.MISSING_COLUMN, message=message)
            elif not guards.obstructed(one, blank):
                yield i

    def judge_shape(self, i: int, count: int) -> None:
        """Judge what is only about the columns' names and the number of rows."""
        names = list(self.names)
        metrics = {"table.columns": names, "table.column_count": len(names), "table.row_count": count}
        self.outcomes[i] = gx.judge(self.built[i], metrics)

    def findings(self, blank: Sequence[ExpectationFailure], broken: Broken | None, broken_rows: int | None) -> Findings:
        """Sum up. SuiteError where an expectation could not be evaluated for a reason that is not the data's."""
        speaker = wording.Speaker(self.suite, self.names, self.dtypes, self.pii)
        failures, table_level = list(blank), any(one.severity is Severity.CRITICAL for one in blank)
        for i, outcome in sorted(self.outcomes.items()):
            if not outcome.success:
                failures.append(speaker.failure(i, outcome))
                table_level |= failures[-1].severity is Severity.CRITICAL and not outcome.about_rows
        results = tuple(speaker.result(i, self.outcomes.get(i)) for i in range(len(self.suite.expectations)))
        return Findings(tuple(failures), table_level, broken, broken_rows, results)


def evaluate(
    rows: Rows, suite: Suite, built: Sequence[Any], *, batch_rows: int, pii: frozenset[str] = frozenset()
) -> Findings:
    """Evaluate a suite on rows, of which there are some; `built` are its expectations as `gx.build` made them.

    A column that is missing, or whose type an expectation cannot be evaluated on, is schema skew: a critical
    failure whatever the severity of the expectation. Any other crash is a SuiteError: it could not be checked.

    Above `batch_rows` rows, expectations that judge each row by itself see so many at a time and their counts are added
    up; all others see their own columns whole. UnreadableDataError where any column is damaged.
    """
    blank = guards.has_values(rows, suite.expectations)
    found = Evaluation(suite, built, rows.names, pii)
    needed = []
    for i in found.to_run(blank):
        if plan.is_about_shape(suite.expectations[i], built[i]):
            found.judge_shape(i, rows.count)
        else:
            needed.append((i, plan.columns_of(suite.expectations[i], built[i], rows.names)))
    with gx.session() as session:
        for group in plan.groups(needed, one_pass=rows.count <= min(ONE_PASS_ROWS, batch_rows)):
            _evaluate_group(rows, group, found, session, batch_rows)
        broken = _find_rows(rows, dict(needed), found, session, batch_rows)
    rows.read_rest()
    return found.findings(blank, broken, len(broken))


def _evaluate_group(rows: Rows, group: plan.Group, found: Evaluation, session: gx.Session, batch_rows: int) -> None:
    parts, whole = _divide(rows, group, found, batch_rows)
    if parts:
        outcomes: dict[int, list[gx.Outcome]] = {i: [] for i in parts}
        for frame in rows.frames(group.columns, batch_rows):
            found.dtypes |= {name: str(dtype) for name, dtype in frame.dtypes.items()}
            for i, outcome in zip(parts, session.run(frame, [found.built[i] for i in parts]), strict=True):
                outcomes[i].append(outcome)
        found.outcomes |= {i: gx.add_up(found.built[i], several) for i, several in outcomes.items()}
    if whole:
        for frame in rows.frames(group.columns, rows.count):
            found.dtypes |= {name: str(dtype) for name, dtype in frame.dtypes.items()}
            outcomes_ = session.run(frame, [found.built[i] for i in whole])
            found.outcomes |= dict(zip(whole, outcomes_, strict=True))


def _divide(rows: Rows, group: plan.Group, found: Evaluation, batch_rows: int) -> tuple[Sequence[int], Sequence[int]]:
    """Tell the members of a group that a part of the rows at a time will do for from the others."""
    if rows.count <= batch_rows or not rows.divisible(group.columns):
        return (), group.members
    parts = [i for i in group.members if plan.is_by_row(found.suite.expectations[i])]
    return parts, [i for i in group.members if i not in parts]


def _find_rows(
    rows: Rows, needed: Mapping[int, tuple[Any, ...]], found: Evaluation, session: gx.Session, batch_rows: int
) -> Broken:
    """Ask again for the rows that break critical expectations; a second pass, but only over what has failed."""
    wanted = [
        (i, needed[i])
        for i, outcome in sorted(found.outcomes.items())
        if not outcome.success and outcome.about_rows and found.suite.expectations[i].severity is Severity.CRITICAL
    ]
    broken = Broken(rows.count)
    for group in plan.groups(wanted, one_pass=False):
        for members, size in zip(_divide(rows, group, found, batch_rows), (batch_rows, rows.count), strict=True):
            for i, flags in _flags(rows, group.columns, members, found, session, size).items():
                # Where no row can be named for a failure, no row can be set aside for it either.
                found.outcomes[i] = replace(found.outcomes[i], about_rows=bool(flags.any()))
                broken.add(i, wording.label(found.suite.expectations[i]), flags)
    return broken


def _flags(
    rows: Rows,
    columns: Sequence[Any],
    members: Sequence[int],
    found: Evaluation,
    session: gx.Session,
    size: int,
) -> "dict[int, np.ndarray[Any, Any]]":
    import numpy as np

    flags = {i: np.zeros(rows.count, dtype=bool) for i in members}
    start = 0
    for frame in rows.frames(columns, size) if members else ():
        outcomes = session.run(frame, [found.built[i] for i in members], positions=True)
        for i, outcome in zip(members, outcomes, strict=True):
            mark(flags[i], outcome.rows, start)
        start += len(frame)
    return flags
