"""Which partitions lie in a store: one listing against a template such as `s3://bucket/{partition}.parquet`."""

import logging
import re
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from retrain.data import dvc_source, storage
from retrain.data.completeness import Completeness, Seen, is_complete, is_finished_name
from retrain.exceptions import DeclarationError, UnreadableDataError

log = logging.getLogger(__name__)

PLACEHOLDER = "{partition}"
NAME_LIMIT = 200  # Airflow keeps 250 characters of a partition's key, and versions are written behind it


@dataclass(frozen=True)
class Found:
    """One partition that is there. `token` changes when the object changes; `size` is in bytes.

    `modified` is when, in epoch seconds, as far as the store tells. Of a table's rows, `size` is their number.
    """

    uri: str
    partition: str
    size: int
    token: str
    modified: float | None = None


def scan(
    template: str,
    *,
    complete: Completeness | Mapping[str, Any] | None = None,
    known: Iterable[str] = (),
    seen: Mapping[str, Seen] | None = None,
    now: float | None = None,
) -> tuple[Found, ...]:
    """List the finished partitions that match a template, sorted by partition.

    A template of files holds `{partition}` exactly once, in a file or a folder name; every other character stands for
    itself. Hidden names (`.x`, `_x`), those of unfinished files (`.tmp`, `.part`, `.crdownload`, `~` ...) and names
    that no partition may have (with a backslash or a control character) are passed over. A folder that is not there has
    no partitions. Cost: one listing; where the placeholder is in a folder name, one look-up per folder more.
    A template of a table (`sql://`) is asked in one query; where its column only grows, `known` has to be the
    partitions that are known already, for the next begins behind the last of them.

    `complete` adds rules (a `Completeness`, or its fields); `seen` is what `remember` made of the listing before, `now`
    the time in epoch seconds. Raises DeclarationError for template and rules, StoreUnavailableError,
    UnreadableDataError.
    """
    return scan_all(template, complete, known=known, seen=seen, now=now)[0]


def scan_all(
    template: str,
    complete: Completeness | Mapping[str, Any] | None = None,
    *,
    known: Iterable[str] = (),
    seen: Mapping[str, Seen] | None = None,
    now: float | None = None,
) -> tuple[tuple[Found, ...], tuple[Found, ...]]:
    """List as `scan` does; return the finished partitions, and those that are still being written by the rules."""
    if template.startswith("sql://"):
        from retrain.data import sql  # a deployment without tables need not load it

        return sql.scan(template, known=known), ()
    rule = Completeness.of(complete)
    if template.startswith(dvc_source.PREFIX):
        rule = replace(rule, age_seconds=0.0, stable_seconds=0.0)  # what a revision holds is finished
    moment = time.time() if now is None else now
    finished: list[Found] = []
    unfinished: list[Found] = []
    for found, marked in _matches(template, rule):
        before = None if seen is None else seen.get(found.uri, Seen(-1, "", moment))
        done = is_complete(found, rule, now=moment, seen=before, marked=marked)
        (finished if done else unfinished).append(found)
    return tuple(sorted(finished, key=_key)), tuple(sorted(unfinished, key=_key))


def is_partition_name(name: str) -> bool:
    """Say whether a partition may be called so: no path, no control character, not hidden, at most 200 characters."""
    # Controls, and what stands for the bytes of a file name that is not UTF-8.
    odd = any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name)
    return not odd and "/" not in name and "\\" not in name and 0 < len(name) <= NAME_LIMIT and is_finished_name(name)


def _matches(template: str, rule: Completeness) -> Iterator[tuple[Found, bool]]:
    """Yield what the template matches, and whether its marker lies beside it."""
    head, folder_part, file_part, rest = _split(template)
    pattern = re.compile(f"{re.escape(folder_part)}(?P<partition>[^/]+){re.escape(file_part)}", re.DOTALL)
    entries = storage.listing(head, directories=bool(rest))
    names = {entry.name for entry in entries}
    for entry in entries:
        match = pattern.fullmatch(entry.name)
        if not match or not is_finished_name(entry.name, rule.ignore):
            continue
        partition = match["partition"]
        if not is_partition_name(partition):
            if is_finished_name(partition):
                log.warning("%r is passed over: %r is not a name for a partition", entry.uri, partition)
            continue
        marker = None if rule.marker is None else rule.marker.replace(PLACEHOLDER, partition)
        target, marked = (entry, marker in names) if not rest else _inside(f"{entry.uri}/{rest}", marker, rule)
        if target is not None:
            yield Found(target.uri, partition, target.size, target.token, target.modified), marked


def _inside(uri: str, marker: str | None, rule: Completeness) -> tuple[storage.Entry | None, bool]:
    """Look up an object in a partition's folder, and its marker in the same listing."""
    folder, _, name = uri.rpartition("/")
    if not is_finished_name(name, rule.ignore):
        return None, False
    if marker is None:
        return _object(uri), False
    entries = {entry.name: entry for entry in storage.listing(folder)}
    return entries.get(name), marker in entries


def _object(uri: str) -> storage.Entry | None:
    if not storage.exists(uri):
        return None
    try:
        return storage.info(uri)
    except UnreadableDataError:
        return None  # a folder of that name, or deleted since


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
    if template.startswith(dvc_source.PREFIX) and head.endswith("/"):
        head += "/"  # the folder is the root of the repository, whose address ends in two
    return (head or ("/" if slash else ".")), prefix, suffix, rest


def _key(found: Found) -> str:
    return found.partition
