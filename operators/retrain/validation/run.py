"""`validate`: says whether a batch may go on, in whole or in part."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from retrain.data import formats, readers, storage, writers
from retrain.exceptions import ConfigurationError
from retrain.records import DataRef, Severity, ValidationStatus, ValidationVerdict
from retrain.validation import feed, guards, gx, sql, storing
from retrain.validation.broken import Broken
from retrain.validation.checks import Findings, evaluate
from retrain.validation.opening import Damaged, open_rows
from retrain.validation.rows import Rows
from retrain.validation.schema import skew
from retrain.validation.suites import Suite, load_suite

# So many rows of an expectation's columns are in memory at a time.
BATCH_ROWS = 1_000_000


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

    `source` is a path, URI, DataRef or DataFrame, or a table (`sql://<conn_id>/<[schema.]table>[?<column>=<value>]`);
    `suite` a path, URI, dict or Suite (see `load_suite`).

    *Failures.* Always on are the guards `readable` (truncated, corrupt, not of its format), `not_empty`,
    `unique_columns` (all critical; any of them ends the check) and `has_values` (a column that the suite speaks of is
    null throughout). Schema skew stops whatever the severity: a column that an expectation needs and that is missing,
    or of a type that it cannot be evaluated on; columns missing or extra where the suite declares the set of columns;
    and, given a `schema` (column to Arrow type, as in `DataRef.schema`) to compare with, `schema_missing`,
    `schema_extra` and `schema_retyped` (see `schema.kind_of`). Everything else is value skew and follows its severity:
    a failed warning gives `warn`, a failed info is listed and changes nothing.

    *Critical failures.* Without a `store` they give `fail`, and `quarantined_rows` counts the distinct rows that break
    one. With a `store`, rows that break critical row-level expectations are set aside, the rest goes on and the verdict
    is `warn`, provided that their share is at most `quarantine_limit` and at least one row is left. Otherwise, and on
    any critical failure that is not about single rows, the verdict is `fail` and all rows are set aside
    (`quarantined_rows == rows`); a batch that fails a guard of content is left where it is. With `waive` (a person has
    let the batch in) failures are listed and stop nothing but for the guards of content: no row is set aside, and the
    status is at most `warn`.

    *What is written* under the `store`, in folders `<dataset, else the file's stem>/<partition>/`: `quarantine/` (rows
    with `_retrain_broken`, the expectations that each broke, and `_retrain_row`, its position), `accepted/` (the
    remaining rows; where nothing is set aside `accepted` is the source itself, and a DataFrame is written whole),
    `validation/` (the result without any value of the data, and its page). With `keep_copies` a source of which nothing
    is set aside is copied to `data/<dataset>/<digest>`, so that `accepted` outlives it. Names are digests of source,
    suite and settings: a retry writes the same objects again and never doubles them. Columns in `pii` have no observed
    value in the result, the reasons and the page; what the suite demands stays.

    *Size.* A file is read column by column, a DataFrame is in memory anyway. Of more than `batch_rows` rows, what is
    judged row by row is read so many rows at a time; uniqueness, aggregates, categories, nested columns and
    expectations of one's own see their columns whole. So memory holds one batch, or the columns of one such
    expectation, and a bit for each row and critical failure; not more, however many columns and rows there are (of a
    Parquet file also its row groups, compressed; a CSV of more than 64 MiB goes through a temporary Parquet file).
    Every column is decoded once, also those that nobody asks for: damage shows wherever it is.

    *Tables* are judged by queries, and neither a row nor a value is fetched but for the numbers in the result. Nothing
    is set aside and the status is as without a store: with one, only the result is written. `quarantined_rows` is
    counted by the database; it is 0 where an expectation's condition cannot stand in one query with others, with a
    warning in the log. A table changes while it is judged if others write to it.

    A check that could not run is an exception: SuiteError (on a table also what only pandas can evaluate),
    UnreadableDataError (not there, not allowed), DigestMismatchError, StoreUnavailableError.
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
    findings = evaluate(rows, order.suite, order.built, batch_rows=order.batch_rows, pii=frozenset(order.pii))
    return _conclude(ref, rows, _with_skew(findings, rows, order), order)


def _with_skew(findings: Findings, rows: Rows | sql.SqlRows, order: _Order) -> Findings:
    """Put what differs from the schema that is expected before everything else."""
    skewed = skew(order.schema, rows.schema, rows.is_blank) if order.schema else ()
    if not skewed:
        return findings
    return replace(findings, failures=(*skewed, *findings.failures), table_level=True)


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
    findings = _with_skew(sql.evaluate(rows, order.suite, order.built, pii=frozenset(order.pii)), rows, order)
    # Nothing is set aside; with a store the result is written there, and nothing else.
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
