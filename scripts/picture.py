"""`make picture`: draw the README's picture from a finished demo, and print the same as a Markdown table.

Everything is read from what the demo left behind: the ledger says what was seen, decided and promoted, and what each
month's champion was worth on it. The one number that it does not hold, version 1 on every month, is computed from
version 1 as MLflow kept it and the rows that validation accepted.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.data import read
from retrain.exceptions import RetrainError
from retrain.ledger import Event, Ledger
from retrain.loop.streams import Kind, dataset_stream, model_stream

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPOSITORY = Path(__file__).resolve().parents[1]
MODEL, DATASET, METRIC = "flight-delays", "flights", "ROC AUC"
FRESH, STALE, GRID = "#1b6e53", "#9a5b13", "#d9dee3"
LINES = {"kept fresh": "fresh", "first model, never retrained": "stale"}
DRIFT_COLOURS = {"ok": "#bfe3cf", "drift": "#f3c98b", "inconclusive": "#e3e3a8", "-": "#eceff1"}
PIXELS_WIDE, INCHES_WIDE, INCHES_HIGH = 1400, 10.0, 5.4


class NoDemoError(RetrainError):
    """There is no finished demo to draw."""


@dataclass
class Month:
    """One month of the demo: what the ledger says, and what version 1 would have been worth."""

    name: str
    rows: int
    quarantined: int
    accepted: str
    drift: str
    drivers: tuple[str, ...]
    fresh: float | None
    decision: str = ""
    trigger: str = ""
    gate: str = ""
    promoted: str = ""
    champion: str = ""
    stale: float | None = None


@dataclass(frozen=True)
class Year:
    """The months in order, and where version 1 lies."""

    months: list[Month]
    first_model: str
    root: Path


def read_year(root: Path) -> Year:
    """Read a finished demo under `root`; NoDemoError says what is missing and how to make one."""
    ledger_file = root / "ledger.db"
    if not ledger_file.is_file():
        raise _unfinished(f"there is no demo in {root}")
    with Ledger.open(str(ledger_file)) as ledger:
        validated = {
            event.key: event.payload for event in ledger.events(dataset_stream(DATASET), kinds=[Kind.VALIDATED])
        }
        months, models = _months(list(ledger.events(model_stream(MODEL))), validated)
    if len(months) < 12 or not all(month.decision for month in months):
        raise _unfinished(f"the demo in {root} ended after {len(months)} of 12 months")
    if "1" not in models:
        raise _unfinished(f"the demo in {root} promoted no version 1")
    return Year(months, models["1"], root)


def _unfinished(what: str) -> NoDemoError:
    return NoDemoError(
        what, expected="a demo that ran the whole year", remedy="Run `make demo-once`, then `make picture`"
    )


def _months(events: list[Event], validated: dict[str, Any]) -> tuple[list[Month], dict[str, str]]:
    """Cut the model's stream into months: each begins when the model has been watched on it."""
    months: list[Month] = []
    models: dict[str, str] = {}
    champion = ""
    for event in events:
        payload = event.payload
        if event.kind == Kind.WATCHED:
            months.append(_watched(payload, validated[event.key]))
        elif not months:
            continue
        elif event.kind == Kind.DECIDED and not months[-1].trigger:
            months[-1].decision = "retrain" if payload["retrain"] else "no"
            months[-1].trigger = payload["trigger"] or ""
        elif event.kind == Kind.JUDGED:
            months[-1].gate = payload["verdict"]["status"]
        elif event.kind == Kind.PROMOTED:
            champion = months[-1].promoted = payload["version"]
            models[champion] = payload["model_uri"]
        if months:
            months[-1].champion = champion
    return months, models


def _watched(watched: Any, validated: Any) -> Month:
    drift, performance = watched["drift"] or {}, watched["performance"] or {}
    return Month(
        name=watched["partition"],
        rows=validated["rows"],
        quarantined=validated["quarantined_rows"],
        accepted=validated["accepted"]["uri"],
        drift=drift.get("status") or "-",
        drivers=tuple(drift.get("drivers") or ()),
        fresh=performance.get("metric"),
    )


def score_first_model(year: Year) -> None:
    """Score version 1 on every month that a champion met, from its files alone; the servers are not running."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    from retrain.evaluation import get_metric
    from retrain.training import predict_for_metric

    model = mlflow.pyfunc.load_model(str(_model_folder(year)))
    metric = get_metric("roc_auc")
    for month in year.months:
        if month.fresh is None:
            continue
        frame = read(_accepted(year.root, month.accepted))
        labelled = frame[frame["late"].notna()]
        month.stale = metric.score(labelled["late"], predict_for_metric(model, labelled, metric.takes))


def _model_folder(year: Year) -> Path:
    name = year.first_model.removeprefix("models:/")
    for found in sorted((year.root / "mlflow" / "artifacts").glob(f"*/models/{name}/artifacts/MLmodel")):
        return found.parent
    raise _unfinished(f"the model {name} is not among MLflow's artifacts in {year.root}")


def _accepted(root: Path, uri: str) -> Path:
    """Return where the rows lie, also after the demo's folder was moved."""
    return root / "store" / "accepted" / Path(*uri.split("/")[-3:])


