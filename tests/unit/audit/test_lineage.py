"""Lineage from the ledger, in OpenLineage's terms and without its library."""

import pytest

from retrain.audit.lineage import MODEL, Dataset, Lineage, of_ingest, of_release, of_training, place

URI = "http://user:secret@mlflow.example.com:5000/"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/flights/1.parquet", ("s3://bucket", "flights/1.parquet")),
        ("gs://bucket/1.csv", ("gs://bucket", "1.csv")),
        ("abfss://c@account.dfs.core.windows.net/a/b", ("abfss://c@account.dfs.core.windows.net", "a/b")),
        ("file:///data/1.parquet", ("file", "/data/1.parquet")),
        ("/data/1.parquet", ("file", "/data/1.parquet")),
        ("sql://warehouse/orders?day=1", ("sql://warehouse", "orders?day=1")),
        ("https://user:secret@host/1.csv", ("https://host", "1.csv")),
        ("memory://", ("memory://", "/")),
    ],
)
def test_an_object_is_named_by_openlineages_rules_and_without_credentials(uri: str, expected) -> None:
    assert place(uri) == expected


def test_an_ingest_reads_what_arrived_and_writes_what_was_accepted(told) -> None:
    found = of_ingest(told.ledger, "orders", ["2024-01@v1", "2024-01@v1+l2", "2042-01@v1"])
    (came,), (accepted,) = found.inputs, found.outputs
    assert (came.namespace, came.name, came.rows) == ("file", "/feed/2024-01", 100)
    assert [(one.expectation, one.column) for one in came.broken] == [("expect_x", "items")]
    assert (accepted.rows, accepted.version) == (97, told.refs["2024-01@v1"].digest)
    assert accepted.columns == {"id": "int64"}
    assert found.tags == {"validation.2024-01@v1": "warn"}


def test_data_that_was_refused_writes_nothing(story) -> None:
    story.append(
        "dataset:orders", "arrived", "p@v1", {"partition": "p", "version": 1, "uri": "s3://b/p", "format": "csv"}
    )
    story.append("dataset:orders", "validated", "p@v1", {"status": "fail", "accepted": None, "rows": 5, "failures": []})
    found = of_ingest(story.ledger, "orders", ["p@v1"])
    assert (found.outputs, found.inputs[0].namespace, found.inputs[0].rows) == ((), "s3://b", 5)


def test_a_training_reads_its_partitions_and_writes_a_version(told) -> None:
    refs = [told.refs[f"2024-0{month}@v1"] for month in (1, 2, 3)]
    found = of_training(told.ledger, "returns", "returns.train/run-2", refs, tracking_uri=URI)
    assert [one.version for one in found.inputs] == [ref.digest for ref in refs]
    assert found.outputs == (Dataset("http://mlflow.example.com:5000", "returns", MODEL, "2"),)
    assert (found.tags["gate"], found.tags["metric"], found.tags["value"]) == ("pass", "roc_auc", "0.7")
    assert len(found.tags["snapshot"]) == 64


def test_a_training_that_is_not_judged_yet_has_only_read(told) -> None:
    found = of_training(told.ledger, "returns", "another/run", [told.refs["2024-01@v1"]], tracking_uri=URI)
    assert (len(found.inputs), found.outputs, found.tags) == (1, (), {})


def test_a_release_writes_the_champion_from_the_version_of_its_run(told) -> None:
    told.append("model:returns", "promoted", "2:returns.train/run-9", {"version": "2", "previous": "1"})
    told.append("model:returns", "rolled_back", "returns.rollback/run-1", {"version": "1", "previous": "2"})
    found = of_release(told.ledger, "returns", "returns.train/run-9", tracking_uri=URI)
    assert [(one.name, one.version) for one in (*found.inputs, *found.outputs)] == [
        ("returns", "2"), ("returns@champion", "2"),
    ]  # fmt: skip
    assert found.tags == {"change": "promoted", "replaced": "1"}
    back = of_release(told.ledger, "returns", "returns.rollback/run-1", tracking_uri=URI)
    assert (back.outputs[0].version, back.tags["change"]) == ("1", "rolled_back")
    assert of_release(told.ledger, "returns", "returns.train/other", tracking_uri=URI) == Lineage()
