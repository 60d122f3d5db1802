"""Driving an operator whose job runs in a pod, as Airflow's worker and triggerer do by turns."""

import asyncio
import importlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import TaskDeferred

from retrain.operators.job import RetrainOperator
from tests.support.airflow_tasks import context


class WholeJobOperator(RetrainOperator):
    """An operator that does nothing but run a job. Unlike a `JobOperator` it raises what `run` does, untranslated."""

    def __init__(self, *, steps: tuple[str, ...], inputs: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps, self.inputs = steps, inputs

    def execute(self, context: Any) -> dict[str, Any]:
        return self._go_on(context, None)

    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        return self._go_on(context, event)

    def _go_on(self, context: Any, event: dict[str, Any] | None) -> dict[str, Any]:
        result = self.run(context, self.request(context, self.steps, self.inputs), event)
        return dict(result.outputs)


def task(task_id: str, **fields: Any) -> dict[str, Any]:
    """Return a task's context with what the pod operator of Airflow's provider also reads of it."""
    made = context(task_id, **fields)
    made["ti"].start_date = datetime.now(UTC)
    return {**made, "run_id": made["ti"].run_id, "dag": SimpleNamespace(dag_id=made["ti"].dag_id)}


class Record(dict[str, Any]):
    """A stand-in for Airflow's record of a task's state, which its tries share."""

    def set(self, key: str, value: Any) -> None:
        """Keep it, as JSON would."""
        self[key] = json.loads(json.dumps(value))


def again(trigger: Any) -> Any:
    """Rebuild a trigger as the triggerer does."""
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**arguments)


def waited(deferred: TaskDeferred) -> dict[str, Any]:
    """Wait as the triggerer does, and return the event as it comes back."""

    async def first() -> Any:
        async for event in again(deferred.trigger).run():
            return event.payload
        raise AssertionError("the trigger ended without an event")

    event: dict[str, Any] = asyncio.run(first())
    return event


def finished(make: Callable[[], RetrainOperator], task: dict[str, Any]) -> Any:
    """Execute to the end, by a new operator after each wait; send the answer as XCom does."""
    step: Callable[[], Any] = lambda: make().execute(task)  # noqa: E731
    while True:
        try:
            return json.loads(json.dumps(step()))
        except TaskDeferred as deferred:
            step = resumed(make, task, deferred)


def resumed(make: Callable[[], RetrainOperator], task: dict[str, Any], deferred: TaskDeferred) -> Callable[[], Any]:
    """Wait in the triggerer; return what goes on then."""
    event = waited(deferred)
    return lambda: getattr(make(), deferred.method_name)(task, **(deferred.kwargs or {}), event=event)
