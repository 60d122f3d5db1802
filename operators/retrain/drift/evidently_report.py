"""Evidently's HTML of the columns that matter, over bounded samples. The only module that imports Evidently."""

import html
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrain.drift.comparison import compare
from retrain.drift.profiles import SAMPLE_ROWS, Kind, Profile
from retrain.drift.profiling import as_profile
from retrain.exceptions import MissingDependencyError
from retrain.records import DriftVerdict

if TYPE_CHECKING:
    import pandas as pd

    from retrain.drift.profiling import Source

MOST_COLUMNS = 10
# More levels than this are unreadable in a plot: the rest is drawn as one.
MOST_LEVELS = 20
_METHODS = {"numerical": ("ks", 0.05), "categorical": ("TVD", 0.05)}


def report(reference: "Profile | Source", current: "Profile | Source", verdict: DriftVerdict | None = None) -> str:
    """Draw reference and current side by side; returns a self-contained HTML page of about 4 MB.

    At most 10 columns (the verdict's drivers first, then by effect) over the profiles' samples of at most 2,000 rows.
    The verdict at the head of the page is ours, from all rows; Evidently's scores under it are from the samples. A
    column that cannot be drawn is left out, with a note. At 500 columns 4.0 MB and 3.8 CPU-seconds, 3.2 of them its
    import. Raises MissingDependencyError without Evidently.
    """
    reference = as_profile(reference)
    current = as_profile(current, reference)
    verdict = verdict or compare(reference, current)
    evidently = _Evidently()
    notes: list[str] = []
    columns: dict[str, tuple[str, pd.Series, pd.Series]] = {}
    for name in _ranked(verdict)[:MOST_COLUMNS]:
        drawable = _drawable(name, reference, current)
        if isinstance(drawable, str):
            notes.append(f"{name}: {drawable}")
        else:
            columns[name] = drawable
    page, failed = evidently.draw(columns)
    return _with_header(page, verdict, [*notes, *failed])


class _Evidently:
    """What is used of Evidently, imported on construction: 3 s, and no telemetry."""

    def __init__(self) -> None:
        # Evidently reads this once, at import, and would call home without it.
        os.environ.setdefault("DO_NOT_TRACK", "true")
        try:
            with warnings.catch_warnings():
                # It and what it imports use deprecated names of numpy and litestar.
                warnings.simplefilter("ignore")
                import evidently
                from evidently.metrics import ValueDrift
        except ImportError as error:
            raise MissingDependencyError(
                f"the report needs Evidently ({error})", remedy="install airflow-provider-retrain[report]"
            ) from error
        self._evidently = evidently
        self._metric = ValueDrift

    def draw(self, columns: dict[str, "tuple[str, pd.Series, pd.Series]"]) -> tuple[str, list[str]]:
        """Return the page and a note per column that Evidently refused; one such column kills a whole report."""
        try:
            return self._page(columns), []
        except Exception:  # whatever it raises on a column it cannot draw
            drawn, failed = {}, []
            for name, column in columns.items():
                try:
                    self._page({name: column})
                except Exception as error:
                    failed.append(f"{name}: Evidently could not draw it ({type(error).__name__})")
                else:
                    drawn[name] = column
            return (self._page(drawn) if failed else _EMPTY_PAGE), failed

    def _page(self, columns: dict[str, "tuple[str, pd.Series, pd.Series]"]) -> str:
        import pandas as pd

        if not columns:
            return _EMPTY_PAGE
        kinds = {name: kind for name, (kind, _, _) in columns.items()}
        definition = self._evidently.DataDefinition(
            numerical_columns=[name for name, kind in kinds.items() if kind == "numerical"],
            categorical_columns=[name for name, kind in kinds.items() if kind == "categorical"],
        )
        # Two samples may differ in length after missing values: aligned on the index, as Evidently drops them again.
        sides = [pd.DataFrame({name: column[side] for name, column in columns.items()}) for side in (1, 2)]
        data = [self._evidently.Dataset.from_pandas(side, data_definition=definition) for side in sides]
        metrics = [
            self._metric(column=name, method=_METHODS[kind][0], threshold=_METHODS[kind][1])
            for name, kind in kinds.items()
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            snapshot = self._evidently.Report(metrics).run(data[1], data[0])
            return str(snapshot.get_html_str(as_iframe=False))


_EMPTY_PAGE = "<html><body><p>There is no column to draw.</p></body></html>"


def _ranked(verdict: DriftVerdict) -> list[str]:
    """Order the columns: drivers as they are, then the tested ones by their effect."""
    tested = {name: column.effect for name, column in verdict.columns.items() if column.effect is not None}
    rest = sorted((name for name in tested if name not in verdict.drivers), key=lambda name: -abs(tested[name]))
    return [*verdict.drivers, *rest]


def _drawable(name: str, reference: Profile, current: Profile) -> "tuple[str, pd.Series, pd.Series] | str":
    """Cast both samples of a column to what Evidently can draw, or say why they cannot be."""
    import pandas as pd

    if name not in reference.columns or name not in current.columns:
        return "it is on one side only"
    kinds = {reference.columns[name].kind, current.columns[name].kind}
    if reference.columns[name].private or current.columns[name].private:
        return "declared private"
    sides = [pd.Series(side.sample.get(name, ()), dtype="object")[:SAMPLE_ROWS] for side in (reference, current)]
    if any(side.dropna().empty for side in sides):
        return "there is no finite value on one of the sides"
    if kinds == {Kind.NUMERIC}:
        return "numerical", sides[0].astype("float64"), sides[1].astype("float64")
    if kinds & {Kind.NUMERIC, Kind.DATETIME} or kinds == {Kind.TEXT}:
        return f"nothing to draw of {' and '.join(sorted(kinds))}"
    frequent = list(pd.concat(sides).dropna().map(str).value_counts().index[:MOST_LEVELS])
    named = [_levels(side, frequent) for side in sides]
    return "categorical", named[0], named[1]


def _levels(side: "pd.Series", frequent: Sequence[str]) -> "pd.Series":
    return side.map(lambda value: None if value is None else str(value) if str(value) in frequent else "(other)")


def _with_header(page: str, verdict: DriftVerdict, notes: Sequence[str]) -> str:
    lines = [f"<h2>Verdict: {html.escape(verdict.status)}</h2>", f"<p>{html.escape(verdict.summary)}</p>"]
    if notes:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        lines.append(f"<p>Not drawn:</p><ul>{items}</ul>")
    lines.append("<p>The verdict is from all rows. The plots and scores below are from samples of at most 2,000.</p>")
    header = f'<div style="font-family:sans-serif;max-width:70em;margin:2em auto">{"".join(lines)}</div>'
    head, body, rest = page.partition("<body>")
    return head + body + header + rest if body else header + page
