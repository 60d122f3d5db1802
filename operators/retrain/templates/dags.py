"""The DAGs of a model, built from its declaration: data, backfill, train, rollback."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetAlias, AssetOrTimeSchedule, CronTriggerTimetable, Param, TriggerRule

from retrain.operators.arrival import PartitionDiscoverOperator, PartitionReplayOperator
from retrain.operators.decide import RetrainDecideOperator
from retrain.operators.ingest import PartitionIngestOperator
from retrain.operators.model import ModelServingCheckOperator, ModelTrainOperator
from retrain.operators.plan import TrainingPlanOperator
from retrain.operators.release import (
    ModelGuardOperator,
    ModelPromoteOperator,
    ReleaseNotifyOperator,
    RollbackModelOperator,
)
from retrain.policy import Rule
from retrain.records import ModelSpec

# Only a lower bound for the timetables; runs of the past are never made up for.
START = datetime(2024, 1, 1, tzinfo=UTC)
# So many partitions of a backfill may be worked off side by side; its form chooses how many are.
MAX_LANES = 16


@dataclass(frozen=True)
class Blueprint:
    """What the DAGs of a model are built from; each method builds one of them.

    `common` are the arguments that all tasks share, `serving_runtime` is where the serving check has a task of its own,
    `champion`, `wanted` and `drift` are the assets that tasks update (`drift` by its alias), `wakes` is what wakes the
    data DAG beside its sweep.
    """

    spec: ModelSpec
    rules: Sequence[Rule]
    common: Mapping[str, Any]
    default_args: Mapping[str, Any]
    tags: Sequence[str]
    sweep: str
    wakes: Any
    champion: Asset
    wanted: Asset
    drift: AssetAlias
    serving_runtime: Mapping[str, Any] | None = None
    webhook_conn_id: str | None = None
    draw_report: bool = False

    def data_dag(self) -> DAG:
        """Build the DAG that takes in what arrives and decides whether to retrain."""
        doc = "Takes in what arrives: validates it, watches the champion on it, decides whether to retrain."
        with self._dag("data", self._swept(self.wakes), doc) as dag:
            discover = PartitionDiscoverOperator(task_id="discover", **self.common)
            # One at a time: drift and decay are read as a history.
            # It also tells of drift; a backfill, which looks at the past once more, does not.
            self._ingest(discover, 1, guard=self.spec.rollback_on is not None, tell_drift=True, outlets=[self.drift])
        return dag

    def backfill_dag(self) -> DAG:
        """Build the DAG that takes past partitions in once more."""
        doc = (
            "Takes a range of past partitions in once more: validates them and watches the champion on them, in order."
        )
        form = {
            "first": Param(None, type=["null", "string"], title="First partition", description="Empty: the oldest."),
            "last": Param(
                None, type=["null", "string"], title="Last partition", description="Included. Empty: the newest."
            ),
            "concurrency": Param(
                1, type="integer", minimum=1, maximum=MAX_LANES, title="Side by side", description="How many at a time."
            ),
            "reason": Param(type="string", title="Why?", minLength=3, maxLength=500),
        }
        with self._dag("backfill", None, doc, params=form) as dag:
            replay = PartitionReplayOperator(
                task_id="replay",
                first="{{ params.first or '' }}",
                last="{{ params.last or '' }}",
                concurrency="{{ params.concurrency }}",
                reason="{{ params.reason }}",
                **self.common,
            )
            self._ingest(replay, MAX_LANES)
        return dag

    def train_dag(self) -> DAG:
        """Build the DAG that retrains, judges and promotes."""
        doc = "Retrains when a decision or a person asks for it: trains, judges against the champion, promotes."
        form = {
            "reason": Param(
                None,
                type=["null", "string"],
                title="Why retrain now?",
                description="Recorded with your name in the ledger and with the model.",
                maxLength=500,
            ),
            "params": Param(
                {},
                type="object",
                title="Training parameters",
                description="For this run only; they override those of the declaration.",
            ),
            "benchmark": Param(
                None,
                type=["null", "string"],
                pattern="^[0-9]+( *, *[0-9]+)*$",
                title="Compare with versions",
                description="Such as 3, 5: earlier versions to score on the same rows. Decides nothing.",
            ),
        }
        with self._dag("train", self._swept(self.wanted), doc, params=form) as dag:
            plan = TrainingPlanOperator(
                task_id="plan",
                reason="{{ params.reason or '' }}",
                overrides="{{ params.params | tojson }}",
                **self.common,
            )
            train = self._train(plan)
            promote = ModelPromoteOperator(
                task_id="promote",
                judged=train.output,
                # Also where nothing asks for a retraining: a run that died may have left its promotion undone.
                trigger_rule=TriggerRule.NONE_FAILED,
                outlets=[self.champion],
                **self.common,
            )
            if self.spec.approval is not None:
                self._approve(train.output) >> promote
            self._notify(promote)
        return dag

    def rollback_dag(self) -> DAG:
        """Build the DAG that goes back to an earlier version."""
        doc = "Makes an earlier version champion again. Run by hand, with a reason."
        form = {
            "reason": Param(type="string", title="Why roll back?", minLength=3, maxLength=500),
            "version": Param(
                None,
                type=["null", "string"],
                pattern="^[0-9]+$",
                title="Version",
                description="Empty: the champion before this one.",
            ),
            "retire": Param(
                False,
                type="boolean",
                title="Retire the version in production?",
                description="It may not become champion again.",
            ),
        }
        with self._dag("rollback", None, doc, params=form) as dag:
            rollback = RollbackModelOperator(
                task_id="rollback",
                reason="{{ params.reason }}",
                version="{{ params.version or '' }}",
                retire="{{ params.retire }}",
                outlets=[self.champion],
                **self.common,
            )
            self._notify(rollback)
        return dag

    def _ingest(self, partitions: Any, side_by_side: int, *, guard: bool = False, **options: Any) -> None:
        """Add the tasks that take partitions in, guard a fresh champion, and decide whether to retrain."""
        ingest = PartitionIngestOperator.partial(
            task_id="ingest",
            draw_report=self.draw_report,
            map_index_template="{{ task.partition['partition'] }}",
            max_active_tis_per_dagrun=side_by_side,
            **options,
            **self.common,
        ).expand(partition=partitions.output)
        decide = RetrainDecideOperator(
            task_id="decide",
            rules=[rule.to_dict() for rule in self.rules],
            wakes=(self.wanted, AssetAlias(f"retrain.wanted.{self.spec.model}")),
            # With nothing pending `ingest` is skipped, and a schedule may be due all the same.
            trigger_rule=TriggerRule.NONE_FAILED,
            **self.common,
        )
        if not guard:
            ingest >> decide
            return
        # Before the decision: that is about the champion that stays.
        guarding = ModelGuardOperator(
            task_id="guard", trigger_rule=TriggerRule.NONE_FAILED, outlets=[self.champion], **self.common
        )
        ingest >> guarding >> decide
        self._notify(guarding)

    def _train(self, plan: TrainingPlanOperator) -> ModelTrainOperator:
        """Add one task from training to registration; or three, where the serving check runs somewhere else."""
        asked = "{{ params.benchmark or '' }}"
        if self.serving_runtime is None:
            return ModelTrainOperator(task_id="train", plan=plan.output, benchmark=asked, **self.common)
        train = ModelTrainOperator(task_id="train", plan=plan.output, steps=("train",), **self.common)
        there = {**self.common, "runtime": self.serving_runtime}
        serving = ModelServingCheckOperator(task_id="serving", plan=train.output, **there)
        rest = ("evaluate", "gate", "register")
        return ModelTrainOperator(task_id="judge", plan=serving.output, steps=rest, benchmark=asked, **self.common)

    def _approve(self, judged: Any) -> Any:
        """Add the task that asks a person. Imported only where it is declared: its base takes long to import."""
        from retrain.operators.approval import ModelApproveOperator

        return ModelApproveOperator(
            task_id="approve", judged=judged, trigger_rule=TriggerRule.NONE_FAILED, **self.common
        )

    def _notify(self, release: Any) -> None:
        """Add the task that tells the webhook, where there is one."""
        if self.webhook_conn_id is None:
            return
        release >> ReleaseNotifyOperator(
            task_id="notify",
            webhook_conn_id=self.webhook_conn_id,
            # Also where nothing was released: a receiver that was down may be back.
            trigger_rule=TriggerRule.NONE_FAILED,
            **self.common,
        )

    def _dag(self, kind: str, schedule: Any, doc: str, **options: Any) -> DAG:
        return DAG(
            f"{self.spec.model}.{kind}",
            schedule=schedule,
            start_date=START,
            catchup=False,
            max_active_runs=1,
            default_args=dict(self.default_args),
            tags=list(self.tags),
            doc_md=f"{doc}\n\n{self._summary()}",
            **options,
        )

    def _swept(self, asset: Any) -> Any:
        timetable = CronTriggerTimetable(self.sweep, timezone="UTC")
        return timetable if asset is None else AssetOrTimeSchedule(assets=asset, timetable=timetable)

    def _summary(self) -> str:
        rows = [
            f"| `{name}` | `{value}` |"
            for name, value in self.spec.to_dict().items()
            if value not in (None, {}, [], "")
        ]
        when = "\n".join(f"- `{rule.to_dict()}`" for rule in self.rules)
        return "\n".join(["| declared | |", "|---|---|", *rows, "", "Retrains on:", when])
