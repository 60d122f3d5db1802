"""Waits in a DAG until the ledger holds a drift verdict."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import conf
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from retrain.exceptions import DeclarationError
from retrain.loop.verdicts import WantedVerdict, as_statuses
from retrain.sensors._waiting import WaitingSensor, after_time
from retrain.triggers.drift import DriftVerdictTrigger, look

if TYPE_CHECKING:
    from airflow.sdk import Context

DAY = 24 * 3600.0
_SINCE_THE_RUN = "{{ dag_run.run_after.isoformat() }}"


class DriftSensor(WaitingSensor):
    """Wait until the ledger holds a drift verdict of a model, or of any model of a dataset.

    XCom: the oldest such verdict, `{"model", "dataset", "partition", "version", "status", "severity", "kinds", "shape",
    "drivers", "checks", "summary", "champion", "verdict_uri", "summary_uri", "report_uri", "recorded_at"}`. Of a
    partition that was looked at several times the last look counts. A verdict of another status does not end the wait:
    with `status="any"` whatever is said of the partition does.

    :param model: name of the model (templated)
    :param dataset: name of a dataset instead: the verdict of any model that uses it (templated)
    :param status: `drift` (the default), `ok`, `inconclusive`, several of them, or `any`
    :param partition: only a verdict on this partition, whenever it was given (templated)
    :param after: ISO time; only verdicts recorded later. Default: when the DAG run was due, without a limit where a
        partition is named (templated)
    :param severity: of a drift, the least that counts: `low`, `medium` or `high`
    :param kinds: of a drift, the kinds of which one has to be there: `feature`, `prediction`, `label`, `concept`
    :param ledger_conn_id: connection of type `retrain_ledger`
    :param deferrable: wait in the triggerer; default `[operators] default_deferrable`
    :param timeout: seconds; default a day, not Airflow's week. The task fails then, or is skipped with `soft_fail=True`
    :param poke_interval: seconds between two looks; default `[retrain] poll_interval_seconds`
    """

    template_fields: Sequence[str] = ("model", "dataset", "partition", "after")

    def __init__(
        self,
        *,
        model: str | None = None,
        dataset: str | None = None,
        status: str | Sequence[str] = "drift",
        partition: str | None = None,
        after: str | datetime | None = None,
        severity: str | None = None,
        kinds: Sequence[str] = (),
        ledger_conn_id: str = "retrain_ledger",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: float = DAY,
        poke_interval: float | None = None,
        **kwargs: Any,
    ) -> None:
        if (model is None) == (dataset is None):
            raise DeclarationError(f"a DriftSensor of model={model!r} and dataset={dataset!r}", expected="one of them")
        interval = poke_interval or conf.getfloat("retrain", "poll_interval_seconds", fallback=30.0)
        super().__init__(deferrable=deferrable, timeout=timeout, poke_interval=interval, **kwargs)
        self.model = model
        self.dataset = dataset
        self.statuses = as_statuses(status)
        self.partition = partition
        since = after.isoformat() if isinstance(after, datetime) else after
        self.after = since or (None if partition is not None else _SINCE_THE_RUN)
        self.severity = severity
        self.kinds = tuple(kinds)
        self.ledger_conn_id = ledger_conn_id
        WantedVerdict(self.statuses, None, None, severity, self.kinds)  # a wrong word is told when the DAG is parsed

    def look(self, context: "Context") -> dict[str, Any] | None:  # noqa: ARG002
        """Read the ledger and decide."""
        found = look(self.ledger_conn_id, self.model, self.dataset, self._wanted())
        if found is None:
            self.log.info("no verdict yet: %s", self._words())
        else:
            self.log.info("%s: %s", found["partition"], found["summary"] or found["status"])
        return found

    def trigger(self) -> DriftVerdictTrigger:
        """Return the trigger that looks every `poke_interval`."""
        wanted = self._wanted()
        return DriftVerdictTrigger(
            self.ledger_conn_id,
            self.model,
            self.dataset,
            {
                "statuses": list(wanted.statuses),
                "partition": wanted.partition,
                "after": wanted.after.isoformat() if wanted.after else None,
                "severity": wanted.severity,
                "kinds": list(wanted.kinds),
            },
            self.poke_interval,
            patient=self.silent_fail,
        )

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: "Context") -> Any:
        """Resume; a wait that was in vain says what was waited for: Airflow's error names the time-out only."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (AirflowSensorTimeout, AirflowSkipException):
            self.log.error("waited in vain for %s", self._words())
            raise

    def _wanted(self) -> WantedVerdict:
        return WantedVerdict(self.statuses, self.partition, after_time(self.after), self.severity, self.kinds)

    def _words(self) -> str:
        of = f"the model {self.model}" if self.model else f"any model of the dataset {self.dataset}"
        on = f" on {self.partition}" if self.partition else f" since {self.after}" if self.after else ""
        least = f", {self.severity} or more" if self.severity else ""
        kinds = f", of {' or '.join(self.kinds)}" if self.kinds else ""
        return f"{' or '.join(self.statuses)} of {of}{on}{least}{kinds}"
