"""What a gate may not judge by."""

from pathlib import Path

from retrain.data import save_snapshot
from retrain.jobs.holdout import trained_on
from retrain.records import DataRef, Snapshot


def ref(name: str, version: int, digest: str | None) -> DataRef:
    return DataRef(f"s3://{name}/{version}", "parquet", name, version, digest)


def test_a_partition_was_trained_on_by_its_name_in_any_version_and_by_its_rows_under_any_name(tmp_path: Path) -> None:
    trained = Snapshot("orders", (ref("2024-01", 1, "sha256:a"), ref("2024-02", 1, None)))
    uri = save_snapshot(trained, tmp_path.as_uri())
    held = [
        ref("2024-01", 2, "sha256:b"),
        ref("2024-03", 1, "sha256:a"),
        ref("2024-04", 1, "sha256:c"),
        ref("2024-05", 1, None),
    ]
    assert trained_on(uri, held) == ["2024-01", "2024-03"]
