"""Our own one-page summary as a picture: the columns that matter, and drift over the partitions. Needs matplotlib."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retrain.drift.comparison import compare
from retrain.drift.evidence import level_counts
from retrain.drift.profiles import ColumnProfile, Kind, Profile
from retrain.drift.profiling import as_profile
from retrain.drift.sketch import shared_grid
from retrain.exceptions import MissingDependencyError
from retrain.records import DriftStatus, DriftVerdict

if TYPE_CHECKING:
    from retrain.drift.profiling import Source

MOST_PANELS = 9
ACROSS = 3
BINS = 30
MOST_LEVELS = 12
# What an effect is called over its panel; the names in a verdict are those of `Thresholds`.
_MEASURES = {
    "ks_d": "KS distance",
    "location": "shift",
    "scale": "spread",
    "total_variation": "share that moved",
    "dependence": "correlation",
    "outlier_share": "outliers",
    "missing_share": "missing",
    "infinite_share": "infinite",
    "unknown_share": "unknown levels",
}
_COLOURS = {"reference": "#7f8c9b", "current": "#d9622b"}
_STATES = {DriftStatus.OK: "#4c9f70", DriftStatus.DRIFT: "#c0392b", DriftStatus.INCONCLUSIVE: "#c9a227"}


def chart(
    reference: "Profile | Source",
    current: "Profile | Source",
    verdict: DriftVerdict | None = None,
    *,
    past: Sequence[tuple[str, DriftVerdict]] = (),
) -> bytes:
    """Draw reference against current, drivers first, over a strip of `past` verdicts by partition; returns a PNG.

    At most 9 columns, from the profiles alone. Raises MissingDependencyError without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            f"the picture needs matplotlib ({error})", remedy="install airflow-provider-retrain[report]"
        ) from error
    reference = as_profile(reference)
    current = as_profile(current, reference)
    verdict = verdict or compare(reference, current)
    names = _drawable(reference, current, verdict)
    down = max(1, -(-len(names) // ACROSS))
    figure = Figure(figsize=(11, 1.1 + 2.2 * down + (1.1 if past else 0)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    heights = [2.2] * down + ([0.7] if past else [])
    grid = figure.add_gridspec(len(heights), ACROSS, height_ratios=heights)
    for index, name in enumerate(names):
        axes = figure.add_subplot(grid[index // ACROSS, index % ACROSS])
        _panel(axes, name, reference, current, verdict, legend=index == 0)
    if past:
        _strip(figure.add_subplot(grid[down, :]), past)
    rows = f"{verdict.current_rows:,} rows against {verdict.reference_rows:,}"
    severity = f"{verdict.severity} severity" if verdict.severity else ""
    words = [word for word in (verdict.status.value, severity, verdict.shape and verdict.shape.value) if word]
    figure.suptitle(f"{', '.join(words)}: {rows}", x=0.01, ha="left", color=_STATES[verdict.status], weight="bold")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()


def _drawable(reference: Profile, current: Profile, verdict: DriftVerdict) -> list[str]:
    tested = {name: abs(column.effect) for name, column in verdict.columns.items() if column.effect is not None}
    ranked = [*verdict.drivers, *sorted(set(tested) - set(verdict.drivers), key=lambda name: (-tested[name], name))]
    return [
        name
        for name in ranked
        if name in reference.columns
        and name in current.columns
        and _is_drawn(reference.columns[name], current.columns[name])
    ][:MOST_PANELS]


def _is_drawn(one: ColumnProfile, other: ColumnProfile) -> bool:
    kinds = (Kind.NUMERIC, Kind.CATEGORICAL, Kind.BOOLEAN)
    drawn = one.kind is other.kind and one.kind in kinds and not (one.private or other.private)
    return drawn and bool(one.values and other.values)


def _panel(axes: Any, name: str, reference: Profile, current: Profile, verdict: DriftVerdict, *, legend: bool) -> None:
    one, other = reference.columns[name], current.columns[name]
    if one.kind is Kind.NUMERIC:
        _histogram(axes, one, other)
    else:
        _bars(axes, one, other)
    if legend:
        axes.legend(fontsize=6, frameon=False)
    drifted = verdict.columns[name].status is DriftStatus.DRIFT
    colour = _STATES[DriftStatus.DRIFT] if drifted else "black"
    effect, measure = verdict.columns[name].effect, verdict.columns[name].effect_name
    note = f"  {_MEASURES.get(str(measure), measure)} {effect:+.2g}" if effect is not None else ""
    axes.set_title(f"{name}{note}", fontsize=9, loc="left", color=colour)
    axes.tick_params(labelsize=7)
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _histogram(axes: Any, one: ColumnProfile, other: ColumnProfile) -> None:
    """Shares over the middle 98% of both sides; the tails are in the outermost bins."""
    import numpy as np

    grid = shared_grid([one.sketch, other.sketch])
    shares = [side.sketch.cumulative(grid)[1] / side.sketch.rows for side in (one, other)]
    low, high = (grid[min(int(np.searchsorted(sum(shares) / 2, at)), len(grid) - 1)] for at in (0.01, 0.99))
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    for label, side in zip(_COLOURS, (one, other), strict=True):
        upto = side.sketch.cumulative(edges[1:-1])[1] / side.sketch.rows
        axes.stairs(
            np.diff([0, *upto, 1]), edges, color=_COLOURS[label], label=label, fill=label == "reference", alpha=0.8
        )


def _bars(axes: Any, one: ColumnProfile, other: ColumnProfile) -> None:
    import numpy as np

    before, after = level_counts(one, other), level_counts(other, one)
    levels = sorted({*before, *after}, key=lambda level: (-before.get(level, 0) - after.get(level, 0), level))
    shown = levels[:MOST_LEVELS]
    places = np.arange(len(shown))
    for offset, (label, counts) in zip((-0.2, 0.2), zip(_COLOURS, (before, after), strict=True), strict=True):
        total = sum(counts.values())
        shares = [counts.get(level, 0) / total for level in shown]
        axes.bar(places + offset, shares, 0.4, color=_COLOURS[label], label=label)
    axes.set_xticks(places, [level[:10] for level in shown], rotation=45 if len(shown) > 4 else 0)


def _strip(axes: Any, past: Sequence[tuple[str, DriftVerdict]]) -> None:
    for place, (_, verdict) in enumerate(past):
        axes.bar(place, 1, 0.9, color=_STATES[verdict.status])
        axes.text(place, 0.5, str(len(verdict.drivers) or ""), ha="center", va="center", fontsize=7, color="white")
    axes.set_xticks(range(len(past)), [name for name, _ in past], fontsize=7, rotation=45 if len(past) > 12 else 0)
    axes.set_yticks([])
    axes.set_title("partitions: verdict, and how many columns drifted", fontsize=8, loc="left")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
