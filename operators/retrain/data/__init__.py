"""Data by reference: describe, read, write, list and snapshot tabular objects on any fsspec store."""

from retrain.data import storage
from retrain.data.completeness import Completeness, Seen, is_complete, remember
from retrain.data.describe import describe
from retrain.data.labels import Joined, join_labels
from retrain.data.outgoing import open_write
from retrain.data.readers import read, read_common, read_many
from retrain.data.scan import Found, scan, scan_all
from retrain.data.snapshots import load_snapshot, save_snapshot
from retrain.data.storage import filesystem
from retrain.data.streaming import csv_batches, open_parquet, proven
from retrain.data.writers import write_parquet

__all__ = [
    "Completeness",
    "Found",
    "Joined",
    "Seen",
    "csv_batches",
    "describe",
    "filesystem",
    "is_complete",
    "join_labels",
    "load_snapshot",
    "open_parquet",
    "open_write",
    "proven",
    "read",
    "read_common",
    "read_many",
    "remember",
    "save_snapshot",
    "scan",
    "scan_all",
    "storage",
    "write_parquet",
]
