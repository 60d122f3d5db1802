"""What a validation leaves in the store: accepted rows, rows set aside, the result and its page."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from retrain.data import formats, outgoing, storage
from retrain.data._errors import reading
from retrain.data.sql.address import is_sql, table_of
from retrain.exceptions import DigestMismatchError
from retrain.records import DataRef, ValidationVerdict
from retrain.validation.broken import Broken
from retrain.validation.checks import Findings
from retrain.validation.quarantine import BROKEN_COLUMN, ROW_COLUMN
from retrain.validation.rows import Rows
from retrain.validation.suites import Suite

log = logging.getLogger(__name__)

# The key under which `quarantine.read_quarantined` looks for columns that nobody is to be shown.
_PII = "retrain.pii"


@dataclass(frozen=True)
class Place:
    """Where a validation writes: folders of the dataset and the partition, and names that follow from the content.

    The same source, suite and settings have the same `identity`, so that a retry writes the same objects again.
    """

    store: str
    dataset: str | None
    source: DataRef
    identity: str

    def uri(self, kind: str, ending: str) -> str:
        """Return where an object of a kind (`accepted`, `quarantine`, `validation`) goes."""
        stem, partition = _stem(self.source.uri), self.source.partition
        names = [self.dataset or stem, *([partition] if partition and partition != stem else [])]
        if self.dataset and len(names) == 1:
            names.append(stem)
        return storage.join(self.store, kind, *(quote(name, safe=" ") for name in names), self.identity + ending)

    def copy_uri(self) -> str:
        """Return where a copy of the source goes: named by its bytes, whatever was asked of them."""
        stem = _stem(self.source.uri)
        digest = str(self.source.digest).rpartition(":")[2]
        ending = ".parquet" if self.source.format == formats.PARQUET else ".csv"
        return storage.join(self.store, "data", quote(self.dataset or stem, safe=" "), digest + ending)


def _stem(uri: str) -> str:
    return table_of(uri).name if is_sql(uri) else PurePosixPath(uri.removesuffix(".gz")).stem or "frame"


def identity_of(*parts: Any) -> str:
    """Return a name that follows from JSON values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def split(rows: Rows, broken: Broken, place: Place, *, accept: bool, whole: bool, pii: Sequence[str]) -> Any:
    """Write the rows that go on (where `accept`) and those that are set aside; return the references to both.

    `whole` sets every row aside. Each object is written a table at a time; together they hold every row once. A row set
    aside carries what it broke (nothing, where only the whole is set aside) and its position in the source.
    """
    accepted = quarantined = None
    if accept:
        accepted = _write(rows, place.uri("accepted", ".parquet"), lambda *part: _kept(broken, *part), ())
        accepted = replace(accepted, partition=place.source.partition, version=place.source.version)
    if whole or len(broken):
        uri = place.uri("quarantine", ".parquet")
        quarantined = _write(rows, uri, lambda *part: _aside(broken, *part, whole=whole), pii)
    return accepted, quarantined


def keep_copy(place: Place) -> DataRef:
    """Copy the source's very bytes into the store, unless they are there; return the reference to them."""
    source, uri = place.source, place.copy_uri()
    if source.uri.startswith(storage.normalise(place.store).rstrip("/") + "/"):
        return source  # rows of a table, or released ones: they lie there already, and nobody writes over them
    copy = replace(source, uri=uri)
    if storage.exists(uri):
        return copy
    fs, path = storage.filesystem(source.uri)
    with outgoing.open_write(uri) as target, reading(source.uri), fs.open(path, "rb") as stream:
        while chunk := stream.read(storage.CHUNK_BYTES):
            target.write(chunk)
        if target.digest != source.digest:
            raise DigestMismatchError(
                f"{source.uri} changed while it was copied", expected=str(source.digest),
                remedy="Try again when it is written",
            )  # fmt: skip
    return copy


def write_result(
    verdict: ValidationVerdict, findings: Findings, suite: Suite, place: Place, pii: Sequence[str] = ()
) -> ValidationVerdict:
    """Write the result and its page; return the verdict with their URIs.

    A page that cannot be drawn changes nothing.
    """
    source = place.source
    docs_uri = place.uri("validation", ".html")
    verdict = replace(verdict, result_uri=place.uri("validation", ".json"), docs_uri=docs_uri)
    document = {
        "source": {
            "uri": source.uri, "partition": source.partition, "version": source.version, "digest": source.digest,
        },
        "suite": {"name": suite.name, "digest": suite.digest},
        "verdict": verdict.to_dict(),
        "results": [dict(result) for result in findings.results],
        **({"pii": sorted(pii)} if pii else {}),
    }  # fmt: skip
    # Through a string: kwargs from YAML may hold dates, which JSON has no type for.
    document = json.loads(json.dumps(document, default=str))
    page = _page(document)
    if page is None:
        verdict = replace(verdict, docs_uri=None)
        document["verdict"]["docs_uri"] = None
    storage.write_json(str(verdict.result_uri), document)
    if page is not None:
        storage.write_bytes(docs_uri, page.encode())
    return verdict


def _page(document: Mapping[str, Any]) -> str | None:
    try:
        from retrain.validation.docs import render

        return render(document)
    except Exception:  # whatever it is: the verdict stands, and the result says the same as the page
        log.warning("the page of a validation could not be drawn", exc_info=True)
        return None


def _write(rows: Rows, uri: str, choose: Any, pii: Sequence[str]) -> DataRef:
    """Write what `choose` takes of each table of the rows."""
    import pyarrow.parquet as pq

    metadata = {_PII: json.dumps(sorted(pii))} if pii else None
    start = count = 0
    with outgoing.open_write(uri) as target:
        writer = None
        for table in rows.tables():
            chosen = choose(table, start).replace_schema_metadata(metadata)
            start += table.num_rows
            if writer is None:
                writer = pq.ParquetWriter(target, chosen.schema, compression="zstd")
            if chosen.num_rows:
                writer.write_table(chosen)
                count += chosen.num_rows
        if writer is not None:
            writer.close()
    return DataRef(
        uri=storage.normalise(uri),
        format=formats.PARQUET,
        digest=target.digest,
        rows=count,
        bytes=target.size,
        schema=formats.schema_of(chosen.schema),
    )


def _kept(broken: Broken, table: Any, start: int) -> Any:
    import pyarrow as pa

    return table.filter(pa.array(~broken.flags(start, table.num_rows)))


def _aside(broken: Broken, table: Any, start: int, *, whole: bool) -> Any:
    import numpy as np
    import pyarrow as pa

    flags = np.ones(table.num_rows, dtype=bool) if whole else broken.flags(start, table.num_rows)
    aside = table.filter(pa.array(flags))
    aside = aside.append_column(BROKEN_COLUMN, broken.labels(start, table.num_rows, flags))
    return aside.append_column(ROW_COLUMN, pa.array(np.flatnonzero(flags) + start, pa.int64()))
