"""`ContinuousTraining(...)`: one declaration becomes the DAGs of a model."""

import functools
import operator
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher

from retrain.jobs.runtime import Runtime
from retrain.loop.streams import labels_of
from retrain.operators.assets import drift_asset
from retrain.policy import Rule
from retrain.records import Approval, RollbackOn
from retrain.templates.dags import Blueprint
from retrain.templates.declaration import checked, declared, released
from retrain.triggers.arrival import PartitionArrivalTrigger


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
        self.champion = Asset(name=f"retrain.champion.{self.spec.model}", uri=f"retrain://champion/{self.spec.model}")
        self.wanted = Asset(name=f"retrain.wanted.{model}", uri=f"retrain://wanted/{model}", group="retrain")
        self.drift, drift_alias = drift_asset(self.spec)
        blueprint = Blueprint(
            self.spec,
            self.rules,
            common={
                "spec": self.spec.to_dict(),
                "store": store,
                "runtime": runtime.to_dict() if runtime else None,
                "ledger_conn_id": ledger_conn_id,
                "mlflow_conn_id": mlflow_conn_id,
            },
            # Together longer than the lease of a claim: what a dead run held is free before the retries are used up.
            default_args={
                "retries": retries,
                "retry_delay": timedelta(seconds=retry_delay_seconds),
                "retry_exponential_backoff": True,
                "max_retry_delay": timedelta(minutes=10),
            },
            tags=["retrain", model, *tags],
            sweep=sweep,
            wakes=self._wakes(),
            champion=self.champion,
            wanted=self.wanted,
            drift=drift_alias,
            serving_runtime=serving_runtime.to_dict() if serving_runtime else None,
            webhook_conn_id=webhook_conn_id,
            draw_report=draw_report,
        )
        self.data_dag = blueprint.data_dag()
        self.backfill_dag = blueprint.backfill_dag()
        self.train_dag = blueprint.train_dag()
        self.rollback_dag = blueprint.rollback_dag()

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
