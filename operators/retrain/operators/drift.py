"""The operator that compares two sets of data by themselves."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from retrain.operators.data import spec_for_data
from retrain.operators.job import JobOperator
from retrain.operators.links import DriftPageLink, DriftSummaryLink
from retrain.plugin.addresses import XCOM_KEY as PAGES

if TYPE_CHECKING:
    from airflow.sdk import Context


class DriftCheckOperator(JobOperator):
    """Compare current data with a reference; needs no ledger and no model.

    Unless the verdict is ok a page of one screen is drawn, to which the task links. XCom: the verdict's `status`,
    `severity`, `kinds`, `drivers`, `checks`, `summary`, and `verdict_uri`, `summary_uri`, `report_uri`, where the whole
    of it and its pages lie.

    :param reference: path or URI of the reference data (templated)
    :param current: path or URI of the current data (templated)
    :param fail_on_drift: fail the task when the verdict is drift; by default a verdict is not a failure
    :param draw_report: also draw Evidently's page
    """

    template_fields = ("reference", "current")
    needs_mlflow = False
    operator_extra_links = (DriftSummaryLink(), DriftPageLink())

    def __init__(
        self, *, reference: str, current: str, fail_on_drift: bool = False, draw_report: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(spec=spec_for_data(), **kwargs)
        self.reference = reference
        self.current = current
        self.fail_on_drift = fail_on_drift
        self.draw_report = draw_report

    def work(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
        """Run the comparison in a job."""
        inputs = {"reference_data": self.reference, "current_data": self.current, "draw_report": self.draw_report}
        verdict: dict[str, Any] = dict(
            self.run(context, self.request(context, ("compare",), inputs), event).outputs["compare"]
        )
        pages = {"summary": verdict["summary_uri"], "drift": verdict["report_uri"]}
        context["ti"].xcom_push(key=PAGES, value={name: uri for name, uri in pages.items() if uri})
        if self.fail_on_drift and verdict["status"] == "drift":
            raise AirflowFailException(f"{self.current} drifted from {self.reference}: {verdict['summary']}")
        return verdict
