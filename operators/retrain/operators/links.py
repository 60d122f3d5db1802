"""Links from a task to what it made."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperatorLink

from retrain.plugin.addresses import XCOM_KEY, page_path

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class _MlflowLink(BaseOperatorLink):
    """A page of MLflow, found through what the task pushed under the key `mlflow`."""

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:  # noqa: ARG002
        from airflow.sdk.execution_time.xcom import XCom

        place = XCom.get_value(ti_key=ti_key, key="mlflow")
        return self.page(place) if place else ""

    def page(self, place: dict[str, Any]) -> str:
        raise NotImplementedError


class MlflowRunLink(_MlflowLink):
    """The training run in MLflow."""

    name = "MLflow run"

    def page(self, place: dict[str, Any]) -> str:
        """Return the run's address, or nothing before there is a run."""
        if not place.get("run_id"):
            return ""
        return f"{place['ui_url']}/#/experiments/{place.get('experiment_id') or 0}/runs/{place['run_id']}"


class ModelVersionLink(_MlflowLink):
    """The registered version in MLflow."""

    name = "Model version"

    def page(self, place: dict[str, Any]) -> str:
        """Return the version's address, or nothing before it is registered."""
        if not place.get("version"):
            return ""
        return f"{place['ui_url']}/#/models/{place['model']}/versions/{place['version']}"


class _PageLink(BaseOperatorLink):
    """A stored page, or a list of them, of a task that pushed `{page: uri}` under `retrain_pages`; see `plugin.app`."""

    page: ClassVar[str]

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:  # noqa: ARG002
        """Return the page's address relative to Airflow's, or nothing where the task has no such page."""
        from airflow.sdk.execution_time.xcom import XCom

        pages = XCom.get_value(ti_key=ti_key, key=XCOM_KEY)
        if not isinstance(pages, Mapping) or not pages.get(self.page):
            return ""
        return page_path(ti_key.dag_id, ti_key.run_id, ti_key.task_id, ti_key.map_index, self.page)


class ValidationPageLink(_PageLink):
    """What the expectations said of the data (`validation` of `retrain_pages`)."""

    name = "Validation result"
    page = "validation"


class DriftSummaryLink(_PageLink):
    """Our page of one screen on what drifted (`summary` of `retrain_pages`)."""

    name = "Drift summary"
    page = "summary"


class EvidencePageLink(_PageLink):
    """The whole evidence of a judged version (`evidence` of `retrain_pages`)."""

    name = "Evidence"
    page = "evidence"


class DriftPageLink(_PageLink):
    """Evidently's page on what drifted (`drift` of `retrain_pages`)."""

    name = "Drift report"
    page = "drift"
