"""Expectation suites from files, dicts and Python; nothing in one is ever dropped silently."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrain.exceptions import SuiteError
from retrain.records import Severity
from retrain.validation import suite_files, suite_objects

# What Great Expectations writes beside type, kwargs and severity. A misspelt `severity` must not pass for one of them.
_ANNOTATIONS = frozenset({"description", "expectation_context", "id", "meta", "notes", "rendered_content"})
_FIELDS = frozenset({"type", "kwargs", "severity"})
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
# These ask about the table's shape, so a column that is not there is their subject and not their obstacle.
_ABOUT_SHAPE = ("expect_column_to_exist", "expect_table_")


@dataclass(frozen=True)
class Expectation:
    """One line of a suite: what must hold, and how much it matters that it does."""

    type: str
    kwargs: Mapping[str, Any]
    severity: Severity = Severity.CRITICAL
    notes: str = field(default="", compare=False)
    """What somebody wrote beside it; no part of the demand, nor of the suite's digest."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that must be there for it to be evaluated, those of its row condition included."""
        if self.type.startswith(_ABOUT_SHAPE):
            return ()
        named = [self.kwargs[name] for name in _COLUMN_ARGUMENTS if isinstance(self.kwargs.get(name), str)]
        listed = self.kwargs.get("column_list")
        named += [name for name in listed if isinstance(name, str)] if isinstance(listed, list | tuple) else []
        return tuple(dict.fromkeys([*named, *_condition_columns(self.kwargs.get("row_condition"))]))

    @property
    def subject(self) -> str | None:
        """The column or columns that it is about, as a failure names them."""
        named = [str(self.kwargs[name]) for name in _COLUMN_ARGUMENTS if self.kwargs.get(name) is not None]
        named += map(str, self.kwargs.get("column_list") or ())
        return ", ".join(named) or None


@dataclass(frozen=True)
class Suite:
    """A named, ordered list of expectations; `source` is where it came from, for messages."""

    name: str
    expectations: tuple[Expectation, ...]
    source: str

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over what the suite demands, whatever it is called and wherever it lies."""
        body = [[one.type, dict(one.kwargs), one.severity.value] for one in self.expectations]
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def load_suite(source: Any, *, project_root: str | None = None) -> Suite:
    """Load a suite from wherever it is kept.

    `source` is one of: a Suite; a dict; the path or URI of a JSON or YAML (`.yaml`, `.yml`) document;
    `gx:<folder>#<name>`, a suite of a Great Expectations project; `module:function` under `project_root`, called
    without arguments; a GX ExpectationSuite, or a list of dicts and GX expectations, which a function may return too.

    The document is Great Expectations' own form: `{"name": ..., "expectations": [{"type": ..., "kwargs": {...},
    "severity": "critical" | "warning" | "info"}]}`; severity defaults to critical. Raises SuiteError where it cannot be
    read, holds no expectation, or an entry is malformed; UserCodeError where the user's function raises. Whether types
    and kwargs exist is checked by `gx.build`.
    """
    if isinstance(source, Suite):
        return source
    if isinstance(source, Mapping):
        return _from_document(source, "the suite")
    if not isinstance(source, str | os.PathLike):
        return _from_document(suite_objects.to_document(source, "the suite"), "the suite")
    text = os.fspath(source)
    if text.startswith(suite_files.GX_PREFIX):
        return _from_document(*suite_files.read_project(text))
    if suite_objects.is_reference(text):
        return _from_document(suite_objects.call(text, project_root), text)
    return _from_document(*suite_files.read_document(source))


def _from_document(document: Any, source: str) -> Suite:
    entries = document.get("expectations") if isinstance(document, Mapping) else None
    if not isinstance(entries, list | tuple) or not entries:
        raise SuiteError(
            f"{source} holds no expectations",
            expected='{"name": ..., "expectations": [{"type": ..., "kwargs": {...}, "severity": ...}, ...]}',
            remedy="Add at least one: an empty suite would accept everything",
        )
    expectations = tuple(_expectation(entry, f"{source}, expectation {i}") for i, entry in enumerate(entries))
    return Suite(str(document.get("name") or "suite"), expectations, source)


def _expectation(entry: Any, where: str) -> Expectation:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str):
        raise SuiteError(f"{where} has no type", expected='{"type": "expect_...", "kwargs": {...}}')
    where = f"{where} ({entry['type']})"
    if unknown := sorted(set(map(str, entry)) - _FIELDS - _ANNOTATIONS):
        raise SuiteError(f"{where} has unknown fields {unknown}", expected=f"some of {sorted(_FIELDS)}")
    kwargs = entry.get("kwargs", {})
    if not isinstance(kwargs, Mapping):
        raise SuiteError(f"{where} has kwargs of type {type(kwargs).__name__}", expected="an object")
    severity = entry.get("severity", Severity.CRITICAL)
    if severity not in set(Severity):
        allowed = " | ".join(Severity)
        raise SuiteError(f"{where} has the severity {severity!r}", expected=allowed, remedy="Use one of these")
    if _is_open(kwargs):
        raise SuiteError(
            f"{where} leaves a value open ($PARAMETER)",
            expected="values: there is nothing here that would fill them in",
            remedy="Write the value into kwargs",
        )
    # The id of a batch belongs to the run that wrote the suite, not to the suite.
    kept = {str(name): value for name, value in kwargs.items() if name != "batch_id"}
    return Expectation(entry["type"], kept, Severity(severity), _notes(entry))


def _is_open(value: Any) -> bool:
    """Say whether a parameter of GX, to be given at run time, is anywhere in a value."""
    if isinstance(value, Mapping):
        return "$PARAMETER" in value or any(map(_is_open, value.values()))
    return isinstance(value, list | tuple) and any(map(_is_open, value))


def _notes(entry: Mapping[str, Any]) -> str:
    """Return what is written beside an expectation: under `notes`, or in the older `meta.notes`."""
    meta = entry.get("meta")
    found = entry.get("notes") or (meta.get("notes") if isinstance(meta, Mapping) else None)
    if isinstance(found, Mapping):
        found = found.get("content")
    return " ".join(map(str, found)) if isinstance(found, list | tuple) else str(found or "")


def _condition_columns(condition: Any) -> list[str]:
    """Return the columns of a structured row condition; one written as a string is left to pandas."""
    if isinstance(condition, Mapping):
        column = condition.get("column")
        own = [column["name"]] if isinstance(column, Mapping) and isinstance(column.get("name"), str) else []
        return own + [name for part in condition.values() for name in _condition_columns(part)]
    if isinstance(condition, list | tuple):
        return [name for part in condition for name in _condition_columns(part)]
    return []
