"""Objects that are too large for memory, out: written piece by piece, seen whole or not at all."""

import hashlib
import io
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from retrain.data import storage
from retrain.data._errors import writing


class Outgoing(io.RawIOBase):
    """What `open_write` yields: a binary stream that counts and digests what is written to it."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._hasher = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over what was written so far."""
        return f"sha256:{self._hasher.hexdigest()}"

    def writable(self) -> bool:
        """Yes; it can not be read, and has no other position than its end."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.size

    def write(self, content: Any) -> int:
        """Append bytes."""
        view = memoryview(content)
        self._stream.write(view)
        self._hasher.update(view)
        self.size += view.nbytes
        return view.nbytes


@contextmanager
def open_write(uri: str | os.PathLike[str]) -> Iterator[Outgoing]:
    """Open an object for writing; it appears whole when the block ends, and not at all when the block raises.

    On a local disk a hidden temporary file is renamed over the target. For a store the bytes gather in a temporary file
    of this machine, because an upload that is given up half-way is kept, and billed, by some stores; a large one is
    then sent in parts. Raises StoreUnavailableError.
    """
    uri = storage.normalise(uri)
    path = _local_path(uri)
    with writing(uri), _temporary(path) as temporary:
        with open(temporary, "wb") as stream:
            yield Outgoing(stream)
            stream.flush()
            os.fsync(stream.fileno())
        if path is None:
            _send(temporary, uri)
        else:
            os.replace(temporary, path)


def upload(file: str | os.PathLike[str], uri: str | os.PathLike[str]) -> str:
    """Copy a local file to an object, which appears whole; return its URI. Raises StoreUnavailableError."""
    uri = storage.normalise(uri)
    path = _local_path(uri)
    with writing(uri):
        if path is None:
            _send(os.fspath(file), uri)
            return uri
        with _temporary(path) as temporary:
            with open(file, "rb") as source, open(temporary, "wb") as stream:
                shutil.copyfileobj(source, stream, storage.CHUNK_BYTES)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
    return uri


def _local_path(uri: str) -> str | None:
    return uri.removeprefix("file://") if uri.startswith("file://") else None


@contextmanager
def _temporary(path: str | None) -> Iterator[str]:
    """Name a file beside `path`, which no scan takes for an arrival, or on this machine; remove it if it is left."""
    if path is None:
        folder = tempfile.gettempdir()
    else:
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
    name = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
    try:
        yield name
    finally:
        with suppress(FileNotFoundError):
            os.remove(name)


def _send(file: str, uri: str) -> None:
    fs, path = storage.filesystem(uri)
    fs.put_file(file, path)
