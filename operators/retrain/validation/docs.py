"""The page of one validation: Data Docs' structure and sentences, readable offline.

The sentences are those of Great Expectations' own renderers ("values must never be null."), and the page has the
order of its Data Docs. Its page view is not used: it puts names of columns and suites into the HTML unescaped, and
without style sheets, icons and scripts from several CDNs its page is bare. Here Jinja escapes whatever comes from
outside, and the page loads nothing and runs no script.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from string import Template
from typing import Any

from retrain.exceptions import MissingDependencyError
from retrain.records import Severity
from retrain.validation.suites import Expectation

# A page of 2,000 columns stays under about a megabyte: whatever is left out is counted on it and is in the result.
_MOST_FAILURES = 300
_MOST_RESULTS = 1_000
_MOST_VALUES = 10
_LONGEST = 240
_TABLE = "Table-Level Expectations"
_HEADLINES = {"pass": "Succeeded", "warn": "Succeeded with warnings", "fail": "Failed"}
# GX numbers the members of a list: v__0, v__1, ... (values), column_list_0, ... (columns).
_MEMBERS = ("v__", "v_", "column_list_", "column_set_", "set_")

_Parts = list[tuple[str, bool]]


def render(document: Mapping[str, Any]) -> str:
    """Return the HTML page of a validation, from the result that `validate` writes under `validation/`.

    Failures stand first, gravest first; then every expectation by column, as in Data Docs. The page holds what the
    result holds (numbers, and what the suite demands) and no row of the data. The same result gives the same bytes.
    """
    results = document.get("results") or []
    verdict = document.get("verdict") or {}
    failures = sorted(verdict.get("failures") or [], key=_gravity)
    demands = _demands(results)
    listed = [_failure(one, demands) for one in failures[:_MOST_FAILURES]]
    # What fails is never among what is left out for length.
    kept = sorted(sorted(range(len(results)), key=lambda i: bool(results[i].get("success")))[:_MOST_RESULTS])
    return str(
        _template().render(
            source=document.get("source") or {},
            suite=document.get("suite") or {},
            verdict=verdict,
            headline=_HEADLINES.get(str(verdict.get("status")), str(verdict.get("status"))),
            count=_counts(verdict, results),
            failures=listed,
            more_failures=len(failures) - len(listed),
            sections=_sections([results[i] for i in kept]),
            more_results=len(results) - len(kept),
        )
    )


def _gravity(failure: Mapping[str, Any]) -> int:
    order = [severity.value for severity in Severity]
    severity = failure.get("severity")
    return order.index(severity) if severity in order else 0


def _counts(verdict: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    met = [bool(one.get("success")) for one in results]
    rows, aside = int(verdict.get("rows") or 0), int(verdict.get("quarantined_rows") or 0)
    stopped = verdict.get("status") == "fail" and not verdict.get("accepted")
    accepted = 0 if stopped else max(0, rows - aside)
    return {
        "rows": rows,
        "accepted": accepted,
        "quarantined": aside,
        "accepted_share": accepted / rows if rows else 0.0,
        "quarantined_share": aside / rows if rows else 0.0,
        "evaluated": len(met),
        "met": sum(met),
        "unmet": len(met) - sum(met),
        "met_share": sum(met) / len(met) if met else 0.0,
    }


def _demands(results: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str | None], list[_Parts]]:
    """Return the sentences of what is not met, by (type, subject), in the order of the suite."""
    found: dict[tuple[str, str | None], list[_Parts]] = {}
    for one in results:
        if not one.get("success") and not one.get("skipped"):
            subject = Expectation(str(one.get("type")), one.get("kwargs") or {}).subject
            found.setdefault((str(one.get("type")), subject), []).append(_sentence(one))
    return found


def _failure(failure: Mapping[str, Any], demands: Mapping[tuple[str, str | None], list[_Parts]]) -> dict[str, Any]:
    waiting = demands.get((str(failure.get("expectation")), failure.get("column")))
    return {
        "severity": str(failure.get("severity") or ""),
        "expectation": _short(failure.get("expectation") or ""),
        "column": _short(failure.get("column") or ""),
        "count": failure.get("count"),
        "reason": _short(failure.get("reason") or "", 4 * _LONGEST),
        # A guard is no part of the suite and has no sentence.
        "demand": waiting.pop(0) if waiting else [],
    }


def _sections(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Group by column as Data Docs does: first what is about the table, then each column in the suite's order."""
    groups: dict[str, list[dict[str, Any]]] = {_TABLE: []}
    for one in results:
        kwargs = one.get("kwargs") or {}
        column = kwargs.get("column")
        name = _TABLE if column is None else str(column)
        entry = {
            "success": bool(one.get("success")),
            "severity": str(one.get("severity") or ""),
            "type": _short(one.get("type") or ""),
            "sentence": _sentence(one),
            "observed": _observed(one),
            "notes": _short(one.get("notes") or "", 2 * _LONGEST),
        }
        groups.setdefault(name, []).append(entry)
    return [
        {"name": _short(name), "entries": entries, "unmet": sum(not entry["success"] for entry in entries)}
        for name, entries in groups.items()
        if entries
    ]


