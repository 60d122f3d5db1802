"""Kills a worker at a named point, once; in the environment of the system tests only.

This folder is on the PYTHONPATH of the tests' Airflow, so Python loads this module at start-up. retrain itself has no
hooks for it: named functions of retrain are wrapped after their module was imported, and user code (`shop.train`)
calls `reach` itself. A test arms points of a model, in order, in the file `$SYSTEM_TESTS/armed/<model>`. A process
that reaches the first of them strikes it out, notes it in `sprung/<model>`, and is killed with SIGKILL, together
with the LocalExecutor worker that supervises it: to Airflow a machine that lost its power looks the same.

A point that begins with `orphan` kills the supervisor only: the task goes on without anybody who listens.
"""

import functools
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("SYSTEM_TESTS", "/nonexistent"))
# Point: module, function in it, and whether the point lies before or after the call.
POINTS = {
    "discover: one of two files registered": ("retrain.ledger.store", "Ledger.append", "after"),
    "ingest: claimed": ("retrain.loop.ingest", "job", "before"),
    "ingest: in the job": ("retrain.jobs.data_steps", "profile", "before"),
    "orphan in the job": ("retrain.jobs.data_steps", "drift", "before"),
    "ingest: before the commit": ("retrain.loop.ingest", "commit", "before"),
    "ingest: after the commit": ("retrain.loop.ingest", "commit", "after"),
    "decide: before the decision": ("retrain.policy", "decide", "before"),
    "decide: decided, not told": ("retrain.operators.decide", "RetrainDecideOperator.execute", "after"),
    "plan: claimed": ("retrain.loop", "plan_training", "before"),
    "plan: planned": ("retrain.operators.plan", "TrainingPlanOperator._plan", "after"),
    "train: model logged": ("retrain.training.fitting", "_log_model", "after"),
    "serving: begun": ("retrain.jobs.judging_steps", "serving", "before"),
    # Asked for the first time how far the model has come: it is just being loaded, in a process of its own.
    "serving: the model runs": ("retrain.serving.loading", "_read", "before"),
    "serving: judged": ("retrain.jobs.judging_steps", "serving", "after"),
    "train: before the registration": ("retrain.jobs.model_steps", "register", "before"),
    "train: registered": ("retrain.jobs.model_steps", "register", "after"),
    "train: committed": ("retrain.operators.model", "ModelTrainOperator._mlflow_place", "before"),
    "approve: about to ask": ("retrain.operators.approval", "ModelApproveOperator._park", "before"),
    "approve: answered, not recorded": ("retrain.loop.approval", "record_answer", "before"),
    "approve: recorded": ("retrain.loop.approval", "record_answer", "after"),
    "rollback: before the ledger": ("retrain.loop.release", "roll_back", "before"),
    "rollback: between ledger and alias": ("retrain.loop.release", "reconcile", "before"),
    "rollback: shown in MLflow": ("retrain.loop.release", "finished_rollback", "after"),
    "promote: before the ledger": ("retrain.loop.release", "promote_judged", "before"),
    "promote: between ledger and alias": ("retrain.registry.promotion", "reconcile", "before"),
    "promote: promoted": ("retrain.loop.release", "promote_judged", "after"),
}
# A dead run's claim is waited for; the tests do not wait for two minutes.
LEASE_SECONDS = 15.0
# The model that a point was last reached for in this process, for functions that are not told of it.
LAST = {"model": ""}


def reach(point: str, model: str) -> None:
    """Say that `model` is at `point`; does not return if that is the next point armed for it."""
    armed = FOLDER / "armed" / model
    if not model or not armed.exists():
        return
    points = armed.read_text().splitlines()
    if not points or points[0] != point:
        return
    supervisor = os.getppid()
    title = Path(f"/proc/{supervisor}/cmdline").read_bytes()
    if b"airflow worker" not in title:
        raise RuntimeError(f"the process above the task is no worker: {title!r}")
    armed.write_text("\n".join(points[1:]))
    with (FOLDER / "sprung" / model).open("a") as file:
        file.write(f"{point}\n")
    os.kill(supervisor, signal.SIGKILL)
    if not point.startswith("orphan"):
        os.kill(os.getpid(), signal.SIGKILL)


def model_of(arguments: tuple[Any, ...]) -> str:
    """Find the model in the arguments of a wrapped function: a record, a context, an operator, or its name."""
    for value in arguments:
        spec = getattr(value, "spec", value)
        name = spec.get("model") if isinstance(spec, Mapping) else getattr(spec, "model", None)
        if isinstance(name, str):
            return name
    names = [value.removeprefix("dataset:") for value in arguments if isinstance(value, str)]
    return next((name for name in names if (FOLDER / "armed" / name).exists()), "")


def wrap(function: Callable[..., Any], point: str, when: str) -> Callable[..., Any]:
    """Return the function with its point."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        model = model_of(args)
        if point.startswith("serving"):
            LAST["model"] = model = model or LAST["model"]
        if when == "before":
            reach(point, model)
        result = function(*args, **kwargs)
        if when == "after":
            reach(point, model)
        return result

    return wrapped


def patch(module: Any) -> None:
    """Wrap what of POINTS lies in a module that was just imported."""
    for point, (name, path, when) in POINTS.items():
        if name == module.__name__:
            *owners, attribute = path.split(".")
            owner = module
            for part in owners:
                owner = getattr(owner, part)
            setattr(owner, attribute, wrap(getattr(owner, attribute), point, when))
    if module.__name__ == "retrain.hooks.ledger":
        module.LEASE_SECONDS = LEASE_SECONDS


class Finder:
    """Finds the modules of POINTS like everybody else, and patches them once they have run."""

    names = frozenset({"retrain.hooks.ledger", *(module for module, _, _ in POINTS.values())})

    def __init__(self) -> None:
        self.busy: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Answer the import system."""
        if name not in self.names or name in self.busy:
            return None
        self.busy.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.busy.discard(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def executed(module: Any) -> None:
            execute(module)
            patch(module)

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


if "SYSTEM_TESTS" in os.environ:
    sys.meta_path.insert(0, Finder())
