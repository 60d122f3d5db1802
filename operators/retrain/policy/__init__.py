"""When to retrain, and why not: pure rules over what the ledger says about a model."""

from retrain.policy.decision import Decision, Trigger, decide
from retrain.policy.history import History, PartitionDrift, Request
from retrain.policy.rules import Decay, Drift, Every, NewData, Rule, rule_from_dict

__all__ = [
    "Decay",
    "Decision",
    "Drift",
    "Every",
    "History",
    "NewData",
    "PartitionDrift",
    "Request",
    "Rule",
    "Trigger",
    "decide",
    "rule_from_dict",
]
