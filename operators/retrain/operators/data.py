"""Operators of the way in: discover what arrived, ingest it, or validate one object by itself."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from retrain.exceptions import ClaimLostError, JobFailedError
from retrain.hooks.ledger import claimed
from retrain.loop.streams import labels_of, partition_key, watch_work
from retrain.operators import lineage
from retrain.operators.assets import drift_asset, with_outlet
from retrain.operators.job import RetrainOperator, actor, final_errors, owner, run_name
from retrain.operators.links import DriftPageLink, DriftSummaryLink, ValidationPageLink
from retrain.plugin.addresses import XCOM_KEY as PAGES
from retrain.records import JobResult, JobStatus, ModelSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from retrain.ledger import Claim, Ledger

# What is left over is taken by the next run.
PENDING_LIMIT = 1000
# So many mapped tasks at most: a backlog is worked off in runs of neighbours, which spares Airflow's cost per task.
TASKS = 20
NOTHING_TO_DO = JobResult(JobStatus.SUCCEEDED)


class _ArrivalOperator(RetrainOperator):
    """What the ways in share: registering what has arrived, the labels included."""

    def register(self, ledger: "Ledger") -> list[dict[str, Any]]:
        """Register what lies there and the ledger does not know; return what is new."""
        from retrain.data import sql
        from retrain.hooks.sql import sql_engine
        from retrain.loop import register_arrivals

        spec = self.model_spec
        feeds = {spec.dataset: spec.data} | ({labels_of(spec.dataset): spec.labels} if spec.labels else {})
        with sql.connections(sql_engine):
            return [
                arrived
                for dataset, template in feeds.items()
                for arrived in register_arrivals(
                    ledger, dataset, template, complete=spec.complete, store=self.store_uri
                )
            ]


class PartitionDiscoverOperator(_ArrivalOperator):
    """List the data, register in the ledger what is new, and return what this model has not looked at yet.

    XCom: a list of `{"partition", "version"}`, in order; of a backlog of more than 20, each entry holds several under
    `partitions`. At most `limit` partitions in all. Reading is by reference: only objects that the ledger does not know
    are opened, for their digest.
    """

    def __init__(self, *, limit: int = PENDING_LIMIT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = limit

    @final_errors
    def execute(self, context: "Context") -> list[dict[str, Any]]:  # noqa: ARG002
        """Register arrivals and list what is pending."""
        from retrain.loop import pending_partitions
        from retrain.loop.replay import batches

        with self.open_ledger() as ledger:
            fresh = self.register(ledger)
            pending = pending_partitions(ledger, self.model_spec)[: self.limit]
        self.log.info("%d new, %d pending: %s", len(fresh), len(pending), [item["partition"] for item in pending])
        return batches(pending, TASKS)


class PartitionReplayOperator(_ArrivalOperator):
    """Register past partitions once more, for the loop to validate and watch again, and deal them out to lanes.

    Partitions in the range that the model has not looked at yet are taken as they are. A retry registers nothing twice.
    XCom: as many entries as there are lanes, each with its `partitions`, in order.

    :param first: the first partition, empty: from the beginning (templated)
    :param last: the last partition, included; empty: to the end (templated)
    :param concurrency: how many are worked off side by side (templated)
    :param reason: why; recorded in the ledger (templated)
    """

    template_fields = ("first", "last", "concurrency", "reason")

    def __init__(
        self, *, first: str = "", last: str = "", concurrency: int | str = 1, reason: str = "", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.first = first
        self.last = last
        self.concurrency = concurrency
        self.reason = reason

    @final_errors
    def execute(self, context: "Context") -> list[dict[str, Any]]:
        """Register the range anew and return the lanes."""
        from retrain.loop import replay
        from retrain.loop.replay import lanes

        with self.open_ledger() as ledger:
            self.register(ledger)
            wanted = replay(
                ledger,
                self.model_spec,
                first=self.first or None,
                last=self.last or None,
                key=run_name(context),
                reason=self.reason or "no reason given",
                actor=actor(context),
            )
        self.log.info(
            "%d partitions in %s lanes: %s", len(wanted), self.concurrency, [one["partition"] for one in wanted]
        )
        return lanes(wanted, int(self.concurrency))


class PartitionIngestOperator(RetrainOperator):
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

    def execute(self, context: "Context") -> dict[str, Any]:
        """Claim, run the job, commit."""
        return self._ingest(context, None)

    def trigger_reentry(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Go on when a job in a pod has ended."""
        return self._ingest(context, event)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002
        """Tell OpenLineage, where its provider is installed, what came in and what of it was accepted."""
        return lineage.ingested(self, self.partition)

    @final_errors
    def _ingest(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
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
