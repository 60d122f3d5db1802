"""The loop between the ledger and the stages: what has arrived, what is pending, what is known, what to train on.

Everything here is read from the ledger and committed to it; no Airflow, no ML library.
"""

from retrain.loop.arrival import register_arrivals
from retrain.loop.facts import (
    Accepted,
    accepted_partitions,
    champion_inputs,
    history,
    pending_partitions,
    trainable_partitions,
)
from retrain.loop.plan import Plan, plan_training
from retrain.loop.replay import replay

__all__ = [
    "Accepted",
    "Plan",
    "accepted_partitions",
    "champion_inputs",
    "history",
    "pending_partitions",
    "plan_training",
    "register_arrivals",
    "replay",
    "trainable_partitions",
]
