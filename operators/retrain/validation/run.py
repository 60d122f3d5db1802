"""`validate`: says whether a batch may go on, in whole or in part."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from retrain.data import formats, readers, storage, writers
from retrain.exceptions import ConfigurationError, UnreadableDataError
from retrain.records import DataRef, ExpectationFailure, Severity, ValidationStatus, ValidationVerdict
from retrain.validation import guards, gx, quarantine
from retrain.validation.checks import Findings, evaluate
from retrain.validation.suites import Suite, load_suite

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class _Batch:
    """The data under judgement: its reference, the rows as a frame and as a table, and what already fails.

    `ref` is None for a DataFrame, `table` is None for a DataFrame or for content that does not parse.
    """

    ref: DataRef | None
    frame: "pd.DataFrame | None"
    table: Any
    failures: tuple[ExpectationFailure, ...] = ()

    @property
    def rows(self) -> int:
        return 0 if self.frame is None else len(self.frame)


def validate(
    source: readers.Source,
    suite: Suite | Mapping[str, Any] | str | os.PathLike[str],
    *,
    store: str | None = None,
    quarantine_limit: float = 0.1,
    dataset: str | None = None,
) -> ValidationVerdict:
    """Judge a batch against an expectation suite: pass, warn or fail; with a `store`, set bad rows aside.

    `source` is a path, URI, DataRef or DataFrame; `suite` a path, URI, dict or Suite (see `load_suite`).

    *Failures.* Always on are the guards `readable` (truncated, corrupt, not of its format), `not_empty`,
    `unique_columns` (all critical; any of them ends the check) and `has_values` (a column that the suite speaks of is
    null throughout). A column that an expectation needs and that is missing, or of a type that it cannot be evaluated
    on, is a critical failure whatever the expectation's severity: schema skew stops. Everything else follows its
    severity: a failed warning gives `warn`, a failed info is listed and changes nothing.

    *Critical failures.* Without a `store` they give `fail`, and `quarantined_rows` counts the distinct rows that break
    one. With a `store`, rows that break critical row-level expectations are set aside, the rest goes on and the verdict
    is `warn`, provided that their share is at most `quarantine_limit` and at least one row is left. Otherwise, and on
    any critical failure that is not about single rows, the verdict is `fail` and all rows are set aside
    (`quarantined_rows == rows`); a batch that fails a guard of content is left where it is.

    *What is written* under the `store`, in folders `<dataset, else the file's stem>/<partition>/`: `quarantine/` (rows
    with `_retrain_broken`, the expectations that each broke, and `_retrain_row`, its position), `accepted/` (the
    remaining rows; where nothing is set aside `accepted` is the source itself, and a DataFrame is written whole),
    `validation/` (the result without any value of the data). Names are digests of source, suite and limit: a retry
    writes the same objects again and never doubles them.

    A check that could not run is an exception: SuiteError, UnreadableDataError (not there, not allowed),
    DigestMismatchError, StoreUnavailableError.
    """
    if not 0 <= quarantine_limit <= 1:
        raise ConfigurationError(f"quarantine_limit is {quarantine_limit}", expected="a share of rows from 0 to 1")
    loaded = load_suite(suite)
    built = gx.build(loaded)
    batch = _open(source)
    if batch.failures or batch.frame is None:
        findings = Findings(batch.failures, table_level=True)
    else:
        findings = evaluate(batch.frame, loaded, built)
    verdict = ValidationVerdict(
        status=_status(findings, batch.rows, quarantine_limit if store is not None else None),
        rows=batch.rows,
        quarantined_rows=len(findings.broken),
        failures=findings.failures,
        expectations=len(loaded.expectations),
    )
    if store is None:
        return verdict
    return _persist(verdict, findings, batch, loaded, store, quarantine_limit, dataset)


def _open(source: readers.Source) -> _Batch:
    if not isinstance(source, DataRef | str | os.PathLike):
        # GX names rows by index label: with 0..n-1, labels are positions.
        frame = source.reset_index(drop=True)
        names = formats.repeated([str(name) for name in frame.columns])
        return _Batch(None, frame, None, _guard(len(frame), len(frame.columns), names))
    name, uri, content = readers.format_of(source), readers.location(source), readers.fetch(source)
    ref = source if isinstance(source, DataRef) else DataRef(uri=uri, format=name)
    ref = replace(ref, digest=storage.digest_of(content), bytes=len(content))
    if not content:
        return _Batch(ref, None, None, tuple(guards.not_empty(0, 0)))
    try:
        parsed = formats.parse(content, name, uri)
    except UnreadableDataError as error:
        return _Batch(ref, None, None, (guards.readable(error.what),))
    table = parsed.table
    ref = replace(ref, rows=table.num_rows, schema=formats.schema_of(table.schema))
    return _Batch(ref, parsed.frame(), table, _guard(table.num_rows, table.num_columns, parsed.duplicates))


def _guard(rows: int, columns: int, duplicates: tuple[str, ...]) -> tuple[ExpectationFailure, ...]:
    return (*guards.not_empty(rows, columns), *guards.unique_columns(duplicates))


def _status(findings: Findings, rows: int, limit: float | None) -> ValidationStatus:
    """Decide; `limit` is None where nothing can be set aside."""
    severities = {failure.severity for failure in findings.failures}
    if Severity.CRITICAL in severities:
        count = len(findings.broken)
        repairable = limit is not None and not findings.table_level and count < rows and count <= limit * rows
        return ValidationStatus.WARN if repairable else ValidationStatus.FAIL
    return ValidationStatus.WARN if Severity.WARNING in severities else ValidationStatus.PASS


def _persist(
    verdict: ValidationVerdict,
    findings: Findings,
    batch: _Batch,
    suite: Suite,
    store: str,
    limit: float,
    dataset: str | None,
) -> ValidationVerdict:
    table = batch.table
    if table is None and batch.frame is not None and not batch.failures:
        table = writers.to_table(batch.frame)
    ref = batch.ref or _frame_ref(table)
    folder = _folder(ref, dataset)
    identity = hashlib.sha256(json.dumps([ref.digest, suite.digest, limit]).encode()).hexdigest()[:24]
    failed, set_aside = verdict.status is ValidationStatus.FAIL, 0
    accepted: DataRef | None = None if failed else ref
    quarantined: DataRef | None = None
    if not batch.failures and (failed or findings.broken):
        uri = storage.join(store, "quarantine", *folder, f"{identity}.parquet")
        quarantined = quarantine.write_quarantined(table, findings.broken, uri, whole=failed)
        set_aside = quarantined.rows or 0
    if accepted is not None and (set_aside or batch.ref is None):
        uri = storage.join(store, "accepted", *folder, f"{identity}.parquet")
        accepted = quarantine.write_accepted(table, findings.broken, uri, ref)
    verdict = replace(
        verdict,
        quarantined_rows=set_aside,
        accepted=accepted.to_dict() if accepted else None,
        quarantine_uri=quarantined.uri if quarantined else None,
        result_uri=storage.join(store, "validation", *folder, f"{identity}.json"),
    )
    _write_result(verdict, findings, suite, ref)
    return verdict


def _write_result(verdict: ValidationVerdict, findings: Findings, suite: Suite, ref: DataRef) -> None:
    document = {
        "source": {"uri": ref.uri, "partition": ref.partition, "version": ref.version, "digest": ref.digest},
        "suite": {"name": suite.name, "digest": suite.digest},
        "verdict": verdict.to_dict(),
        "results": [dict(result) for result in findings.results],
    }
    # Through a string: kwargs from YAML may hold dates, which JSON has no type for.
    storage.write_json(str(verdict.result_uri), json.loads(json.dumps(document, default=str)))


def _frame_ref(table: Any) -> DataRef:
    """Return a reference for a frame, which lies nowhere yet: what counts is its digest."""
    digest = storage.digest_of(writers.parquet_bytes(table)) if table is not None else None
    return DataRef(uri="", format=formats.PARQUET, digest=digest)


def _folder(ref: DataRef, dataset: str | None) -> list[str]:
    stem = PurePosixPath(ref.uri.removesuffix(".gz")).stem or "frame"
    names = [dataset or stem, *([ref.partition] if ref.partition and ref.partition != stem else [])]
    if dataset and len(names) == 1:
        names.append(stem)
    return [quote(name, safe=" ") for name in names]
