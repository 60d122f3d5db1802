"""Operators that find what is to be taken in: what arrived, or a range of the past once more."""

from typing import TYPE_CHECKING, Any

from retrain.loop.streams import labels_of
from retrain.operators.job import RetrainOperator, actor, final_errors, run_name

if TYPE_CHECKING:
    from airflow.sdk import Context

    from retrain.ledger import Ledger

# What is left over is taken by the next run.
PENDING_LIMIT = 1000
# So many mapped tasks at most: a backlog is worked off in runs of neighbours, which spares Airflow's cost per task.
TASKS = 20


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
