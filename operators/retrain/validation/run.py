"""`validate`: says whether a batch may go on, in whole or in part."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from retrain.data import formats, readers, storage, writers
from retrain.exceptions import ConfigurationError
from retrain.records import DataRef, ExpectationFailure, Severity, ValidationStatus, ValidationVerdict
from retrain.validation import feed, guards, gx, sql, storing
from retrain.validation.broken import Broken
from retrain.validation.checks import Findings, evaluate
from retrain.validation.opening import Damaged, open_rows
from retrain.validation.rows import Rows
from retrain.validation.schema import skew
from retrain.validation.suites import Suite, load_suite

# So many rows of an expectation's columns are in memory at a time.
BATCH_ROWS = 4_000_000


@dataclass(frozen=True)
class _Order:
    """What is asked of a validation, beside its source."""

    suite: Suite
    built: Sequence[Any]
    store: str | None
    limit: float
    dataset: str | None
    keep_copies: bool
    pii: tuple[str, ...]
    schema: Mapping[str, str]
    waive: bool
    batch_rows: int


def validate(
    source: readers.Source,
    suite: Suite | Mapping[str, Any] | str | os.PathLike[str],
    *,
    store: str | None = None,
    quarantine_limit: float = 0.1,
    dataset: str | None = None,
    keep_copies: bool = False,
    pii: Sequence[str] = (),
    schema: Mapping[str, str] | None = None,
    waive: bool = False,
    batch_rows: int = BATCH_ROWS,
) -> ValidationVerdict:
    """Judge a batch against an expectation suite: pass, warn or fail; with a `store`, set bad rows aside.

    TODO
    """
    if not 0 <= quarantine_limit <= 1:
        raise ConfigurationError(f"quarantine_limit is {quarantine_limit}", expected="a share of rows from 0 to 1")
    if batch_rows < 1:
        raise ConfigurationError(f"batch_rows is {batch_rows}", expected="at least 1")
    loaded = feed.resolve(load_suite(suite), source.partition if isinstance(source, DataRef) else None)
    order = _Order(
        loaded, gx.build(loaded), store, quarantine_limit, dataset, keep_copies,
        tuple(sorted(pii)), schema or {}, waive, batch_rows,
    )  # fmt: skip
    if sql.uri_of(source):
        return _judge_table(cast("str | DataRef", source), order)
    try:
        with open_rows(source, digest=store is not None) as opened:
            return _judge(opened.ref, opened.rows, order)
    except Damaged as damaged:
        reason = guards.without_quotes(damaged.what) if order.pii else damaged.what
        return _conclude(damaged.ref, None, Findings((guards.readable(reason),), table_level=True), order)


def _judge(ref: DataRef | None, rows: Rows | None, order: _Order) -> ValidationVerdict:
    if rows is None:
        return _conclude(ref, None, Findings(tuple(guards.not_empty(0, 0)), table_level=True), order)
    guarded = (*guards.not_empty(rows.count, len(rows.names)), *guards.unique_columns(rows.duplicates))
    if guarded:
        rows.read_rest()
        return _conclude(ref, rows, Findings(guarded, table_level=True), order, content=False)
    # Known before any row is read.
    skewed = skew(order.schema, rows.schema, rows.is_blank) if order.schema else ()
    findings = evaluate(rows, order.suite, order.built, batch_rows=order.batch_rows, pii=frozenset(order.pii))
    if skewed:
        findings = replace(findings, failures=(*skewed, *findings.failures), table_level=True)
    return _conclude(ref, rows, findings, order)


def _judge_table(source: str | DataRef, order: _Order) -> ValidationVerdict:
    if order.keep_copies:
        raise ConfigurationError(
            f"{sql.uri_of(source)} cannot be copied: a table is judged where it is",
            expected="keep_copies=False for a table",
            remedy="Write its rows to Parquet first, as a declaration with such data does",
        )
    ref, rows = sql.open_table(source, order.suite)
    if guarded := guards.not_empty(rows.count, len(rows.names)):
        return _conclude(ref, None, Findings(tuple(guarded), table_level=True), order)
    skewed = skew(order.schema, rows.schema, rows.is_blank) if order.schema else ()
    findings = sql.evaluate(rows, order.suite, order.built, pii=frozenset(order.pii))
    if skewed:
        findings = replace(findings, failures=(*skewed, *findings.failures), table_level=True)
    return _conclude_table(ref, findings, order)


def _conclude_table(ref: DataRef, findings: Findings, order: _Order) -> ValidationVerdict:
    """Decide on a table, of which nothing is set aside; with a store the result is written there, and nothing else."""
    verdict = _verdict(findings, ref.rows or 0, None, order)
    if order.store is None:
        return verdict
    if verdict.status is not ValidationStatus.FAIL:
        verdict = replace(verdict, accepted=ref.to_dict())
    return storing.write_result(verdict, findings, order.suite, _place(ref, order), order.pii)


def _conclude(
    ref: DataRef | None, rows: Rows | None, findings: Findings, order: _Order, *, content: bool = True
) -> ValidationVerdict:
    """Decide, and write what is to be written; `rows` without `content` are not touched, whatever the verdict."""
    sound = rows if content else None
    limit = None if order.store is None else order.limit
    verdict = _verdict(findings, 0 if rows is None else rows.count, limit, order, waived=order.waive and bool(sound))
    if order.store is None:
        return verdict
    place = _place(ref or _frame_ref(sound), order)
    if sound is not None:
        verdict = _settle(verdict, ref is None, sound, findings, place, order)
    return storing.write_result(verdict, findings, order.suite, place, order.pii)


def _verdict(
    findings: Findings, rows: int, limit: float | None, order: _Order, *, waived: bool | None = None
) -> ValidationVerdict:
    waived = order.waive if waived is None else waived
    return ValidationVerdict(
        status=_status(findings, rows, limit, waived),
        rows=rows,
        quarantined_rows=0 if waived else findings.broken_rows or 0,
        failures=findings.failures,
        expectations=len(order.suite.expectations),
    )


def _status(findings: Findings, rows: int, limit: float | None, waived: bool) -> ValidationStatus:
    """Decide; `limit` is None where nothing can be set aside."""
    severities = {failure.severity for failure in findings.failures}
    if Severity.CRITICAL in severities:
        count = findings.broken_rows or 0
        repairable = limit is not None and not findings.table_level and count < rows and count <= limit * rows
        return ValidationStatus.WARN if repairable or waived else ValidationStatus.FAIL
    return ValidationStatus.WARN if Severity.WARNING in severities else ValidationStatus.PASS


def _settle(
    verdict: ValidationVerdict, in_memory: bool, rows: Rows, findings: Findings, place: storing.Place, order: _Order
) -> ValidationVerdict:
    """Set rows aside, and say where the accepted ones are: in the source itself, where it is whole and not copied."""
    failed = verdict.status is ValidationStatus.FAIL
    broken = findings.broken if findings.broken is not None and not order.waive else Broken(rows.count)
    apart = bool(len(broken))
    accepted, quarantined = storing.split(
        rows, broken, place, accept=not failed and (apart or in_memory), whole=failed, pii=order.pii
    )
    if accepted is None and not failed:
        accepted = storing.keep_copy(place) if order.keep_copies else place.source
    return replace(
        verdict,
        quarantined_rows=quarantined.rows if quarantined else 0,
        accepted=accepted.to_dict() if accepted else None,
        quarantine_uri=quarantined.uri if quarantined else None,
    )


def _place(ref: DataRef, order: _Order) -> storing.Place:
    parts: list[Any] = [ref.digest or ref.uri, order.suite.digest, order.limit]
    # What most leave alone is part of the name only where it is used.
    settings = {"pii": order.pii, "schema": dict(order.schema), "waive": order.waive}
    if used := {name: value for name, value in settings.items() if value}:
        parts.append(used)
    return storing.Place(str(order.store), order.dataset, ref, storing.identity_of(*parts))


def _frame_ref(rows: Rows | None) -> DataRef:
    """Return a reference for a frame, which lies nowhere yet: what counts is its digest."""
    digest = None
    if rows is not None:
        (table,) = rows.tables()
        digest = storage.digest_of(writers.parquet_bytes(table))
    return DataRef(uri="", format=formats.PARQUET, digest=digest)
