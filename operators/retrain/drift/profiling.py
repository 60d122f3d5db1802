"""Read a source and profile it: a DataFrame, a path or URI (also a glob or a folder), a DataRef, or several."""

import functools
import logging
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from retrain.drift.profiles import Profile
from retrain.exceptions import MissingColumnError, UnreadableDataError
from retrain.records import DataRef

if TYPE_CHECKING:
    import pandas as pd

    Source = pd.DataFrame | str | os.PathLike[str] | DataRef

log = logging.getLogger(__name__)

EXTENSIONS = (".parquet", ".csv", ".csv.gz")
# Bytes of a CSV from which on it is streamed.
LARGE_CSV = 64_000_000


def profile(
    source: "Source | Sequence[Source]",
    *,
    columns: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    target: str | None = None,
    prediction: str | None = None,
    pii: Sequence[str] = (),
) -> Profile:
    """Profile a table; several sources (a sequence, a glob, a folder) are read one by one and merged.

    `columns` limits the profile (target and prediction are added); a column that is not there is recorded, not an
    error, so that `compare` can name it. `categorical` names numbers and strings to compare as levels whatever their
    number. Of `pii` columns no value is kept, neither in the sample nor as a level or a quantile.
    One partition is in memory at a time; the profile itself is bounded.
    """
    wanted = None if columns is None else [*dict.fromkeys([*columns, *filter(None, (target, prediction))])]
    parts = (
        _profile_one(part, wanted, tuple(categorical or ()), target, prediction, tuple(pii)) for part in _parts(source)
    )
    return functools.reduce(Profile.merge, parts)


def as_profile(source: "Profile | Source", like: Profile | None = None) -> Profile:
    """Return a profile as it is; profile a source, with the options that `like` was made with."""
    if isinstance(source, Profile):
        return source
    if like is None:
        return profile(source)
    return profile(source, categorical=like.categorical, target=like.target, prediction=like.prediction, pii=like.pii)


def _profile_one(
    source: "Source",
    wanted: list[str] | None,
    categorical: tuple[str, ...],
    target: str | None,
    prediction: str | None,
    pii: tuple[str, ...],
) -> Profile:
    from retrain.drift.duckdb_engine import UnsuitableError, profile_file
    from retrain.drift.pandas_engine import profile_frame

    options: dict[str, Any] = {
        "columns": wanted,
        "categorical": categorical,
        "target": target,
        "prediction": prediction,
        "pii": pii,
    }
    if streamed := _streamable(source):
        try:
            return profile_file(*streamed, **options)
        except UnsuitableError as error:
            # pandas reads it, or says in our words why it cannot be read.
            log.info("%s is read by pandas: %s", source, error)
    return profile_frame(_read(source, wanted), **options)


def _streamable(source: Any) -> tuple[str, Any] | None:
    """Return path and filesystem of a file that DuckDB should read: Parquet, and CSV that is large.

    A reference with a digest is read whole, since the digest is proven on the bytes. A small CSV is left to pandas,
    which sees all rows before it decides on a type.
    """
    from retrain.data import filesystem

    if not isinstance(source, str | os.PathLike):
        return None
    uri = os.fspath(source)
    if not uri.lower().endswith(EXTENSIONS):
        return None
    fs, path = filesystem(uri)
    local = "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)
    if not fs.exists(path) or (not uri.lower().endswith(".parquet") and fs.size(path) < LARGE_CSV):
        return None
    return (str(path) if local else str(fs.unstrip_protocol(path))), fs


def _read(source: "Source", wanted: list[str] | None) -> "pd.DataFrame":
    from retrain.data import read

    try:
        return read(source, columns=wanted)
    except MissingColumnError:
        # A dropped column is for the verdict to name; the others are still worth a profile.
        return read(source)


def _parts(source: Any) -> Iterator[Any]:
    if isinstance(source, Sequence) and not isinstance(source, str):
        if not source:
            raise UnreadableDataError("there is no source to profile", expected="at least one")
        yield from source
    elif isinstance(source, str | os.PathLike):
        yield from _files(os.fspath(source))
    else:
        yield source


def _files(uri: str) -> list[str]:
    """Expand a glob or a folder into the URIs of its data files, sorted; a plain path is returned as it is."""
    from retrain.data import filesystem

    is_glob = any(character in uri for character in "*?[")
    fs, path = filesystem(uri)
    if not is_glob and not fs.isdir(path):
        return [uri]
    found = fs.glob(path) if is_glob else fs.find(path)
    files = sorted(str(file) for file in found if _is_data(str(file)))
    if not files:
        raise UnreadableDataError(f"{uri!r} matches no data file", expected=f"files ending in {', '.join(EXTENSIONS)}")
    return [str(fs.unstrip_protocol(file)) for file in files]


def _is_data(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name.endswith(EXTENSIONS) and not name.startswith((".", "_"))
