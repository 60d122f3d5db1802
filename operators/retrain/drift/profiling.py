"""Read a source and profile it: a DataFrame, a path or URI (also a glob, a folder, a table), a DataRef, or several."""

import functools
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from retrain.drift.profiles import Profile
from retrain.drift.tables import Options
from retrain.exceptions import DataError, MissingColumnError, UnreadableDataError
from retrain.records import DataRef

if TYPE_CHECKING:
    import pandas as pd

    Source = pd.DataFrame | str | os.PathLike[str] | DataRef

log = logging.getLogger(__name__)

EXTENSIONS = (".parquet", ".csv", ".csv.gz")
# Bytes of a CSV from which on it is streamed.
LARGE_CSV = 64_000_000
# Files that are read as one table: each is held open until it is read.
FILES = 16


def profile(
    source: "Source | Sequence[Source]",
    *,
    columns: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    target: str | None = None,
    prediction: str | None = None,
    pii: Sequence[str] = (),
) -> Profile:
    """Profile a table; of several sources (a sequence, a glob, a folder) the profiles are merged.

    `columns` limits the profile (target and prediction are added); a column that is not there is recorded, not an
    error, so that `compare` can name it. `categorical` names numbers and strings to compare as levels whatever their
    number. Of `pii` columns no value is kept, neither in the sample nor as a level or a quantile.
    Parquet, and CSV from 64 MB on, is streamed in bounded memory, whatever its size; a digest is proven before.
    A table (`sql://`, see `retrain.data.sql`) is counted in its database. The profile itself is bounded.
    """
    wanted = None if columns is None else tuple(dict.fromkeys([*columns, *filter(None, (target, prediction))]))
    options = Options(wanted, tuple(categorical or ()), target, prediction, tuple(pii))
    profiles = (made for batch in _batches(_parts(source)) for made in _profile_together(batch, options))
    return functools.reduce(Profile.merge, profiles)


def as_profile(source: "Profile | Source", like: Profile | None = None) -> Profile:
    """Return a profile as it is; profile a source, with the options that `like` was made with."""
    if isinstance(source, Profile):
        return source
    if like is None:
        return profile(source)
    return profile(source, categorical=like.categorical, target=like.target, prediction=like.prediction, pii=like.pii)


def _batches(parts: "Iterable[Source]") -> "Iterator[list[Source]]":
    """Put files that DuckDB may read as one table together, everything else by itself; the order stays."""
    batch: list[Any] = []
    for part in parts:
        if batch and not (_is_parquet(part) and _is_parquet(batch[-1]) and len(batch) < FILES):
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch


def _profile_together(batch: "Sequence[Source]", options: Options) -> Iterator[Profile]:
    from retrain.drift.duckdb_engine import UnsuitableError
    from retrain.drift.pandas_engine import profile_frame

    if uri := _table(batch[0]):
        from retrain.drift.sql_engine import profile_sql

        yield profile_sql(uri, options)
        return
    if all(map(_is_streamed, batch)):
        try:
            yield _streamed(batch, options)
            return
        except UnsuitableError as error:
            # Each by itself, and at last pandas, which reads it or says in our words why it cannot be read.
            log.info("%s is read in another way: %s", batch[0], error)
    if len(batch) > 1:
        for source in batch:
            yield from _profile_together([source], options)
    elif _is_file(batch[0]):
        yield profile_frame(_read(batch[0], options), options)
    else:
        yield profile_frame(_frame(batch[0]), options)


def _streamed(batch: "Sequence[Any]", options: Options) -> Profile:
    """Let DuckDB read files, whose digests are proven first; that they stay the same, afterwards."""
    from retrain.data import filesystem, proven
    from retrain.data.readers import location
    from retrain.drift.duckdb_engine import UnsuitableError, profile_files, protocols

    with ExitStack() as opened:
        streams = [opened.enter_context(proven(source)) for source in batch]
        schemas = [_schema(stream) for stream in streams] if _is_parquet(batch[0]) else [None]
        if any(schema != schemas[0] for schema in schemas):
            raise UnsuitableError("the files differ in their columns")
        found = [filesystem(location(source)) for source in batch]
        paths = [str(path) if "file" in protocols(fs) else str(fs.unstrip_protocol(path)) for fs, path in found]
        names = None if schemas[0] is None else [name for name, _ in schemas[0]]
        return profile_files(paths, found[0][0], names, options)


def _schema(stream: Any) -> list[tuple[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from retrain.drift.duckdb_engine import UnsuitableError

    try:
        return [(field.name, str(field.type)) for field in pq.read_schema(stream)]
    except (pa.ArrowException, OSError) as error:
        raise UnsuitableError(f"{type(error).__name__}: {error}") from error


def _table(source: Any) -> str | None:
    """Return the address of a source that is a table in a database."""
    uri = source.uri if isinstance(source, DataRef) else source
    return uri if isinstance(uri, str) and uri.startswith("sql://") else None


def _is_file(source: Any) -> bool:
    return isinstance(source, str | os.PathLike | DataRef) and not _table(source)


def _is_parquet(source: Any) -> bool:
    if not _is_file(source):
        return False
    if isinstance(source, DataRef):
        return source.format == "parquet"
    return str(os.fspath(source)).lower().endswith(".parquet")


def _is_streamed(source: Any) -> bool:
    """Whether DuckDB should read it: Parquet, and CSV that is large.

    A small CSV is left to pandas, which sees all rows before it decides on a type.
    """
    from retrain.data import storage
    from retrain.data.readers import format_of, location

    if not _is_file(source):
        return False
    return _is_parquet(source) or bool(storage.info(location(source)).size >= LARGE_CSV and format_of(source) == "csv")


def _read(source: "Source", options: Options) -> "pd.DataFrame":
    from retrain.data import read

    try:
        return read(source, columns=options.columns)
    except MissingColumnError:
        # A dropped column is for the verdict to name; the others are still worth a profile.
        return read(source)


def _frame(source: Any) -> "pd.DataFrame":
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source
    raise DataError(
        f"a source is of type {type(source).__name__}",
        expected="a pandas DataFrame, a path or URI, a DataRef, or a list of them",
        remedy="call its to_pandas()" if hasattr(source, "to_pandas") else None,
    )


def _parts(source: Any) -> Iterator[Any]:
    if isinstance(source, Sequence) and not isinstance(source, str):
        if not source:
            raise UnreadableDataError("there is no source to profile", expected="at least one")
        yield from source
    elif isinstance(source, str | os.PathLike) and not _table(source):
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
