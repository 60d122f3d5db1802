"""Objects on local disk, S3 and whatever else fsspec speaks: the one place that opens a store.

Options come, later over earlier, from defaults that keep a dead endpoint from hanging a task, fsspec's own
configuration (`FSSPEC_*`, its files; for S3 also `AWS_*` with `AWS_ENDPOINT_URL`), and `configure`.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fsspec
from fsspec import config as fsspec_config
from fsspec.utils import get_protocol

from retrain.data import dvc_source
from retrain.data._errors import reading, service_code, writing
from retrain.exceptions import ConfigurationError, DataError, MissingDependencyError, UnreadableDataError

CHUNK_BYTES = 4 * 1024 * 1024
TAIL_BYTES = 256 * 1024
_LOCAL = ("file", "local")
_S3 = ("s3", "s3a")
_DVC = "dvc"
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure"}

# A context variable and not a global: two triggers with different connections share one process.
_configured: ContextVar[Mapping[str, Mapping[str, Any]] | None] = ContextVar("retrain_storage", default=None)


@dataclass(frozen=True)
class Entry:
    """One object under a prefix. `token` changes when the object does (ETag, or inode and modification time).

    `modified` is the time of modification in epoch seconds, None where the store tells none.
    """

    uri: str
    name: str
    size: int
    token: str
    modified: float | None = None


@dataclass(frozen=True)
class Fingerprint:
    """What one pass over an object tells: `sha256:<hex>`, its size, and its last `TAIL_BYTES` bytes."""

    digest: str
    size: int
    tail: bytes


@contextmanager
def configure(protocol: str, **options: Any) -> Iterator[None]:
    """Use `options` (fsspec's, such as `key`, `secret`, `endpoint_url`) for a protocol while the block runs.

    This is how credentials of an Airflow connection reach a store without entering `os.environ`. It holds for the
    current context, `asyncio` tasks and `asyncio.to_thread` included; a plain `threading.Thread` starts without it.
    """
    current = _configured.get() or {}
    token = _configured.set({**current, protocol: {**current.get(protocol, {}), **options}})
    try:
        yield
    finally:
        _configured.reset(token)


def normalise(source: str | os.PathLike[str]) -> str:
    """Return a URI that means the same in another process: a local path becomes an absolute `file://` URI."""
    uri = os.fspath(source)
    protocol = get_protocol(uri)
    if protocol == _DVC:
        return dvc_source.parse(uri).uri
    if protocol not in _LOCAL:
        return uri
    path = uri.partition("://")[2] if uri.startswith(tuple(f"{name}://" for name in _LOCAL)) else uri
    return "file://" + os.path.abspath(os.path.expanduser(path))


def filesystem(uri: str | os.PathLike[str]) -> tuple[Any, str]:
    """Open the store of a URI; return the fsspec filesystem and the path in it.

    Raises MissingDependencyError where the protocol's library is not installed, ConfigurationError where the
    protocol is unknown. Nothing is connected to yet.
    """
    uri = normalise(uri)
    protocol = get_protocol(uri)
    if protocol in _LOCAL:
        return fsspec.filesystem("file"), uri.removeprefix("file://")
    if protocol == _DVC:
        return dvc_source.filesystem(uri, _chosen((_DVC,)))
    try:
        fs, path = fsspec.core.url_to_fs(uri, **_options(protocol))
        if protocol in _S3:
            fs.retries = 2  # s3fs's own, times botocore's; it takes no option for them
        return fs, path
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        raise MissingDependencyError(
            f"{uri} needs a library that is not installed: {error}",
            remedy=f"pip install 'airflow-provider-retrain[{extra}]'" if extra else "Install the library it names",
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"{uri} cannot be opened: {error}",
            expected="a local path or a URI of a protocol that fsspec knows, such as file://, s3://, gs://, abfs://",
        ) from error


def join(uri: str | os.PathLike[str], *parts: str) -> str:
    """Append path parts to a URI; a part that would climb out (`..`) is a DataError."""
    joined = normalise(uri).rstrip("/")
    for part in parts:
        pieces = [piece for piece in part.split("/") if piece]
        if not pieces or any(piece in (".", "..") for piece in pieces):
            raise DataError(f"{part!r} is not a path under {joined}", expected="a name without '.' or '..' parts")
        joined = "/".join([joined, *pieces])
    return joined


def info(uri: str | os.PathLike[str]) -> Entry:
    """Return size and token of one object; UnreadableDataError where there is none."""
    uri = normalise(uri)
    fs, path = filesystem(uri)
    with _reading(uri, fs, path):
        found = fs.info(path)
    if found["type"] == "directory":
        raise UnreadableDataError(f"{uri} is a directory", expected="the URI of one object")
    return Entry(uri, uri.rpartition("/")[2], int(found["size"] or 0), _token(found), _modified(found))


def exists(uri: str | os.PathLike[str]) -> bool:
    """Say whether an object (or directory) is there; a store that does not answer is an error, not a no."""
    uri = normalise(uri)
    fs, path = filesystem(uri)
    with _reading(uri, fs, path):
        try:
            fs.info(path)
        except FileNotFoundError:
            return False
    return True


def listing(uri: str | os.PathLike[str], *, directories: bool = False) -> tuple[Entry, ...]:
    """List the objects (or, instead, the directories) directly under a URI, by name.

    A prefix that is not there lists as empty: object stores have no directories, so it only means "nothing yet".
    """
    uri = normalise(uri)
    fs, path = filesystem(uri)
    uri = uri if uri.startswith(dvc_source.PREFIX) and not path else uri.rstrip("/") + "/"
    wanted = "directory" if directories else "file"
    with reading(uri):
        try:
            found = fs.ls(path, detail=True)
        except (FileNotFoundError, NotADirectoryError) as error:
            # A bucket never appears by itself: waiting for one that is misspelt would be waiting for ever.
            if service_code(error) == "NoSuchBucket":
                raise
            return ()
    entries = []
    for item in found:
        name = item["name"].rstrip("/").rpartition("/")[2]
        # S3 consoles leave an empty object named like the prefix itself; a file lists as itself.
        if item["type"] == wanted and item["name"].strip("/") != path.strip("/") and not _only_in_git(item):
            entries.append(Entry(f"{uri}{name}", name, int(item["size"] or 0), _token(item), _modified(item)))
    return tuple(sorted(entries, key=lambda entry: entry.name))


def read_bytes(uri: str | os.PathLike[str]) -> bytes:
    """Return an object's bytes."""
    uri = normalise(uri)
    fs, path = filesystem(uri)
    with _reading(uri, fs, path):
        content: bytes = fs.cat_file(path)
    return content


def read_tail(uri: str | os.PathLike[str], size: int) -> bytes:
    """Return the last `size` bytes of an object (all of it, where it is shorter)."""
    uri = normalise(uri)
    fs, path = filesystem(uri)
    with _reading(uri, fs, path), fs.open(path, "rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - size))
        content: bytes = stream.read()
    return content


def fingerprint(uri: str | os.PathLike[str]) -> Fingerprint:
    """Digest an object in one pass, 4 MiB at a time."""
    uri = normalise(uri)
    fs, path = filesystem(uri)
    hasher, size, tail = hashlib.sha256(), 0, b""
    with _reading(uri, fs, path), fs.open(path, "rb", block_size=CHUNK_BYTES) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            hasher.update(chunk)
            size += len(chunk)
            tail = (tail + chunk)[-TAIL_BYTES:]
    return Fingerprint(f"sha256:{hasher.hexdigest()}", size, tail)


def digest_of(content: bytes) -> str:
    """Return `sha256:<hex>` over bytes that are already here."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def write_bytes(uri: str | os.PathLike[str], content: bytes) -> str:
    """Write an object so that a reader sees the old bytes or the new, never a part; return its URI.

    Object stores publish a PUT whole; on a local disk a hidden temporary file is renamed over the target.
    Raises StoreUnavailableError.
    """
    uri = normalise(uri)
    fs, path = filesystem(uri)
    with writing(uri):
        if get_protocol(uri) in _LOCAL:
            _write_local(path, content)
        else:
            fs.pipe_file(path, content)
    return uri


def read_json(uri: str | os.PathLike[str]) -> Any:
    """Return a JSON document; UnreadableDataError where it is not one."""
    content = read_bytes(uri)
    try:
        return json.loads(content)
    except ValueError as error:
        raise UnreadableDataError(f"{normalise(uri)} is not JSON: {error}", expected="a JSON document") from error


def write_json(uri: str | os.PathLike[str], document: Any) -> str:
    """Write a JSON document atomically and with sorted keys, so that equal documents have equal bytes."""
    text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return write_bytes(uri, (text + "\n").encode())


def _reading(uri: str, fs: Any, path: str) -> AbstractContextManager[None]:
    return reading(uri, probe=lambda: fs.cat_file(path, start=0, end=1))


def _options(protocol: str) -> dict[str, Any]:
    implementation = fsspec.get_filesystem_class(protocol)
    names = implementation.protocol
    aliases = (names,) if isinstance(names, str) else tuple(names)
    options: dict[str, Any] = {}
    if implementation.__module__ != "fsspec.implementations.memory":
        # A cached listing would hide what has arrived since.
        options["use_listings_cache"] = False
    if protocol in _S3:
        # The defaults (60 s, five tries, times s3fs's five) keep a task waiting for minutes on a store that is silent.
        options["config_kwargs"] = {"connect_timeout": 5, "read_timeout": 15, "retries": {"total_max_attempts": 2}}
    return {**options, **_chosen(aliases)}


def _chosen(aliases: tuple[str, ...]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for known in (fsspec_config.conf, _configured.get() or {}):
        for alias in aliases:
            options.update(known.get(alias, {}))
    return options


def _only_in_git(found: Mapping[str, Any]) -> bool:
    """Say whether a file is one that DVC's file system shows beside the data: it has no digest to know it by."""
    return found["type"] == "file" and "repo" in found and not found.get("md5")


def _token(found: Mapping[str, Any]) -> str:
    for name in ("ETag", "etag", "md5Hash", "generation", "md5"):
        if found.get(name):
            return f"{found[name]}".strip('"')
    parts = [found.get(name) for name in ("mtime", "ino", "LastModified", "last_modified", "created", "size")]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _modified(found: Mapping[str, Any]) -> float | None:
    for name in ("mtime", "LastModified", "last_modified", "updated", "modified", "created"):
        value = found.get(name)
        if isinstance(value, str):
            with suppress(ValueError):
                value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return None


def _write_local(path: str, content: bytes) -> None:
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    # Hidden and with a temporary suffix: no scan takes it for an arrival.
    temporary = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.remove(temporary)
