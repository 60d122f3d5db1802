"""Data by reference: describe, read, write, list and snapshot tabular objects on any fsspec store."""

from retrain.data import storage
from retrain.data.describe import describe
from retrain.data.readers import read, read_common, read_many
from retrain.data.scan import Found, scan
from retrain.data.snapshots import load_snapshot, save_snapshot
from retrain.data.storage import filesystem
from retrain.data.writers import write_parquet

__all__ = [
    "Found",
    "describe",
    "filesystem",
    "load_snapshot",
    "read",
    "read_common",
    "read_many",
    "save_snapshot",
    "scan",
    "storage",
    "write_parquet",
]
