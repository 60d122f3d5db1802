"""What an object is, as a reference: digest, size, rows, schema."""

import os

from retrain.data import formats, storage
from retrain.records import DataRef


def describe(
    uri: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the name of the field in DataRef
    partition: str | None = None,
    version: int | None = None,
    content: bool = True,
) -> DataRef:
    """Return the reference to an object: sha256 of its bytes, size, rows and schema (Arrow type names).

    The bytes are streamed once. Parquet gives rows and schema from its footer; a CSV has to be parsed for them.
    `content=False` leaves rows and schema out and opens nothing, which also works for a file that is damaged: a batch
    on arrival gets its digest before anybody judges it. Raises UnreadableDataError and StoreUnavailableError.
    """
    uri = storage.normalise(uri)
    name = formats.format_of(uri, format)
    rows: int | None = None
    schema: dict[str, str] = {}
    if content and name == formats.CSV:
        text = storage.read_bytes(uri)
        digest, size = storage.digest_of(text), len(text)
        parsed = formats.parse(text, name, uri)
        formats.require_unique(parsed.duplicates, uri)
        rows, schema = parsed.table.num_rows, formats.schema_of(parsed.table.schema)
    else:
        print_ = storage.fingerprint(uri)
        digest, size = print_.digest, print_.size
        if content:
            rows, schema = _footer(uri, print_)
    return DataRef(
        uri=uri, format=name, partition=partition, version=version, digest=digest, rows=rows, bytes=size, schema=schema
    )


def _footer(uri: str, print_: storage.Fingerprint) -> tuple[int, dict[str, str]]:
    needed = min(formats.footer_size(print_.tail), print_.size)
    tail = print_.tail if needed <= len(print_.tail) else storage.read_tail(uri, needed)
    return formats.parquet_footer(tail, uri)
