"""What the demo shows in the terminal: progress while it runs, a table at the end."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts.demo.settings import Settings
from scripts.demo.year import Month

# Without a terminal (a log, CI) there is no width to respect but a reader's.
console = Console(width=None if sys.stdout.isatty() else 130)


def progress() -> Progress:
    """Return the display of the year's progress."""
    return Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[stage]}"),
        TimeElapsedColumn(),
        console=console,
    )


def line(month: Month) -> str:
    """Return the one line that stays in the terminal when a month is done."""
    drift = f"drift in {', '.join(month.drivers[:2])}" if month.drift == "drift" else f"drift: {month.drift}"
    parts = [f"{month.rows:,} rows, {month.quarantined:,} quarantined", drift, month.decision]
    if month.gate:
        parts.append(f"gate: {month.gate}")
    return f"[bold]{month.name}[/]  {'; '.join(parts)}; champion {month.champion}  [dim]{month.seconds:.1f} s[/]"


def table(months: Sequence[Month]) -> Table:
    """Return the year as a table. The metric is the champion's on the month's flights, before any retraining."""
    out = Table(title="flight-delays, 2013", caption="AUC: of the champion that met the month, before it was retrained")
    for name, style in (
        ("month", "bold"), ("rows", ""), ("quarantined", ""), ("drift", ""), ("decision", ""), ("gate", ""),
        ("champion", "bold"), ("AUC", ""),
    ):  # fmt: skip
        out.add_column(name, style=style, justify="right" if name in ("rows", "quarantined", "AUC") else "left")
    colours = {"pass": "green", "fail": "red", "inconclusive": "yellow", "drift": "yellow", "ok": "green"}
    for month in months:
        drift = f"{month.drift}: {', '.join(month.drivers[:3])}" if month.drivers else month.drift
        out.add_row(
            month.name,
            f"{month.rows:,}",
            f"{month.quarantined:,}",
            f"[{colours.get(month.drift, 'dim')}]{drift}[/]",
            month.decision,
            f"[{colours.get(month.gate, 'dim')}]{month.gate or '-'}[/]",
            month.champion,
            "-" if month.metric is None else f"{month.metric:.4f}",
        )
    return out


def addresses(settings: Settings) -> Table:
    """Return where to look around, and with which login."""
    out = Table(show_header=False, box=None)
    out.add_row("Airflow", settings.airflow_url, f"admin / {settings.password}  (or viewer, who may only look)")
    out.add_row("MLflow", settings.mlflow_url, f"admin / {settings.password}")
    out.add_row("Ledger", f"retrain ledger log --ledger {settings.ledger}")
    return out
