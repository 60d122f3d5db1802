"""Reads a stored page for the API server, and refuses everything else that lies in a store, or beside it."""

import os
from collections.abc import Sequence

from retrain.data import storage
from retrain.exceptions import DataError

# Ours are of 4 MB at most. The API server holds a page in memory, for each reader that opens one.
LARGEST_BYTES = 32 * 1024 * 1024


class ForbiddenPageError(DataError):
    """What a task calls its page is none that may be shown."""


def read_page(uri: str, stores: Sequence[str]) -> bytes:
    """Return the bytes of an HTML page that lies under one of `stores`.

    An XCom says where the page lies, and who may write XComs of one DAG may not thereby read the files of the server or
    the rows of another model: ForbiddenPageError for anything but `*.html` under a store, `..` and symbolic links
    that lead out included. UnreadableDataError: not there; StoreUnavailableError: the store does not answer.
    """
    place = _inside(uri, stores)
    size = storage.info(place).size
    if size > LARGEST_BYTES:
        raise ForbiddenPageError(
            f"{uri} has {size:,} bytes",
            expected=f"a page of at most {LARGEST_BYTES:,}",
            remedy="Read it from the store",
        )
    return storage.read_bytes(place)


def _inside(uri: str, stores: Sequence[str]) -> str:
    parts = uri.replace("\\", "/").split("/")
    if not uri.isprintable() or not uri.endswith(".html") or {".", ".."} & set(parts):
        raise ForbiddenPageError(
            f"{uri!r} is not shown", expected="the URI of an .html object without '.' and '..' in its path"
        )
    for store in stores:
        if place := _under(storage.normalise(uri), storage.normalise(store).rstrip("/")):
            return place
    raise ForbiddenPageError(
        f"{uri} is not shown",
        expected="a page under [retrain] store or [retrain] page_stores",
        remedy="Name the store of this model in [retrain] page_stores of the API server's configuration",
    )


def _under(uri: str, store: str) -> str | None:
    """Return what to read if `uri` lies under `store`; for local files, after every symbolic link was followed."""
    if not uri.startswith(f"{store}/"):
        return None
    if not store.startswith("file://"):
        return uri
    root, target = (os.path.realpath(one.removeprefix("file://")) for one in (store, uri))
    return f"file://{target}" if target.startswith(root.rstrip("/") + "/") else None
