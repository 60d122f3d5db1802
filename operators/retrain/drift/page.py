"""Our own page of one screen: the verdict in words, the picture, and why each column drifted. Cheap enough to draw."""

import base64
import html
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from retrain.drift.chart import chart
from retrain.drift.comparison import compare
from retrain.drift.profiling import as_profile
from retrain.exceptions import MissingDependencyError
from retrain.records import DriftStatus, DriftVerdict

if TYPE_CHECKING:
    from retrain.drift.profiles import Profile
    from retrain.drift.profiling import Source

log = logging.getLogger(__name__)

MOST_ROWS = 30
_STYLE = """
body{font-family:sans-serif;max-width:72em;margin:1.5em auto;padding:0 1em;color:#222;overflow-wrap:anywhere}
h1{font-size:1.3em}h1 b{padding:.1em .5em;border-radius:.3em;color:#fff}
.ok{background:#4c9f70}.drift{background:#c0392b}.inconclusive{background:#c9a227}
img{max-width:100%}table{border-collapse:collapse;font-size:.9em}
td,th{text-align:left;vertical-align:top;padding:.25em .8em .25em 0;border-bottom:1px solid #ddd}
td.n,th{white-space:nowrap}
"""


def page(
    reference: "Profile | Source",
    current: "Profile | Source",
    verdict: DriftVerdict | None = None,
    *,
    past: Sequence[tuple[str, DriftVerdict]] = (),
    further: Mapping[str, str] | None = None,
    title: str = "",
) -> str:
    """Return a self-contained HTML page: verdict, picture (see `chart`), and the reasons, column by column.

    `further` are other findings by name, such as on predictions or performance. From the profiles alone: at
    500 columns 0.1 MB and a CPU-second. Without matplotlib the page has no picture and says so.
    """
    reference = as_profile(reference)
    current = as_profile(current, reference)
    verdict = verdict or compare(reference, current)
    heading = f'<b class="{verdict.status}">{verdict.status}</b>'
    severity = f"{verdict.severity} severity" if verdict.severity else ""
    extras = ", ".join(word for word in (severity, verdict.shape and verdict.shape.value) if word)
    body = [
        f"<h1>{html.escape(title)} {heading} {html.escape(extras)}</h1>",
        f"<p>{html.escape(verdict.summary)}</p>",
        _further(further or {}),
        _picture(reference, current, verdict, past),
        _reasons(verdict),
    ]
    head = f'<meta charset="utf-8"><title>{html.escape(title or "Drift")}: {verdict.status}</title>'
    return (
        f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{"".join(body)}</body></html>'
    )


def _picture(
    reference: "Profile", current: "Profile", verdict: DriftVerdict, past: Sequence[tuple[str, DriftVerdict]]
) -> str:
    try:
        drawn = base64.b64encode(chart(reference, current, verdict, past=past)).decode()
    except MissingDependencyError as error:
        log.info("the page has no picture: %s", error)
        return f"<p>No picture: {html.escape(str(error))}</p>"
    words = "reference beside current, column by column, and the verdicts on past partitions"
    return f'<p><img alt="{words}" src="data:image/png;base64,{drawn}"></p>'


def _further(findings: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><td class="n">{html.escape(name)}</td><td>{html.escape(said)}</td></tr>'
        for name, said in findings.items()
    )
    return f"<table>{rows}</table>" if rows else ""


def _reasons(verdict: DriftVerdict) -> str:
    drifted = [name for name in verdict.drivers if name in verdict.columns]
    drifted += [
        name
        for name, column in verdict.columns.items()
        if column.status is DriftStatus.DRIFT and name not in verdict.drivers
    ]
    rows = "".join(
        f'<tr><td class="n">{html.escape(name)}</td><td>{html.escape(verdict.columns[name].reason)}</td></tr>'
        for name in drifted[:MOST_ROWS]
    )
    if not rows:
        return ""
    more = f"<p>and {len(drifted) - MOST_ROWS} more</p>" if len(drifted) > MOST_ROWS else ""
    return f"<table><tr><th>column</th><th>why</th></tr>{rows}</table>{more}"
