"""Lineage for Airflow's OpenLineage provider, which asks an operator for it after its task; nothing without it.

Its library is imported here only when its provider asks. What goes wrong is logged by the provider and changes nothing
about the task.
"""

from typing import TYPE_CHECKING, Any

from retrain.hooks.mlflow import MlflowHook
from retrain.loop.streams import partition_key
from retrain.records import DataRef

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from retrain.audit.lineage import Dataset, Lineage
    from retrain.operators.job import RetrainOperator

_SOURCE = "RETRAIN"
# OpenLineage's two words; what is only for information is no more than a warning.
_SEVERITY = {"critical": "error"}


def ingested(task: "RetrainOperator", partition: Any) -> "OperatorLineage":
    """The partitions that a task took in, and their accepted rows."""
    from retrain.audit.lineage import of_ingest

    keys = [partition_key(one["partition"], one["version"]) for one in partition.get("partitions") or [partition]]
    with task.open_ledger() as ledger:
        return told(of_ingest(ledger, task.model_spec.dataset, keys))


def trained(task: "RetrainOperator", ti: Any, plan: Any) -> "OperatorLineage":
    """The partitions of a training and of its hold-out, and the model version that came of it."""
    from retrain.audit.lineage import of_training
    from retrain.data import storage

    document = storage.read_json(plan["plan_uri"])
    refs = [DataRef.from_dict(ref) for ref in [*document["snapshot"]["partitions"], *document["holdout"]]]
    uri = MlflowHook(task.mlflow_conn_id).tracking_uri
    with task.open_ledger() as ledger:
        return told(of_training(ledger, task.model_spec.model, _run(ti), refs, tracking_uri=uri))


def released(task: "RetrainOperator", ti: Any) -> "OperatorLineage":
    """The version that became champion in this run."""
    from retrain.audit.lineage import of_release

    uri = MlflowHook(task.mlflow_conn_id).tracking_uri
    with task.open_ledger() as ledger:
        return told(of_release(ledger, task.model_spec.model, _run(ti), tracking_uri=uri))


def told(lineage: "Lineage") -> "OperatorLineage":
    """Say it in the classes of OpenLineage's library."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.facet_v2 import tags_run

    fields = [tags_run.TagsRunFacetFields(name, value, _SOURCE) for name, value in lineage.tags.items()]
    return OperatorLineage(
        inputs=[_input(one) for one in lineage.inputs],
        outputs=[_output(one) for one in lineage.outputs],
        run_facets={"tags": tags_run.TagsRunFacet(fields)} if fields else {},
    )


def _input(one: "Dataset") -> Any:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics

    facets: dict[str, Any] = {}
    if one.rows is not None or one.bytes is not None:
        facets["inputStatistics"] = statistics.InputStatisticsInputDatasetFacet(rowCount=one.rows, size=one.bytes)
    if one.broken:
        facets["dataQualityAssertions"] = quality.DataQualityAssertionsDatasetFacet(
            [
                quality.Assertion(
                    broken.expectation,
                    False,
                    broken.column,
                    _SEVERITY.get(broken.severity or "", "warn"),
                    description=broken.reason,
                )
                for broken in one.broken
            ]
        )
    return InputDataset(one.namespace, one.name, facets=_facets(one), inputFacets=facets)


def _output(one: "Dataset") -> Any:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    facets: dict[str, Any] = {}
    if one.rows is not None or one.bytes is not None:
        facets["outputStatistics"] = statistics.OutputStatisticsOutputDatasetFacet(rowCount=one.rows, size=one.bytes)
    return OutputDataset(one.namespace, one.name, facets=_facets(one), outputFacets=facets)


def _facets(one: "Dataset") -> dict[str, Any]:
    from openlineage.client.facet_v2 import dataset_type_dataset, dataset_version_dataset, schema_dataset

    facets: dict[str, Any] = {"datasetType": dataset_type_dataset.DatasetTypeDatasetFacet(one.kind)}
    if one.version:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(one.version)
    if one.columns:
        fields = [schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in one.columns.items()]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields)
    return facets


def _run(ti: Any) -> str:
    return f"{ti.dag_id}/{ti.run_id}"
