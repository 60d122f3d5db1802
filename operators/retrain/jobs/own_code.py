"""The user's functions that judge: found under the project root, as the files are now, for the time of a step."""

import functools
from collections.abc import Callable
from typing import Any

from retrain.jobs.steps import StepContext
from retrain.records import ModelSpec


def with_own_code(step: Callable[[StepContext], dict[str, Any]]) -> Callable[[StepContext], dict[str, Any]]:
    """Let a step import the metric and the conditions that are functions of the project."""

    @functools.wraps(step)
    def stepped(context: StepContext) -> dict[str, Any]:
        if not (references := own_references(context.spec)):
            return step(context)
        from retrain.training.usercode import fresh_project

        with fresh_project(context.spec.project_root, references):
            return step(context)

    return stepped


def own_references(spec: ModelSpec) -> list[str]:
    """Return `module:function` of each function of the project that judges."""
    found = [str(one["function"]) for one in spec.conditions if one.get("kind") == "custom"]
    return [*found, spec.metric.partition("[")[0]] if ":" in spec.metric else found
