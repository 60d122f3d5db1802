"""Ready expectations for a feed: its size, freshness, label and the segments that matter.

They are written in a suite like any other of Great Expectations, and run on pandas and on SQL.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from retrain.exceptions import MissingDependencyError, SuiteError
from retrain.records import Severity
from retrain.validation import times
from retrain.validation.suites import Suite

REASON = "retrain_reason"
"""Where a ready expectation that does not hold has its sentence, in the result that Great Expectations gives."""

READY: Mapping[str, str] = {
    "expect_batch_freshness": "The newest time of a column is at most max_age before as_of (default: now).",
    "expect_batch_size_to_be_between": "The number of rows is between limits, absolute or relative to a reference.",
    "expect_column_to_be_of_kind": "A column holds integers, numbers, text, booleans, times or dates.",
    "expect_label_definition": "A label is one of its values and never null; rows that break it can be set aside.",
    "expect_label_share_to_be_between": "The share of one label, among rows that have a label, is between limits.",
    "expect_segments_to_be_covered": "Every segment that is named has enough rows.",
}


def register() -> None:
    """Make Great Expectations know the ready expectations; once per process is enough, again does no harm."""
    try:
        from retrain.validation import feed_expectations, kind_expectation  # noqa: F401  (importing them registers)
    except ImportError as error:
        raise MissingDependencyError(
            f"The ready expectations need Great Expectations: {error}",
            remedy="pip install 'airflow-provider-retrain[jobs]'",
        ) from error


def known() -> dict[str, str]:
    """Return every expectation that a suite may name, with a line on each: the ready ones, then GX's own by name."""
    register()
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    lines = {}
    for name in sorted(set(list_registered_expectation_implementations()) - set(READY)):
        # A class of the user's without a word of its own has that of the class below it.
        text = inspect.getdoc(get_expectation_impl(name)) or ""
        lines[name] = text.splitlines()[0] if text else ""
    return {**READY, **lines}


def resolve(suite: Suite, partition: str | None) -> Suite:
    """Put the end of the partition's period where the suite says `partition_end`.

    SuiteError where it does, and the partition's key names no period.
    """
    if not any(one.kwargs.get("as_of") == times.PARTITION_END for one in suite.expectations):
        return suite
    try:
        end = times.end_of(partition or "").isoformat()
    except ValueError as error:
        raise SuiteError(
            f"{suite.source} asks for freshness as of the end of the partition, and {partition!r} is no period",
            expected="a partition key such as 2013-01 or 2013-01-31",
            remedy="Write a time as as_of, or leave it out to mean now",
        ) from error
    expectations = tuple(
        replace(one, kwargs={**one.kwargs, "as_of": end}) if one.kwargs.get("as_of") == times.PARTITION_END else one
        for one in suite.expectations
    )
    return replace(suite, expectations=expectations)


def suite(
    name: str = "feed",
    *,
    target: str | None = None,
    labels: Sequence[Any] | None = None,
    positive: Any = None,
    share: tuple[float, float] | None = None,
    event_time: str | None = None,
    max_age: str | None = None,
    as_of: str | None = None,
    segments: Mapping[str, Sequence[Any]] | None = None,
    min_segment_rows: int = 1,
    min_rows: int = 1,
    max_rows: int | None = None,
    reference_rows: int | None = None,
    ratio: tuple[float, float] = (0.5, 2.0),
) -> dict[str, Any]:
    """Return the ready checks of a feed as a suite document, to be used as it is or added to another.

    Critical are the size and the label's definition: `labels` of `target` and no null. Warnings are the `share` of the
    `positive` label, an `event_time` whose newest value is older than `max_age` (as of now, of a time, or of
    `partition_end`), a size outside `ratio` times `reference_rows`, and `segments` (column: values) with fewer rows
    than `min_segment_rows`. What is not given is not checked.
    """
    size: dict[str, Any] = {"min_rows": min_rows} | ({} if max_rows is None else {"max_rows": max_rows})
    found = [_entry("expect_batch_size_to_be_between", Severity.CRITICAL, **size)]
    if reference_rows is not None:
        limits = {"reference_rows": reference_rows, "min_ratio": ratio[0], "max_ratio": ratio[1]}
        found.append(_entry("expect_batch_size_to_be_between", Severity.WARNING, **limits))
    if event_time is not None and max_age is not None:
        as_of_ = {} if as_of is None else {"as_of": as_of}
        found.append(_entry("expect_batch_freshness", Severity.WARNING, column=event_time, max_age=max_age, **as_of_))
    if target is not None and labels is not None:
        found.append(_entry("expect_label_definition", Severity.CRITICAL, column=target, values=list(labels)))
    if target is not None and positive is not None and share is not None:
        limits = {"positive": positive, "min_value": share[0], "max_value": share[1]}
        found.append(_entry("expect_label_share_to_be_between", Severity.WARNING, column=target, **limits))
    for column, values in (segments or {}).items():
        demand = {"segments": list(values), "min_rows": min_segment_rows}
        found.append(_entry("expect_segments_to_be_covered", Severity.WARNING, column=column, **demand))
    return {"name": name, "expectations": found}


def _entry(kind: str, severity: Severity, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "severity": severity.value}
