"""Which partitions lie in a store: one listing against a template such as `s3://bucket/{partition}.parquet`."""

import re
from dataclasses import dataclass

from retrain.data import storage
from retrain.exceptions import DataError, DeclarationError, UnreadableDataError

PLACEHOLDER = "{partition}"
# What uploads, browsers and editors call a file that is not finished yet.
_TEMPORARY = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".filepart", ".swp", "~")


@dataclass(frozen=True)
class Found:
    """One partition that is there. `token` changes when the object changes; `size` is in bytes."""

    uri: str
    partition: str
    size: int
    token: str


def scan(template: str) -> tuple[Found, ...]:
    """List the partitions that match a template, sorted by partition.

    The template holds `{partition}` exactly once, in a file or a folder name; every other character stands for
    itself. Hidden names (`.x`, `_x`) and those of unfinished files (`.tmp`, `.part`, `.crdownload`, `~` ...) are passed
    over. A folder that is not there has no partitions. Cost: one listing; where the placeholder is in a folder name,
    one look-up per folder more. Raises DeclarationError for a template, StoreUnavailableError and UnreadableDataError.
    """
    head, folder_part, file_part, rest = _split(template)
    pattern = re.compile(f"{re.escape(folder_part)}(?P<partition>[^/]+){re.escape(file_part)}")
    found = []
    for entry in storage.listing(head, directories=bool(rest)):
        match = pattern.fullmatch(entry.name)
        if not match or not _is_finished(entry.name) or not _is_finished(match["partition"]):
            continue
        target: storage.Entry | None = entry
        if rest:
            target = _object(f"{entry.uri}/{rest}")
        if target is not None:
            found.append(Found(target.uri, match["partition"], target.size, target.token))
    return tuple(sorted(found, key=lambda one: one.partition))


def locate(template: str, partition: str) -> str:
    """Return the URI of one partition; DataError for a name that `scan` would not accept, such as `../x`."""
    _split(template)
    if "/" in partition or "\\" in partition or not partition or not _is_finished(partition):
        raise DataError(
            f"{partition!r} is not a partition name",
            expected="a name without '/', not hidden (leading '.' or '_') and not of a temporary file",
        )
    return storage.normalise(template.replace(PLACEHOLDER, partition))


def _split(template: str) -> tuple[str, str, str, str]:
    """Cut a template into the folder to list, the name before and after the placeholder, and the path below."""
    before, placeholder, after = template.partition(PLACEHOLDER)
    head, slash, prefix = before.rpartition("/")
    suffix, _, rest = after.partition("/")
    if not placeholder or PLACEHOLDER in after or ".." in template.split("/"):
        raise DeclarationError(
            f"{template!r} is not a template of partitions",
            expected=f"a path or URI with {PLACEHOLDER} in it exactly once and without '..'",
            remedy=f"Write it as s3://bucket/folder/{PLACEHOLDER}.parquet",
        )
    return (head or ("/" if slash else ".")), prefix, suffix, rest


def _is_finished(name: str) -> bool:
    return not name.startswith((".", "_")) and not name.lower().endswith(_TEMPORARY)


def _object(uri: str) -> storage.Entry | None:
    if not storage.exists(uri):
        return None
    try:
        return storage.info(uri)
    except UnreadableDataError:
        return None  # a folder of that name, or deleted since
