"""Operators of the way in: discover what arrived, ingest it, or validate one object by itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from retrain.exceptions import ClaimLostError, JobFailedError
from retrain.hooks.ledger import claimed
from retrain.loop.streams import partition_key, validate_work, watch_work
from retrain.operators.job import RetrainOperator, actor, final_errors, owner
from retrain.records import JobResult, JobStatus, ModelSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from retrain.ledger import Claim, Ledger

# Airflow's own limit on mapped tasks is 1,024; what is left over is taken by the next run.
PENDING_LIMIT = 200
NOTHING_TO_DO = JobResult(JobStatus.SUCCEEDED)


class PartitionDiscoverOperator(RetrainOperator):
    """List the data, register in the ledger what is new, and return what this model has not looked at yet.

    XCom: a list of `{"partition", "version"}`, in order, at most `limit` long. Reading is by reference: only objects
    that the ledger does not know are opened, for their digest.
    """

    def __init__(self, *, limit: int = PENDING_LIMIT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = limit

    @final_errors
    def execute(self, context: "Context") -> list[dict[str, Any]]:  # noqa: ARG002
        """Register arrivals and list what is pending."""
        from retrain.loop import pending_partitions, register_arrivals

        spec = self.model_spec
        with self.open_ledger() as ledger:
            fresh = register_arrivals(ledger, spec.dataset, spec.data)
            pending = pending_partitions(ledger, spec)[: self.limit]
        self.log.info("%d new, %d pending: %s", len(fresh), len(pending), [item["partition"] for item in pending])
        return pending


class PartitionIngestOperator(RetrainOperator):
    """Validate a partition, profile it, and watch the champion on it, in one job.

    The verdict on the data belongs to the dataset and is made once, however many models share it; drift and performance
    belong to the model. Both are committed to the ledger in one transaction that proves the claims.

    :param partition: `{"partition", "version"}` as `PartitionDiscoverOperator` returns it (templated)
    :param draw_report: also draw Evidently's page when the verdict is drift (`report_uri` in the ledger)
    """

    template_fields = ("partition",)

    def __init__(self, *, partition: Mapping[str, Any], draw_report: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partition = partition
        self.draw_report = draw_report

    def execute(self, context: "Context") -> dict[str, Any]:
        """Claim, run the job, commit."""
        return self._ingest(context, None)

    def trigger_reentry(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Go on when a job in a pod has ended."""
        return self._ingest(context, event)

    @final_errors
    def _ingest(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
        from retrain.loop import ingest

        spec, key = self.model_spec, partition_key(self.partition["partition"], self.partition["version"])
        with self.open_ledger() as ledger:
            if done := ingest.outcome(ledger, spec, key):
                return done
            with self._claimed(context, ledger, watch_work(spec.model, key)) as claim:
                if ingest.is_validated(ledger, spec, key):
                    return self._work(context, ledger, key, [claim], event)
                with self._claimed(context, ledger, validate_work(spec.dataset, key)) as dataset_claim:
                    return self._work(context, ledger, key, [claim, dataset_claim], event)

    @contextmanager
    def _claimed(self, context: "Context", ledger: "Ledger", work: str) -> "Iterator[Claim]":
        """Hold the claim on `work`; JobFailedError, for Airflow to try again, while another DAG's run has it.

        An earlier run of this DAG is dead, because it runs once at a time, so its claim is taken over at once. If it
        is not dead after all, its late commit is refused by the epoch.
        """
        holder = ledger.get_claim(work)
        same_dag = holder is not None and holder.owner.split("/", 1)[0] == context["ti"].dag_id
        with claimed(ledger, work, owner(context), take_over=same_dag) as claim:
            if claim is None:
                raise JobFailedError(
                    f"{work} is claimed by {holder.owner if holder else 'another run'}",
                    remedy="It is tried again; if that run is dead, its claim ends by itself",
                )
            yield claim

    def _work(
        self, context: "Context", ledger: "Ledger", key: str, claims: "list[Any]", event: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        from retrain.loop import ingest

        steps, inputs = ingest.job(ledger, self.model_spec, key, draw_report=self.draw_report)
        # Data that was refused for another model of the same dataset leaves nothing to run: it was looked at.
        result = self.run(context, self.request(context, steps, inputs), event) if steps else NOTHING_TO_DO
        try:
            outcome = ingest.commit(ledger, self.model_spec, key, result, claims, actor=actor(context))
        except ClaimLostError as error:
            raise JobFailedError(f"{key} was taken over while this task was away: {error}") from error
        self.log.info("%s: %s", key, outcome)
        return outcome


class DataValidateOperator(RetrainOperator):
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

    def execute(self, context: "Context") -> dict[str, Any]:
        """Run the suite in a job; fail the task on `fail`."""
        return self._validate(context, None)

    def trigger_reentry(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Go on when a job in a pod has ended."""
        return self._validate(context, event)

    @final_errors
    def _validate(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
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