def table(months: list[Month]) -> str:
    """Return the year as a Markdown table."""
    head = [
        "month",
        "rows",
        "quarantined",
        "drift",
        "decision",
        "gate",
        "champion",
        "AUC kept fresh",
        "AUC never retrained",
    ]
    lines = [head, ["---", "--:", "--:", "---", "---", "---", "---", "--:", "--:"]]
    lines += [
        [
            month.name,
            f"{month.rows:,}",
            f"{month.quarantined:,}",
            f"{month.drift}: {', '.join(month.drivers[:3])}" if month.drivers else month.drift,
            f"{month.decision} ({month.trigger})" if month.trigger else month.decision,
            month.gate or "-",
            f"v{month.champion}" if month.champion else "-",
            _number(month.fresh),
            _number(month.stale),
        ]
        for month in months
    ]
    lines.append(["mean", "", "", "", "", "", "", _number(_mean(months, "fresh")), _number(_mean(months, "stale"))])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _mean(months: list[Month], name: str) -> float | None:
    values = [getattr(month, name) for month in months if getattr(month, name) is not None]
    return sum(values) / len(values) if values else None


def draw(months: list[Month], target: Path) -> None:
    """Draw both lines, the promotions, and the strip of verdicts and decisions below them."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10, "font.family": "DejaVu Sans", "axes.edgecolor": GRID})
    figure, (lines, strip) = plt.subplots(
        2,
        1,
        sharex=True,
        figsize=(INCHES_WIDE, INCHES_HIGH),
        gridspec_kw={"height_ratios": [3.4, 1.2], "hspace": 0.08},
    )
    _draw_lines(lines, months)
    _draw_strip(strip, months)
    figure.suptitle(
        "Will a flight arrive late? New York, 2013, one month after another", x=0.07, ha="left", fontsize=13
    )
    figure.subplots_adjust(left=0.1, right=0.985, top=0.92, bottom=0.07)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=PIXELS_WIDE / INCHES_WIDE, facecolor="white", metadata={"Software": None})
    plt.close(figure)


def _draw_lines(axes: "Axes", months: list[Month]) -> None:
    measured = [(index, month) for index, month in enumerate(months) if month.fresh is not None]
    at = [index for index, _ in measured]
    fresh, stale = ([getattr(month, name) for _, month in measured] for name in ("fresh", "stale"))
    axes.fill_between(at, stale, fresh, color=FRESH, alpha=0.08, linewidth=0)
    style: dict[str, Any] = {"marker": "o", "markersize": 4.5}
    kept, left = (f"{name} (mean {_mean(months, key):.3f})" for name, key in LINES.items())
    axes.plot(at, fresh, color=FRESH, linewidth=2.4, zorder=3, label=kept, **style)
    axes.plot(at, stale, color=STALE, linewidth=1.8, linestyle="--", label=left, **style)
    for index, month in enumerate(months):
        if month.gate:
            _draw_gate(axes, index, month)
    axes.legend(loc="lower left", frameon=True, framealpha=1, edgecolor="white", borderaxespad=0.6)
    axes.set_ylabel(f"{METRIC} on the month's flights")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(y=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)


def _draw_gate(axes: "Axes", index: int, month: Month) -> None:
    """Mark the end of a month in which a version was judged: what comes after meets the new champion."""
    text, colour = (f"v{month.promoted}", FRESH) if month.promoted else (f"gate: {month.gate}", "#b3261e")
    axes.axvline(index + 0.5, color=colour, linewidth=1, linestyle=":")
    axes.text(
        index + 0.5,
        0.985,
        text,
        transform=axes.get_xaxis_transform(),
        ha="center",
        va="top",
        color="white",
        fontsize=9,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": colour, "edgecolor": "none"},
    )


def _draw_strip(axes: "Axes", months: list[Month]) -> None:
    import matplotlib.pyplot as plt

    for index, month in enumerate(months):
        _cell(axes, index, 1, "no model" if month.drift == "-" else month.drift, DRIFT_COLOURS[month.drift])
        wanted = month.decision == "retrain"
        text = month.trigger.replace("_", " ") if wanted else "no"
        _cell(axes, index, 0, text, "#b7dbf5" if wanted else "#eceff1")
    axes.set_yticks([0, 1], ["retrain?", "drift"])
    axes.set_ylim(-0.55, 1.55)
    axes.set_xlim(-0.5, len(months) - 0.5)
    axes.set_xticks(range(len(months)), [month.name for month in months])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    plt.setp(axes.get_yticklabels(), fontsize=10)


def _cell(axes: "Axes", column: int, row: int, text: str, colour: str) -> None:
    import matplotlib.patches as patches

    axes.add_patch(patches.Rectangle((column - 0.47, row - 0.42), 0.94, 0.84, facecolor=colour, edgecolor="none"))
    axes.text(column, row, text, ha="center", va="center", fontsize=9, color="#22303c")


def main() -> int:
    """Draw and print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make picture", description=__doc__)
    parser.add_argument("--root", type=Path, default=REPOSITORY / ".demo", help="where the demo kept everything")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs" / "images" / "flights.png")
    options = parser.parse_args()
    try:
        year = read_year(options.root.resolve())
        score_first_model(year)
    except RetrainError as error:
        print(error, file=sys.stderr)
        return 1
    draw(year.months, options.output)
    print(table(year.months))
    print(f"\n{options.output}: {options.output.stat().st_size / 1000:.0f} kB", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
