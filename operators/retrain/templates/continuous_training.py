"""`ContinuousTraining(...)`: one declaration becomes the DAGs of a model."""

import functools
import operator
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    AssetAlias,
    AssetOrTimeSchedule,
    AssetWatcher,
    CronTriggerTimetable,
    Param,
    TriggerRule,
)

from retrain.jobs.runtime import Runtime
from retrain.loop.streams import labels_of
from retrain.operators.assets import drift_asset
from retrain.operators.data import PartitionDiscoverOperator, PartitionIngestOperator, PartitionReplayOperator
from retrain.operators.decide import RetrainDecideOperator
from retrain.operators.model import ModelServingCheckOperator, ModelTrainOperator
from retrain.operators.plan import TrainingPlanOperator
from retrain.operators.release import (
    ModelGuardOperator,
    ModelPromoteOperator,
    ReleaseNotifyOperator,
    RollbackModelOperator,
)
from retrain.policy import Rule
from retrain.records import Approval, RollbackOn
from retrain.templates.declaration import checked, declared, released
from retrain.triggers.arrival import PartitionArrivalTrigger

# Only a lower bound for the timetables; runs of the past are never made up for.
START = datetime(2024, 1, 1, tzinfo=UTC)
# So many partitions of a backfill may be worked off side by side; its form chooses how many are.
MAX_LANES = 16


