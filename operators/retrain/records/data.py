"""References to data: what travels between stages instead of rows."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from retrain.records._codec import Record


@dataclass(frozen=True)
class DataRef(Record):
    """One immutable object of tabular data: where it lies, how to read it, and what it must contain.

    `digest` is `sha256:<hex>` over the object's bytes; a reader that is given a digest proves it.
    `labels` is the version of the labels that were joined, where these arrive apart. `schema` maps column names, in
    order, to Arrow type names (`"int64"`, `"timestamp[us]"`, ...).
    """

    uri: str
    format: str
    partition: str | None = None
    version: int | None = None
    digest: str | None = None
    rows: int | None = None
    bytes: int | None = None
    schema: Mapping[str, str] = field(default_factory=dict)
    labels: int | None = None

    @property
    def key(self) -> str:
        """`2013-02@v1`, with labels of their own `2013-02@v1+l1`; as much of it as is known."""
        name = self.partition or self.uri
        if self.version is None:
            return name
        return f"{name}@v{self.version}" + (f"+l{self.labels}" if self.labels is not None else "")


@dataclass(frozen=True)
class Snapshot(Record):
    """The immutable list of partition versions that a model was trained on, addressed by its content."""

    dataset: str
    partitions: tuple[DataRef, ...]

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over dataset, partition keys, versions and digests, in key order."""
        body = [self.dataset, [[ref.partition, ref.version, ref.digest] for ref in self.partitions]]
        return "sha256:" + hashlib.sha256(json.dumps(body, separators=(",", ":")).encode()).hexdigest()

    @property
    def rows(self) -> int:
        """How many rows the snapshot holds, as far as its references say."""
        return sum(ref.rows or 0 for ref in self.partitions)
