"""One look at a source of data, and what has to be kept for the next one."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from retrain.triggers._pool import in_thread

if TYPE_CHECKING:
    from retrain.data import Found, Seen
    from retrain.data.storage import Entry

PLACEHOLDER = "{partition}"
INLINE = 2000  # so many names are looked through without leaving the event loop
_NO_FOLDERS = ("sql://", "dvc:")


def is_growing(data: str) -> bool:
    """Say whether a template's partitions are what came after the one before, by a column that only grows."""
    return data.startswith("sql://") and f">{PLACEHOLDER}" in data


class Lookout:
    """Lists the finished partitions of a template, as often as it is asked; blocks, and is asked by one at a time.

    Connections of `sql://` are Airflow's. Of a column that only grows, the listing is the rows after `after`; without
    it, the latest rows that were found. Raises what `retrain.data.scan` raises.
    """

    def __init__(self, data: str, complete: Mapping[str, Any] | None = None, after: str | None = None) -> None:
        self.data = data
        self.complete = dict(complete or {})
        self.after = after
        self._seen: Mapping[str, Seen] | None = None
        self._latest: tuple[Found, ...] = ()

    def look(self) -> "tuple[Found, ...]":
        """Look once."""
        if not self.data.startswith("sql://"):
            return self._objects()
        from retrain.data import scan, sql
        from retrain.hooks.sql import sql_engine

        with sql.connections(sql_engine):
            if not is_growing(self.data):
                return scan(self.data, complete=self.complete)
            if self.after is not None:
                return scan(self.data, complete=self.complete, known=[self.after])
            known = [one.partition for one in self._latest]
            self._latest = scan(self.data, complete=self.complete, known=known) or self._latest
            return self._latest

    def _objects(self) -> "tuple[Found, ...]":
        from retrain.data import Completeness, remember, scan_all

        now = time.time()
        finished, unfinished = scan_all(self.data, self.complete, seen=self._seen, now=now)
        if Completeness.of(self.complete).stable_seconds:
            seen = remember(self._seen or {}, [*finished, *unfinished], now)
            if self._seen is None:
                # Nothing was known before, so their time of modification has spoken for them; it goes on to.
                seen |= {one.uri: replace(seen[one.uri], since=one.modified or now) for one in finished}
            self._seen = seen
        return finished


@dataclass(frozen=True)
class Place:
    """Where a look is made: a folder, of whose files several templates may be interested in some, or one template.

    A folder is listed whole, once, for all templates that name files in it. Rules of completeness mean something else
    for each template, and templates that name folders need look-ups of their own: these are not shared.
    """

    address: str
    folder: bool = False
    complete: str = ""
    after: str | None = None

    @classmethod
    def of(cls, data: str, complete: Mapping[str, Any] | None = None, after: str | None = None) -> "Place":
        """Return the place where the partitions of a template lie."""
        rules = json.dumps(complete, sort_keys=True) if complete else ""
        folder, _, name = data.rpartition("/")
        plain = folder and PLACEHOLDER not in folder and name.count(PLACEHOLDER) == 1 and ".." not in data.split("/")
        if rules or not plain or data.startswith(_NO_FOLDERS):
            return cls(data, complete=rules, after=after if is_growing(data) else None)
        return cls(folder if "://" in folder else os.path.abspath(os.path.expanduser(folder)), folder=True)

    def looker(self) -> "Callable[[], Listing]":
        """Return what looks there; it keeps what it needs from one call to the next."""
        if self.folder:
            return lambda: Listing(entries=_entries(self.address))
        lookout = Lookout(self.address, json.loads(self.complete) if self.complete else None, self.after)
        return lambda: Listing(found=lookout.look())


def _entries(folder: str) -> "tuple[Entry, ...]":
    from retrain.data import storage

    return storage.listing(folder)


@dataclass(frozen=True)
class Listing:
    """What lies at a place: the partitions of a template, or all entries of a folder."""

    found: "tuple[Found, ...] | None" = None
    entries: "tuple[Entry, ...]" = ()
    _of: "dict[str, tuple[Found, ...]]" = field(default_factory=dict, compare=False)

    async def of(self, data: str) -> "tuple[Found, ...]":
        """Return the partitions of a template; they are worked out once for all who ask."""
        if self.found is not None:
            return self.found
        if data not in self._of:
            many = len(self.entries) > INLINE
            self._of[data] = await in_thread("names", lambda: self._matching(data)) if many else self._matching(data)
        return self._of[data]

    def _matching(self, data: str) -> "tuple[Found, ...]":
        """Return what `scan(data)` would find among these entries."""
        from retrain.data import Found
        from retrain.data.completeness import is_finished_name
        from retrain.data.scan import is_partition_name

        before, _, after = data.rpartition("/")[2].partition(PLACEHOLDER)
        found = []
        for one in self.entries:
            name = one.name
            if not name.startswith(before) or not name.endswith(after) or not is_finished_name(name):
                continue
            partition = name[len(before) : len(name) - len(after)]
            if len(name) > len(before) + len(after) and is_partition_name(partition):
                found.append(Found(one.uri, partition, one.size, one.token, one.modified))
        return tuple(sorted(found, key=lambda each: each.partition))