class ContinuousTraining:
    """Declare a model, and get its DAGs: `<model>.data`, `.backfill`, `.train` and `.rollback`.

    The data DAG is woken by arriving files (nobody polls in a worker) and by a slow schedule that sweeps up whatever an
    event was lost for. It validates, profiles, watches the champion, and decides. The training DAG is woken by a
    decision, run by hand with a typed form, and swept likewise. The backfill DAG takes a range of past partitions in
    once more, in order, at the concurrency that its form is given. Several DAGs, so that Airflow's permissions can tell
    who may do what.

    Used once, at the top of a DAG file. Nothing is read or connected to; a wrong declaration raises DeclarationError
    with all that is wrong.

    :param model: name of the model, of its DAGs and of the registered model in MLflow
    :param data: URI template with `{partition}`
    :param target: name of the label column
    :param train: `module:function`, `fit(data, params) -> model`, imported in the job only
    :param metric: a scikit-learn metric
    :param retrain: when to retrain: `Every`, `NewData`, `Drift`, `Decay`
    :param prepare: `module:function`, `prepare(frame) -> features`; saved with the model
    :param expectations: path (from the project's root) or URI of a Great Expectations suite
    :param dataset: name of the data; models that share it share its validation. Default: the model's name
    :param store: URI for profiles, verdicts, predictions; default `[retrain] store`
    :param project_root: where `train`, `prepare` and `expectations` are found; default `[retrain] project_root`, else
        the DAG bundle
    :param runtime: where training, evaluation and the judging of data run
    :param serving_runtime: where the serving check runs, such as a pod of the image that will serve; default: `runtime`
    :param wake_on: assets of other DAGs whose events wake the loop too
    :param watch: wake the loop when files arrive; without it only the sweep does. How often the triggerer looks is a
        setting of the deployment: `[retrain] poll_interval_seconds`
    :param sweep: cron expression of the slow schedule of the data DAG and the training DAG
    :param approval: when a person has to agree before a promotion: `never`, `always`, `when_inconclusive`, or an
        `Approval` with its time-out and approvers
    :param rollback_on: what takes a promotion back by itself: `["decay", "serving"]`, or a `RollbackOn`
    :param webhook_conn_id: connection of type `http` that is told of each promotion and rollback
    :param retries: of every task; `retry_delay_seconds` before the first, twice as long before each further one
    :param spec: further fields of `ModelSpec` (`margin`, `rule`, `window`, `holdout`, `pii`, `quarantine_limit`, ...)
    """

    def __init__(
        self,
        *,
        model: str,
        data: str,
        target: str,
        train: str,
        metric: str,
        retrain: Sequence[Rule],
        prepare: str | None = None,
        expectations: str | None = None,
        dataset: str | None = None,
        params: Mapping[str, Any] | None = None,
        store: str | None = None,
        project_root: str | None = None,
        runtime: Runtime | None = None,
        serving_runtime: Runtime | None = None,
        wake_on: Sequence[Asset] = (),
        watch: bool = True,
        sweep: str = "17 * * * *",
        approval: Approval | str = "never",
        rollback_on: RollbackOn | Sequence[str] | None = None,
        webhook_conn_id: str | None = None,
        retries: int = 3,
        retry_delay_seconds: float = 30.0,
        ledger_conn_id: str = "retrain_ledger",
        mlflow_conn_id: str = "mlflow_default",
        draw_report: bool = False,
        tags: Sequence[str] = (),
        **spec: Any,
    ) -> None:
        self.spec = declared(
            {
                "model": model,
                "dataset": dataset or model,
                "data": data,
                "target": target,
                "train": train,
                "metric": metric,
                "prepare": prepare,
                "expectations": expectations,
                "params": dict(params or {}),
                "project_root": project_root or "",
                **released(approval, rollback_on),
                **spec,
            }
        )
        self.rules = checked(self.spec, retrain)
        self.watch = watch
        self.wake_on = tuple(wake_on)
        self.sweep = sweep
        self.webhook_conn_id = webhook_conn_id
        self.draw_report = draw_report
        self._serving_runtime = serving_runtime
        self.tags = ["retrain", model, *tags]
        # Together longer than the lease of a claim: what a dead run held is free before the retries are used up.
        self.default_args = {
            "retries": retries,
            "retry_delay": timedelta(seconds=retry_delay_seconds),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=10),
        }
        self._common: dict[str, Any] = {
            "spec": self.spec.to_dict(),
            "store": store,
            "runtime": runtime.to_dict() if runtime else None,
            "ledger_conn_id": ledger_conn_id,
            "mlflow_conn_id": mlflow_conn_id,
        }
        self.champion = Asset(name=f"retrain.champion.{self.spec.model}", uri=f"retrain://champion/{self.spec.model}")
        self.wanted = Asset(name=f"retrain.wanted.{model}", uri=f"retrain://wanted/{model}", group="retrain")
        self.drift, self._drift_alias = drift_asset(self.spec)
        self.data_dag = self._data_dag()
        self.backfill_dag = self._backfill_dag()
        self.train_dag = self._train_dag()
        self.rollback_dag = self._rollback_dag()

    @property
    def arrivals(self) -> Asset:
        """The asset that stands for the arrival of data; models that share a dataset share it and its watcher."""
        return self._arrivals(self.spec.dataset, self.spec.data)

    def _arrivals(self, dataset: str, data: str) -> Asset:
        trigger = PartitionArrivalTrigger(data, complete=dict(self.spec.complete))
        return Asset(
            name=f"retrain.arrivals.{dataset}",
            uri=f"retrain://arrivals/{dataset}",
            group="retrain",
            watchers=[AssetWatcher(name=f"retrain.arrivals.{dataset}", trigger=trigger)] if self.watch else [],
        )

    def _wakes(self) -> Any:
        """What wakes the data DAG beside its sweep: arrivals, labels that arrive apart, assets of other DAGs."""
        assets: list[Any] = [*self.wake_on]
        if self.watch:
            assets.append(self.arrivals)
            if self.spec.labels is not None:
                assets.append(self._arrivals(labels_of(self.spec.dataset), self.spec.labels))
        return functools.reduce(operator.or_, assets) if assets else None

    def _dag(self, kind: str, schedule: Any, doc: str, **options: Any) -> DAG:
        return DAG(
            f"{self.spec.model}.{kind}",
            schedule=schedule,
            start_date=START,
            catchup=False,
            max_active_runs=1,
            default_args=self.default_args,
            tags=self.tags,
            doc_md=f"{doc}\n\n{self._summary()}",
            **options,
        )

    def _swept(self, asset: Any) -> Any:
        timetable = CronTriggerTimetable(self.sweep, timezone="UTC")
        return timetable if asset is None else AssetOrTimeSchedule(assets=asset, timetable=timetable)

    def _data_dag(self) -> DAG:
        doc = "Takes in what arrives: validates it, watches the champion on it, decides whether to retrain."
        with self._dag("data", self._swept(self._wakes()), doc) as dag:
            discover = PartitionDiscoverOperator(task_id="discover", **self._common)
            # One at a time: drift and decay are read as a history.
            # It also tells of drift; a backfill, which looks at the past once more, does not.
            self._ingest(
                discover, 1, guard=self.spec.rollback_on is not None, tell_drift=True, outlets=[self._drift_alias]
            )
        return dag

    def _ingest(self, partitions: Any, side_by_side: int, *, guard: bool = False, **options: Any) -> None:
        """Add the tasks that take partitions in, guard a fresh champion, and decide whether to retrain."""
        ingest = PartitionIngestOperator.partial(
            task_id="ingest",
            draw_report=self.draw_report,
            map_index_template="{{ task.partition['partition'] }}",
            max_active_tis_per_dagrun=side_by_side,
            **options,
            **self._common,
        ).expand(partition=partitions.output)
        decide = RetrainDecideOperator(
            task_id="decide",
            rules=[rule.to_dict() for rule in self.rules],
            wakes=(self.wanted, AssetAlias(f"retrain.wanted.{self.spec.model}")),
            # With nothing pending `ingest` is skipped, and a schedule may be due all the same.
            trigger_rule=TriggerRule.NONE_FAILED,
            **self._common,
        )
        if not guard:
            ingest >> decide
            return
        # Before the decision: that is about the champion that stays.
        guarding = ModelGuardOperator(
            task_id="guard", trigger_rule=TriggerRule.NONE_FAILED, outlets=[self.champion], **self._common
        )
        ingest >> guarding >> decide
        self._notify(guarding)

    def _notify(self, release: Any) -> None:
        """Add the task that tells the webhook, where there is one."""
        if self.webhook_conn_id is None:
            return
        release >> ReleaseNotifyOperator(
            task_id="notify",
            webhook_conn_id=self.webhook_conn_id,
            # Also where nothing was released: a receiver that was down may be back.
            trigger_rule=TriggerRule.NONE_FAILED,
            **self._common,
        )

    def _backfill_dag(self) -> DAG:
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
                **self._common,
            )
            self._ingest(replay, MAX_LANES)
        return dag

    def _train_dag(self) -> DAG:
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
                **self._common,
            )
            train = self._train(plan)
            promote = ModelPromoteOperator(
                task_id="promote",
                judged=train.output,
                # Also where nothing asks for a retraining: a run that died may have left its promotion undone.
                trigger_rule=TriggerRule.NONE_FAILED,
                outlets=[self.champion],
                **self._common,
            )
            if self.spec.approval is not None:
                self._approve(train.output) >> promote
            self._notify(promote)
        return dag

    def _train(self, plan: TrainingPlanOperator) -> ModelTrainOperator:
        """Add one task from training to registration; or three, where the serving check runs somewhere else."""
        asked = "{{ params.benchmark or '' }}"
        if self._serving_runtime is None:
            return ModelTrainOperator(task_id="train", plan=plan.output, benchmark=asked, **self._common)
        train = ModelTrainOperator(task_id="train", plan=plan.output, steps=("train",), **self._common)
        there = {**self._common, "runtime": self._serving_runtime.to_dict()}
        serving = ModelServingCheckOperator(task_id="serving", plan=train.output, **there)
        rest = ("evaluate", "gate", "register")
        return ModelTrainOperator(task_id="judge", plan=serving.output, steps=rest, benchmark=asked, **self._common)

    def _approve(self, judged: Any) -> Any:
        """Add the task that asks a person. Imported only where it is declared: its base takes long to import."""
        from retrain.operators.approval import ModelApproveOperator

        return ModelApproveOperator(
            task_id="approve", judged=judged, trigger_rule=TriggerRule.NONE_FAILED, **self._common
        )

    def _rollback_dag(self) -> DAG:
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
                **self._common,
            )
            self._notify(rollback)
        return dag

    def _summary(self) -> str:
        rows = [
            f"| `{name}` | `{value}` |"
            for name, value in self.spec.to_dict().items()
            if value not in (None, {}, [], "")
        ]
        when = "\n".join(f"- `{rule.to_dict()}`" for rule in self.rules)
        return "\n".join(["| declared | |", "|---|---|", *rows, "", "Retrains on:", when])
