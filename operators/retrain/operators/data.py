"""The operator that judges one object by an expectation suite, without a ledger or a model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from retrain.operators.job import JobOperator
from retrain.records import ModelSpec

if TYPE_CHECKING:
    from airflow.sdk import Context


class DataValidateOperator(JobOperator):
    """Judge one object by an expectation suite; needs no ledger and no model.

    XCom: the verdict (`status`, `failures`, `quarantined_rows`, `accepted`, ...). The task fails when the status is
    `fail`, after the result has been stored.

    :param data: path or URI (templated)
    :param expectations: path (relative to the project's root) or URI of the suite (templated)
    :param quarantine_limit: largest share of rows that may be set aside
    """

    template_fields = ("data", "expectations")
    needs_mlflow = False

    def __init__(
        self,
        *,
        data: str,
        expectations: str,
        quarantine_limit: float = 0.1,
        project_root: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(spec=spec_for_data(quarantine_limit, project_root), **kwargs)
        self.data = data
        self.expectations = expectations

    def work(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
        """Run the suite in a job; fail the task on `fail`."""
        import dataclasses

        from retrain.data.formats import format_of

        request = self.request(
            context, ("validate",), {"partition": {"uri": self.data, "format": format_of(self.data)}}
        )
        request = dataclasses.replace(request, spec=dataclasses.replace(request.spec, expectations=self.expectations))
        verdict: dict[str, Any] = dict(self.run(context, request, event).outputs["validate"])
        if verdict["status"] == "fail":
            reasons = "; ".join(f"{item['expectation']}: {item['reason']}" for item in verdict["failures"][:5])
            raise AirflowFailException(f"{self.data} breaks {self.expectations}: {reasons}")
        return verdict


def spec_for_data(quarantine_limit: float = 0.1, project_root: str = "") -> ModelSpec:
    """A declaration for steps that need no model."""
    return ModelSpec(
        model="-", dataset="adhoc", data="", target="", train="", metric="",
        project_root=project_root, quarantine_limit=quarantine_limit,
    )  # fmt: skip
