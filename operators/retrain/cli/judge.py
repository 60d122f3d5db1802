"""`retrain judge`: the gate on predictions that were kept, without a model."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd

    from retrain.records import Verdict

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


@click.command("judge")
@click.argument("predictions")
@click.option("--target", default="y_true", show_default=True, help="Column of the labels.")
@click.option("--champion", help="Column of the champion's predictions; without it, this is a cold start.")
@click.option("--challenger", required=True, help="Column of the challenger's predictions.")
@click.option("--metric", required=True, help="Name of the metric, as in scikit-learn.")
@click.option("--margin", required=True, type=float, help="In units of the metric.")
@click.option("--rule", type=click.Choice(["non_inferior", "superior"]), default="non_inferior", show_default=True)
@click.option("--confidence", type=float, default=0.95, show_default=True)
@click.option("--minimum", type=float, help="The worst value of the metric that may pass.")
@click.option("--slice-by", "slice_by", multiple=True, help="Column whose values are slices; may be repeated.")
@click.option("--sample-weight", help="Column of the weights.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def command(
    predictions: str,
    target: str,
    champion: str | None,
    challenger: str,
    slice_by: tuple[str, ...],
    sample_weight: str | None,
    as_json: bool,
    **terms: Any,
) -> None:
    """Judge a challenger against the champion on PREDICTIONS, a Parquet or CSV file (path or URI).

    For probabilities of several classes give the common start of their columns: NAME stands for NAME_0, NAME_1, ...

    Exit code 0: pass. 1: fail. 3: inconclusive. 2: could not judge.
    """
    from retrain.data import read
    from retrain.evaluation import judge

    frame = read(predictions)
    verdict = judge(
        _column(frame, target),
        None if champion is None else _prediction(frame, champion),
        _prediction(frame, challenger),
        slices={
            f"{name}={value}": (frame[name] == value).to_numpy()
            for name in slice_by
            for value in sorted(_column(frame, name).dropna().unique(), key=str)
        },
        sample_weight=None if sample_weight is None else _column(frame, sample_weight),
        **terms,
    )
    if as_json:
        click.echo(json.dumps(verdict.to_dict()))
    else:
        _print(verdict)
    sys.exit(EXIT_CODES[verdict.status])


def _column(frame: "pd.DataFrame", name: str) -> "pd.Series[Any]":
    from retrain.exceptions import MissingColumnError

    if name not in frame.columns:
        raise MissingColumnError(
            f"the predictions have no column {name!r}; they have {list(frame.columns)[:30]}",
            expected="the names of columns in --target, --champion, --challenger, --slice-by and --sample-weight",
        )
    return frame[name]


def _prediction(frame: "pd.DataFrame", name: str) -> Any:
    several: list[str] = []
    while f"{name}_{len(several)}" in frame.columns:
        several.append(f"{name}_{len(several)}")
    if name in frame.columns or not several:
        return _column(frame, name)
    return frame[several].to_numpy()


def _print(verdict: "Verdict") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(verdict.status, style=f"bold {COLOURS[verdict.status]}"), f"({verdict.rule})")
    for reason in verdict.reasons:
        console.print(Text(f"  - {reason}"), soft_wrap=True)
    if not verdict.slices:
        return
    table = Table("slice", "rows", "champion", "challenger", "difference", "verdict")
    for name, numbers in verdict.slices.items():
        shown = (f"{numbers[key]:.4g}" if key in numbers else "" for key in ("champion", "challenger", "difference"))
        table.add_row(Text(name), f"{numbers['rows']:,}", *shown, numbers["status"])
    console.print(table)
