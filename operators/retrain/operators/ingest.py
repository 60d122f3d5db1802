"""The operator that takes a partition in: validated, profiled, watched, and committed to the ledger once."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from retrain.exceptions import ClaimLostError, JobFailedError
from retrain.hooks.ledger import claimed
from retrain.loop.streams import partition_key, watch_work
from retrain.operators import lineage
from retrain.operators.assets import drift_asset, with_outlet
from retrain.operators.job import JobOperator, actor, owner
from retrain.operators.links import DriftPageLink, DriftSummaryLink, ValidationPageLink
from retrain.plugin.addresses import XCOM_KEY as PAGES
from retrain.records import JobResult, JobStatus

if TYPE_CHECKING:
    from airflow.sdk import Context

    from retrain.ledger import Claim, Ledger

NOTHING_TO_DO = JobResult(JobStatus.SUCCEEDED)


class PartitionIngestOperator(JobOperator):
    """Validate a partition, profile it, and watch the champion on it, in one job.

    The verdict on the data belongs to the dataset and is made once, however many models share it; drift and performance
    belong to the model. Both are committed to the ledger in one transaction that proves the claims. Of several
    partitions each is a job and a commit of its own: one that fails does not hold up the others, and fails the task at
    the end.

    XCom: the outcome, of several partitions `{"partition", "outcomes"}`.

    :param partition: `{"partition", "version"}` or several, as `PartitionDiscoverOperator` returns them (templated)
    :param draw_report: also draw Evidently's page when the verdict is drift (`report_uri` in the ledger); our own
        summary is drawn anyway
    :param tell_drift: emit an event of the asset `retrain.drift.<model>` for each partition on which drift of any kind
        was found, with the verdict in short; again when the task is tried again
    """

    template_fields = ("partition",)
    operator_extra_links = (ValidationPageLink(), DriftSummaryLink(), DriftPageLink())

    def __init__(
        self, *, partition: Mapping[str, Any], draw_report: bool = False, tell_drift: bool = False, **kwargs: Any
    ) -> None:
        if tell_drift:
            kwargs["outlets"] = with_outlet(kwargs.get("outlets"), drift_asset(kwargs["spec"])[1])
        super().__init__(**kwargs)
        self.partition = partition
        self.draw_report = draw_report
        self.tell_drift = tell_drift

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002
        """Tell OpenLineage, where its provider is installed, what came in and what of it was accepted."""
        return lineage.ingested(self, self.partition)

    def work(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
        """Claim, run the job, commit."""
        several = self.partition.get("partitions")
        outcomes: list[dict[str, Any]] = []
        pages: dict[str, dict[str, str]] = {}
        failures: list[Exception] = []
        with self.open_ledger() as ledger:
            for one in several or [self.partition]:
                key = partition_key(one["partition"], one["version"], one.get("labels"))
                try:
                    outcome, event = self._one(context, ledger, key, event)
                    outcomes.append(outcome)
                    self._tell(context, ledger, key, pages)
                except Exception as error:
                    if not several:
                        raise
                    self.log.exception("%s failed, going on with the next", key)
                    failures.append(error)
        context["ti"].xcom_push(key=PAGES, value={name: _alone(found) for name, found in pages.items()})
        if failures:
            raise next((one for one in failures if not isinstance(one, AirflowFailException)), failures[0])
        return {"partition": self.partition["partition"], "outcomes": outcomes} if several else outcomes[0]

    def _tell(self, context: "Context", ledger: "Ledger", key: str, pages: dict[str, dict[str, str]]) -> None:
        """Note the pages, and emit the event of drift; the ledger has both, also when an earlier try was killed."""
        from retrain.loop import ingest

        for name, uri in ingest.pages(ledger, self.model_spec, key).items():
            pages.setdefault(name, {})[key] = uri
        if self.tell_drift and (found := ingest.drift_found(ledger, self.model_spec, key)):
            asset, alias = drift_asset(self.spec)
            context["outlet_events"][alias].add(asset, extra=found)

    def _one(
        self,
        context: "Context",
        ledger: "Ledger",
        key: str,
        event: Mapping[str, Any] | None,
    ) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
        """Take one partition in; return its outcome, and the event if it is for a later one."""
        from retrain.loop import ingest

        spec = self.model_spec
        if done := ingest.outcome(ledger, spec, key):
            return done, event
        with ExitStack() as stack:
            claims = [stack.enter_context(self._claimed(context, ledger, watch_work(spec.model, key)))]
            for work in ingest.dataset_work(ledger, spec, key):
                claims.append(stack.enter_context(self._claimed(context, ledger, work)))  # noqa: PERF401
            return self._work(context, ledger, key, claims, event), None

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
        self,
        context: "Context",
        ledger: "Ledger",
        key: str,
        claims: "list[Any]",
        event: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        from retrain.loop import ingest

        steps, inputs = ingest.job(ledger, self.model_spec, key, draw_report=self.draw_report)
        # Data that was refused for another model of the same dataset leaves nothing to run: it was looked at.
        result = self.run(context, self.request(context, steps, inputs), event, ledger) if steps else NOTHING_TO_DO
        try:
            outcome = ingest.commit(ledger, self.model_spec, key, result, claims, actor=actor(context))
        except ClaimLostError as error:
            raise JobFailedError(f"{key} was taken over while this task was away: {error}") from error
        self.log.info("%s: %s", key, outcome)
        return outcome


def _alone(pages: dict[str, str]) -> "str | dict[str, str]":
    """Return the page of a single partition as it is, of several by partition."""
    return next(iter(pages.values())) if len(pages) == 1 else pages
