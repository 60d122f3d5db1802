"""Airflow DAGs that wait, in every way that there is, for files, rows of a table, and events of an asset."""

import os
from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetWatcher, BaseOperator

from retrain.sensors import AssetEventSensor, PartitionArrivalSensor
from retrain.triggers.arrival import PartitionArrivalTrigger
from retrain.triggers.asset_event import AssetEventTrigger

FEED = os.environ["WAITS_FEED"]
FILES = f"{FEED}/{{partition}}.csv"
# A task that is back in the queue before the scheduler has read that its last visit ended is taken for lost: Airflow's
# own, of every task that comes back sooner than the scheduler is quick. Hence the pause, and the retries.
RESCHEDULE = {"mode": "reschedule", "poke_interval": 20}
DEFAULTS = {"poke_interval": 1, "timeout": 300, "retries": 3, "retry_delay": timedelta(seconds=1)}
WAYS = {"poke": {}, "reschedule": RESCHEDULE, "deferred": {"deferrable": True}}

with DAG("waits", schedule=None, default_args=DEFAULTS, params={"day": "mon"}):
    for way, options in WAYS.items():
        PartitionArrivalSensor(task_id=f"{way}_file", data=FILES, partition="{{ params.day }}", **options)
        PartitionArrivalSensor(
            task_id=f"{way}_rows", data="sql://shop/orders?day={partition}", partition="mon", **options
        )
    PartitionArrivalSensor(task_id="deferred_growing", data="sql://shop/orders?id>{partition}", deferrable=True)
    AssetEventSensor(task_id="reschedule_event", asset="upstream", extra={"day": "mon"}, **RESCHEDULE)
    AssetEventSensor(
        task_id="deferred_event",
        asset="upstream",
        extra={"day": "mon"},
        airflow_conn_id="this_airflow",
        deferrable=True,
    )
    # Those that end without their data.
    late = {"data": FILES, "partition": "never", "timeout": 3}
    broken = {**late, "data": f"{FEED}/{{partition}}/{{partition}}.csv", "timeout": 60}
    for way, options in WAYS.items():
        PartitionArrivalSensor(task_id=f"{way}_late", **late, **options)
        PartitionArrivalSensor(task_id=f"{way}_late_soft", soft_fail=True, **late, **options)
        PartitionArrivalSensor(task_id=f"{way}_broken", **broken, **options)

rows = PartitionArrivalTrigger("sql://shop/orders?day={partition}")
remote = AssetEventTrigger("upstream", "this_airflow")
with DAG("woken_by_rows", schedule=Asset("rows", watchers=[AssetWatcher(name="rows", trigger=rows)])):
    BaseOperator(task_id="nothing")
with DAG("woken_by_event", schedule=Asset("remote", watchers=[AssetWatcher(name="remote", trigger=remote)])):
    BaseOperator(task_id="nothing")
with DAG("produces", schedule=None):
    BaseOperator(task_id="nothing", outlets=[Asset("upstream")])
