"""The rows of a snapshot as one frame, and a digest that proves them the same, bit for bit."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from retrain.records import DataRef, Snapshot

if TYPE_CHECKING:
    import pandas as pd

# Raised when the digest of one and the same frame changes.
_SCHEME = b"retrain.frame.1"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class FrameDigest:
    """The digest of a frame, of each column of it, and what it is made of.

    `columns` maps names, in order, to `{"dtype", "digest"}`. The digest of a column may be guessed backwards where it
    holds few values: it belongs where the data lies, and not into reports.
    """

    digest: str
    rows: int
    columns: Mapping[str, Mapping[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the columns as a list, which keeps their order."""
        columns = [{"name": name, **column} for name, column in self.columns.items()]
        return {"digest": self.digest, "rows": self.rows, "columns": columns}


def snapshot_frame(snapshot: Snapshot, *, on_read: Callable[[DataRef], None] | None = None) -> pd.DataFrame:
    """Read all partitions of a snapshot, their digests proven, into the frame that a training begins with.

    The columns are those that all partitions have; rows without a target are in it. `on_read` is told of each partition
    once it is read. Raises UnreadableDataError, DigestMismatchError, MissingColumnError, StoreUnavailableError.
    """
    from retrain.data import read, read_common

    def frames() -> Iterator[pd.DataFrame]:
        for ref in snapshot.partitions:
            frame = read(ref)
            if on_read is not None:
                on_read(ref)
            yield frame

    return read_common(frames())


def frame_digest(frame: pd.DataFrame) -> FrameDigest:
    """Digest the names, types and values of a frame's columns, in order; the index does not count.

    The same in every process and on every machine under one version of pandas. Floats count by their bits (NaN with
    another payload, and -0.0, are other values), a missing value is other than NaN where the type knows both.
    """
    columns = {}
    total = hashlib.sha256(_SCHEME + struct.pack("<qq", *frame.shape))
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        hasher = hashlib.sha256()
        _column(hasher, column)
        columns[str(name)] = {"dtype": str(column.dtype), "digest": f"sha256:{hasher.hexdigest()}"}
        for part in (str(name).encode(), str(column.dtype).encode(), hasher.digest()):
            total.update(_sized(part))
    return FrameDigest(f"sha256:{total.hexdigest()}", len(frame), columns)


def keep_digest(frame: pd.DataFrame, snapshot_uri: str, *, model: str, pii: Sequence[str] = ()) -> FrameDigest:
    """Digest the frame that `model` begins with, and keep beside the snapshot's manifest what it is made of.

    With that a later difference can be named, and whoever lists rows knows which columns (`pii`) not to show.
    """
    from retrain.data import storage
    from retrain.training.keys import library_versions

    made = frame_digest(frame)
    document = {**made.to_dict(), "pii": sorted(pii), "libraries": library_versions()}
    storage.write_json(description_uri(snapshot_uri, model, made.digest), document)
    return made


def description_uri(snapshot_uri: str, model: str, digest: str) -> str:
    """Return where `keep_digest` keeps the description of the frame with this digest."""
    name = f"{quote(model, safe='')}-{digest.removeprefix('sha256:')[:16]}"
    return f"{snapshot_uri.removesuffix('.json')}.frame-{name}.json"


def differences(recorded: Mapping[str, Any], found: FrameDigest) -> list[str]:
    """Say in what `found` differs from a digest that was kept as `to_dict` gives it; nothing where it does not."""
    before = {column["name"]: column for column in recorded["columns"]}
    named = []
    if recorded["rows"] != found.rows:
        named.append(f"{found.rows:,} rows and not {recorded['rows']:,}")
    named += [f"the column {name!r} is missing" for name in before if name not in found.columns]
    named += [f"the column {name!r} is new" for name in found.columns if name not in before]
    for name, column in found.columns.items():
        was = before.get(name)
        if was and was["dtype"] != column["dtype"]:
            named.append(f"{name!r} is {column['dtype']} and not {was['dtype']}")
        elif was and was["digest"] != column["digest"]:
            named.append(f"{name!r} has other values")
    if not named and list(before) != list(found.columns):
        named.append("the columns are in another order")
    return named


def _column(hasher: Any, column: pd.Series[Any]) -> None:
    import numpy as np
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        hasher.update(b"ordered" if dtype.ordered else b"unordered")
        _column(hasher, pd.Series(dtype.categories))
        _numbers(hasher, column.cat.codes.to_numpy())
    elif isinstance(dtype, pd.DatetimeTZDtype):
        _numbers(hasher, column.to_numpy(dtype=f"datetime64[{dtype.unit}]"))
    elif isinstance(dtype, np.dtype) and dtype.kind in "biufcmM":
        _numbers(hasher, column.to_numpy())
    else:
        _values(hasher, column)


def _numbers(hasher: Any, values: Any) -> None:
    """Hash fixed-width values by their bits, little-endian and without a copy of all of them."""
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        if part.dtype.kind in "mM":
            part = part.view("i8")
        hasher.update(part.astype(part.dtype.newbyteorder("<"), copy=False).tobytes())


def _values(hasher: Any, column: pd.Series[Any]) -> None:
    """Hash text, nullable and mixed values one by one, each with its type and its length."""
    import pandas as pd

    if isinstance(column.dtype, pd.StringDtype):
        _text(hasher, column)
        return
    for value in column.astype(object):
        hasher.update(_sized(_encoded(value)))


def _text(hasher: Any, column: pd.Series[Any]) -> None:
    """Hash which values are there, how long each is, and their bytes: far faster than one by one."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    for start in range(0, len(column), _CHUNK):
        part = pa.array(column.iloc[start : start + _CHUNK], type=pa.large_string(), from_pandas=True)
        whole = pa.chunked_array([part]).combine_chunks() if isinstance(part, pa.Array) else part.combine_chunks()
        filled = pc.fill_null(whole, "")
        hasher.update(np.packbits(np.asarray(pc.is_valid(whole))).tobytes())
        hasher.update(np.asarray(pc.binary_length(filled)).astype("<i8").tobytes())
        hasher.update("".join(filled.to_pylist()).encode("utf-8", "surrogatepass"))


def _encoded(value: Any) -> bytes:
    """Return bytes that tell any two values apart that Parquet and CSV can hold."""
    import numpy as np

    if isinstance(value, np.generic):
        return f"numpy.{value.dtype.str}".encode() + b"\0" + value.tobytes()
    if isinstance(value, float):
        return b"float\0" + struct.pack("<d", value)
    if isinstance(value, str):
        return b"str\0" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return b"bytes\0" + value
    if isinstance(value, np.ndarray):
        return _list(f"array.{value.dtype.str}", list(value))
    if isinstance(value, Mapping):
        return _list("dict", [part for item in value.items() for part in item])
    if isinstance(value, Sequence):
        return _list(type(value).__name__, value)
    # None, NA, whole numbers, decimals, dates and times say all that they are.
    return f"{type(value).__name__}\0{value!r}".encode()


def _list(kind: str, values: Sequence[Any]) -> bytes:
    return kind.encode() + b"\0" + b"".join(_sized(_encoded(value)) for value in values)


def _sized(part: bytes) -> bytes:
    return struct.pack("<q", len(part)) + part
