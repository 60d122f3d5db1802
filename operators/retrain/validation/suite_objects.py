"""Suites that Python makes: Great Expectations' own objects, and functions of the user's project."""

import contextlib
import importlib
import importlib.machinery
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from retrain.exceptions import SuiteError, UserCodeError

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
# GX says that it drops an expectation, and says it here.
_GX_LOG = "great_expectations.core.expectation_suite"


def is_reference(text: str) -> bool:
    """Say whether a text has the form `module:function`, which no path or URI of a suite has."""
    return _REFERENCE.fullmatch(text) is not None


def to_document(made: Any, source: str) -> Mapping[str, Any]:
    """Return the suite document of a dict, a GX ExpectationSuite, or a list of dicts and GX expectations."""
    if isinstance(made, Mapping):
        return made
    if isinstance(made, list | tuple):
        return {"name": source.partition(":")[2] or "suite", "expectations": [_entry(one) for one in made]}
    if _is_gx(made, "ExpectationSuite"):
        return {"name": made.name, "expectations": [_entry(one) for one in made.expectations], "meta": made.meta}
    raise SuiteError(
        f"{source} gives {type(made).__name__}",
        expected="a dict, a list of expectations, or an ExpectationSuite of Great Expectations",
        remedy="Return one of these",
    )


def call(reference: str, project_root: str | None) -> Mapping[str, Any]:
    """Return the suite document that the user's `module:function` makes; it is called without arguments.

    The module is imported anew from `project_root`, never from the working directory. SuiteError: no root, no such
    module or function, a GX suite that has dropped an expectation while it was made. UserCodeError: the code raised.
    """
    if project_root is None or not Path(project_root).is_dir():
        raise SuiteError(
            f"The suite {reference!r} is a function, and the project root is {project_root}",
            expected="the folder that the module lies in",
            remedy="Give project_root=",
        )
    name, _, function = reference.partition(":")
    root = Path(project_root).resolve()
    with _project(root, name), _nothing_dropped(reference):
        made = _function(name, function, root)
        try:
            return to_document(made(), reference)
        except SuiteError:
            raise
        except Exception as error:
            raise UserCodeError(
                f"{reference} raised {type(error).__name__}: {error}", remedy="Make it return the suite"
            ) from error


def _function(name: str, function: str, root: Path) -> Callable[[], Any]:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise SuiteError(
                f"The suite {name}:{function} names a module that is not there: {error.name}",
                expected=f"{name.replace('.', '/')}.py under {root}",
                remedy="Correct the reference, or project_root=",
            ) from error
        raise UserCodeError(f"importing {name} needs the module {error.name}, which is not installed") from error
    except Exception as error:
        raise UserCodeError(f"importing {name} raised {type(error).__name__}: {error}") from error
    found = getattr(module, function, None)
    if not callable(found):
        there = sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise SuiteError(f"{name} ({module.__file__}) has no function {function!r}", expected=f"one of {there}")
    return found  # type: ignore[no-any-return]


@contextlib.contextmanager
def _project(root: Path, name: str) -> Iterator[None]:
    """Let the module be found under the root first, and anew; what Python held by its name is back afterwards."""
    top = name.partition(".")[0]
    own = importlib.machinery.PathFinder.find_spec(top, [str(root)]) is not None
    before = _take_out(top) if own else {}
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(root))
        if own:
            _take_out(top)
            sys.modules.update(before)


def _take_out(top: str) -> dict[str, Any]:
    taken = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == top}
    for name in taken:
        del sys.modules[name]
    return taken


@contextlib.contextmanager
def _nothing_dropped(reference: str) -> Iterator[None]:
    """Refuse where GX, building the user's suite from dicts, leaves one out: it only writes that into its log."""
    said: list[str] = []

    class _Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    listener, logger = _Listener(logging.ERROR), logging.getLogger(_GX_LOG)
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
    if said:
        raise SuiteError(
            f"{reference}: Great Expectations dropped {len(said)} expectations: {' '.join(said[0].split())[:300]}",
            expected="types and arguments that it knows",
            remedy="Correct them; a function that returns a dict gets their places named",
        )


def _entry(one: Any) -> Any:
    if not _is_gx(one, "Expectation"):
        return one  # a dict, or something that is refused by its place
    configuration = one.configuration
    # `severity` is an enum of GX; as text it is ours too.
    severity = getattr(configuration.severity, "value", configuration.severity)
    entry = {"type": configuration.type, "kwargs": configuration.kwargs, "severity": severity}
    return {**entry, "notes": configuration.notes, "meta": configuration.meta}


def _is_gx(value: Any, name: str) -> bool:
    """Say whether a value is of a class of GX, or below it, without importing GX."""
    return any(
        kind.__name__ == name and kind.__module__.startswith("great_expectations.") for kind in type(value).__mro__
    )
