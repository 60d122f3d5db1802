"""Waits in a DAG until an Airflow asset has a new event."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, conf

from retrain.exceptions import DeclarationError
from retrain.loop.waiting import AssetEvent, WantedEvent, asset_events
from retrain.sensors._waiting import WaitingSensor, after_time
from retrain.triggers.asset_event import AssetEventWaitTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.execution_time.context import InletEventsAccessors

NEWEST = 1000  # so many of an asset's newest events are looked at


class AssetEventSensor(WaitingSensor):
    """Wait for an event of an asset that is newer than a time and whose extra holds what is asked for.

    XCom: the oldest such event, `{"asset", "id", "timestamp", "extra", "source_dag_id", "source_run_id",
    "partition_key"}`.

    Airflow lets a task read its asset events and lets a trigger read none. So with `airflow_conn_id`, the address of an
    Airflow's REST API (this one's or another's), the sensor can be deferred; without it, it reads this Airflow's events
    in the worker: use `mode="reschedule"`, which holds no worker between two looks either.

    :param asset: an `Asset`, a URI, or a name
    :param after: ISO time; an event at that very moment does not count. Default: when the DAG run was due (templated)
    :param extra: what the event's extra must hold, by name (templated)
    :param airflow_conn_id: connection of type `http` to an Airflow, with a user who may read assets
    :param deferrable: default `[operators] default_deferrable` where there is an `airflow_conn_id`
    """

    template_fields: Sequence[str] = ("after", "extra")

    def __init__(
        self,
        *,
        asset: Asset | str,
        after: str | datetime | None = "{{ dag_run.run_after.isoformat() }}",
        extra: Mapping[str, Any] | None = None,
        airflow_conn_id: str | None = None,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        if deferrable and airflow_conn_id is None:
            raise DeclarationError(
                "an AssetEventSensor cannot be deferred without airflow_conn_id",
                expected="a connection to an Airflow's REST API: Airflow's triggerer cannot read asset events",
                remedy="Name one, or use mode='reschedule'",
            )
        if deferrable is None:
            by_default = conf.getboolean("operators", "default_deferrable", fallback=False)
            deferrable = airflow_conn_id is not None and by_default
        if airflow_conn_id is None:
            # What the task may read is what it declares.
            kwargs["inlets"] = [*_listed(kwargs.get("inlets")), _inlet(asset)]
        super().__init__(deferrable=deferrable, **kwargs)
        self.asset = asset
        self.after = after.isoformat() if isinstance(after, datetime) else after
        self.extra = dict(extra or {})
        self.airflow_conn_id = airflow_conn_id

    def look(self, context: "Context") -> dict[str, Any] | None:
        """Read the events and decide."""
        after = after_time(self.after)
        found = asset_events(self._events(context, after), WantedEvent(after, self.extra))
        return {"asset": self._named(), **found[0].to_dict()} if found else None

    def trigger(self) -> AssetEventWaitTrigger:
        """Return the trigger that asks the REST API every `poke_interval`."""
        after = after_time(self.after)
        return AssetEventWaitTrigger(
            self._named(),
            str(self.airflow_conn_id),
            after.isoformat() if after else None,
            self.extra,
            self.poke_interval,
            patient=self.silent_fail,
        )

    def _events(self, context: "Context", after: datetime | None) -> Iterable[AssetEvent]:
        if self.airflow_conn_id is not None:
            from retrain.triggers.asset_event import look

            return look(self.airflow_conn_id, self._named(), after)
        accessors: InletEventsAccessors = context["inlet_events"]
        newest = accessors[_inlet(self.asset)].ascending(False).limit(NEWEST)
        if after is not None:
            newest = newest.after(after.isoformat())
        return [
            AssetEvent(
                id=event.id,
                timestamp=event.timestamp,
                extra=event.extra or {},
                source_dag_id=event.source_dag_id,
                source_run_id=event.source_run_id,
                partition_key=event.partition_key,
            )
            for event in newest
        ]

    def _named(self) -> str:
        return self.asset.uri if isinstance(self.asset, Asset) else self.asset


def _inlet(asset: Asset | str) -> Any:
    if isinstance(asset, Asset):
        return asset
    return Asset.ref(uri=asset) if "://" in asset else Asset.ref(name=asset)


def _listed(inlets: Any) -> list[Any]:
    if inlets is None:
        return []
    return list(inlets) if isinstance(inlets, list | tuple) else [inlets]
