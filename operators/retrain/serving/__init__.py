"""Serving: before a version is promoted, load the very artifact where it will serve and see what it does.

`check` answers with a verdict, whatever the model does.
"""

from retrain.serving.checking import check
from retrain.serving.declaration import Serving
from retrain.serving.verdict import Limits, Parity, ServingCheck, ServingMode, ServingVerdict

__all__ = ["Limits", "Parity", "Serving", "ServingCheck", "ServingMode", "ServingVerdict", "check"]
