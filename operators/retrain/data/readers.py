"""From a reference, a path or a URI to a DataFrame."""

import logging
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias, Union

from retrain.data import formats, storage
from retrain.exceptions import DataError, DigestMismatchError, MissingColumnError
from retrain.records import DataRef

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Source: TypeAlias = Union["DataRef", str, "os.PathLike[str]", "pd.DataFrame"]


def read(source: Source, *, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Read all rows (of `columns`, in that order) into memory; the index is 0..n-1.

    A DataRef with a digest is proven: DigestMismatchError where the object holds other bytes than were recorded.
    A DataFrame is passed through. Raises UnreadableDataError, MissingColumnError, StoreUnavailableError.
    A CSV of zero bytes is an empty frame.
    """
    if isinstance(source, DataRef | str | os.PathLike):
        uri = location(source)
        content = formats.parse(fetch(source), format_of(source), uri, columns)
        formats.require_unique(content.duplicates, uri)
        frame = content.frame()
    else:
        uri, frame = "the DataFrame", source
    return frame if columns is None else select(frame, columns, uri)


def select(frame: "pd.DataFrame", columns: Sequence[str], uri: str) -> "pd.DataFrame":
    """Return `columns` of a frame, in that order; MissingColumnError names those that are not there."""
    if missing := [name for name in columns if name not in frame.columns]:
        raise MissingColumnError(
            f"{uri} lacks the columns {missing}",
            expected=f"columns {list(columns)}",
            remedy="Deliver the columns, or change the declaration that names them",
        )
    return frame[list(columns)]


def read_many(sources: Iterable[Source], *, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Read several sources and concatenate them in the order given; the index is 0..n-1.

    All must have the same columns (their order may differ): a column that only some have would turn into nulls
    silently, so it is a MissingColumnError. No source at all is a DataError.
    """
    import pandas as pd

    frames = [read(source, columns=columns) for source in sources]
    if not frames:
        raise DataError("There is no data to read", expected="at least one source")
    names = set(frames[0].columns)
    for position, frame in enumerate(frames):
        if odd := sorted(map(str, names.symmetric_difference(frame.columns))):
            raise MissingColumnError(
                f"Source {position} differs from the first in the columns {odd}",
                expected="the same columns in every source",
                remedy="Read them with columns=..., or bring the sources to one schema",
            )
    return pd.concat(frames, ignore_index=True)


def read_common(sources: Iterable[Source]) -> "pd.DataFrame":
    """Read several sources with the columns that all of them have, in the order of the last one.

    Columns that only some have are left out, with a warning in the log: one source with a column more, or less, must
    not make the others useless. No source at all is a DataError, no common column a MissingColumnError.
    """
    import pandas as pd

    frames = [read(source) for source in sources]
    if not frames:
        raise DataError("There is no data to read", expected="at least one source")
    common = [name for name in frames[-1].columns if all(name in frame.columns for frame in frames)]
    if not common:
        raise MissingColumnError(f"No column is in all of the {len(frames)} sources", expected="one schema")
    names = dict.fromkeys(str(name) for frame in frames for name in frame.columns if name not in common)
    if names:
        log.warning("columns that are not in all of %d sources are left out: %s", len(frames), ", ".join(names))
    return pd.concat([frame[common] for frame in frames], ignore_index=True)


def location(source: DataRef | str | os.PathLike[str]) -> str:
    """Return the URI of a source."""
    return source.uri if isinstance(source, DataRef) else storage.normalise(source)


def format_of(source: DataRef | str | os.PathLike[str]) -> str:
    """Return the format of a source: `parquet` or `csv`."""
    return formats.format_of(location(source), source.format if isinstance(source, DataRef) else None)


def fetch(source: DataRef | str | os.PathLike[str]) -> bytes:
    """Return the object's bytes, proven against the digest where the source has one.

    The bytes that are proven are the bytes that get parsed: hashing first and opening again would leave a gap.
    """
    content = storage.read_bytes(location(source))
    prove(source, storage.digest_of(content))
    return content


def prove(source: DataRef | str | os.PathLike[str], found: str) -> None:
    """Raise DigestMismatchError where the digest that was found is not the one that the source carries, if any."""
    recorded = source.digest if isinstance(source, DataRef) else None
    if recorded is not None and found != recorded:
        raise DigestMismatchError(
            f"{location(source)} holds other bytes than were recorded: {found}",
            expected=recorded,
            remedy="Restore the object, or record it as a new version of the partition",
        )
