"""Jobs: the steps that do heavy work, behind one contract: JSON in, JSON out.

A job never opens the ledger and never moves an alias; whoever asked for it commits its result.
"""

from retrain.jobs.run import run_job
from retrain.jobs.runtime import ExternalPython, KubernetesPod, Runtime, Worker, runtime_from_dict
from retrain.jobs.steps import STEPS

__all__ = ["STEPS", "ExternalPython", "KubernetesPod", "Runtime", "Worker", "run_job", "runtime_from_dict"]