def _observed(one: Mapping[str, Any]) -> str:
    if one.get("skipped"):
        return _short(f"not evaluated: {one['skipped']}")
    if one.get("crash"):
        return {"missing_column": "the column is missing", "wrong_type": "not of a fitting type"}.get(
            str(one["crash"]), "not evaluated"
        )
    result = one.get("result") or {}
    unexpected, observed = result.get("unexpected_count"), result.get("observed_value")
    if isinstance(unexpected, int):
        rows = result.get("element_count")
        share = f" ({_share(unexpected / rows)})" if unexpected and isinstance(rows, int) and rows else ""
        return f"{unexpected:,} unexpected{share}"
    if isinstance(observed, bool) or not isinstance(observed, int | float):
        return "--"
    return f"{observed:,}" if isinstance(observed, int) else f"{observed:,.6g}"


def _share(share: float) -> str:
    return "< 0.01%" if share < 0.0001 else f"{share:.2%}"


def _sentence(one: Mapping[str, Any]) -> _Parts:
    """Return what is demanded in Great Expectations' words, as (text, whether it is an argument).

    An expectation that it has no words for stands with its type and arguments.
    """
    kind, kwargs = str(one.get("type")), dict(one.get("kwargs") or {})
    parts = _rendered(kind, kwargs) or [(f"{kind} ", False), (_value(kwargs), True)]
    shown: _Parts = []
    left = 3 * _LONGEST
    for text, argument in parts:
        if left <= 0:
            return [*shown, ("…", False)]
        shown.append((_short(text) if argument else text, argument))
        left -= len(shown[-1][0])
    return shown


def _rendered(kind: str, kwargs: Mapping[str, Any]) -> _Parts | None:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import get_renderer_impl

    try:
        renderer = get_renderer_impl(kind, "renderer.prescriptive")
        # Another renderer of GX would take milliseconds for each, this one takes microseconds.
        configuration = ExpectationConfiguration(type=kind, kwargs=_shortened(kwargs))
        content = renderer[1](configuration=configuration, runtime_configuration={"include_column_name": False})
        words = content[0].to_json_dict()["string_template"]
    except Exception:  # a renderer may stumble over any argument; the page must be there all the same
        return None
    return _filled(str(words["template"]), words.get("params") or {}) or None


def _shortened(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return kwargs whose lists are cut: GX writes every member out."""
    return {
        name: [*value[:_MOST_VALUES], f"and {len(value) - _MOST_VALUES:,} more"]
        if isinstance(value, list) and len(value) > _MOST_VALUES
        else value
        for name, value in kwargs.items()
    }


def _filled(template: str, params: Mapping[str, Any]) -> _Parts:
    parts: _Parts = []
    end = 0
    for match in Template.pattern.finditer(template):
        name = match["named"] or match["braced"]
        # A dollar sign of a regular expression, or a name that GX left open, stands for itself.
        if name is None or name not in params:
            continue
        parts += [(template[end : match.start()], False), (_value(params[name]), True)]
        end = match.end()
        if name.startswith(_MEMBERS) and template[end : end + 2] == " $":
            parts.append((",", False))
    parts.append((template[end:], False))
    return [part for part in parts if part[0]]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _short(value: Any, longest: int = _LONGEST) -> str:
    text = str(value)
    return text if len(text) <= longest else f"{text[:longest]}…"


@cache
def _template() -> Any:
    try:
        from jinja2 import Environment, PackageLoader
    except ImportError as error:
        raise MissingDependencyError(
            "The page of a validation needs Jinja2, which comes with Great Expectations",
            remedy="pip install 'airflow-provider-retrain[jobs]'",
        ) from error
    environment = Environment(loader=PackageLoader("retrain.validation", "pages"), autoescape=True, trim_blocks=True)
    return environment.get_template("validation.html")
