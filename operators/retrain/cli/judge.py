"""`retrain judge`: the gate on predictions that were kept, without a model."""

import json
import sys
from pathlib import Path
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
@click.option("--challenger", help="Column of the challenger's predictions.")
@click.option("--metric", help="Name of the metric, as in scikit-learn.")
@click.option("--margin", type=float, help="In units of the metric.")
@click.option("--rule", type=click.Choice(["non_inferior", "superior"]), help="Default: non_inferior.")
@click.option("--confidence", type=float, help="Default: 0.95.")
@click.option("--minimum", type=float, help="The worst value of the metric that may pass.")
@click.option("--slice-by", "slice_by", multiple=True, help="Column whose values are slices; may be repeated.")
@click.option("--slice-where", multiple=True, metavar="NAME=EXPRESSION", help="Slice by an expression over columns.")
@click.option(
    "--find-slices", type=click.IntRange(0), default=0, help="Search for so many slices that are harmed most."
)
@click.option("--conditions", type=click.Path(exists=True, dir_okay=False), help="JSON list of further conditions.")
@click.option("--sample-weight", help="Column of the weights.")
@click.option("--project-root", default=".", show_default=True, help="Where functions of your own are found.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def command(predictions: str, project_root: str, as_json: bool, **options: Any) -> None:
    """Judge a challenger against the champion on PREDICTIONS, a Parquet or CSV file (path or URI).

    For probabilities of several classes give the common start of their columns: NAME stands for NAME_0, NAME_1, ...

    PREDICTIONS may also be a case that a retraining has kept (`case_uri` of its `judged` event, a JSON document): it is
    judged as it was then, with its own conditions; --metric, --margin, --rule, --confidence, --minimum and --conditions
    take the place of what it says.

    Exit code 0: pass. 1: fail. 3: inconclusive. 2: could not judge.
    """
    from retrain.training.usercode import project_path

    with project_path(project_root):
        verdict = _case(predictions, options) if predictions.endswith(".json") else _judged(predictions, **options)
    if as_json:
        click.echo(json.dumps(verdict.to_dict()))
    else:
        _print(verdict)
    sys.exit(EXIT_CODES[verdict.status])


def _case(uri: str, options: dict[str, Any]) -> "Verdict":
    from retrain.data import read, storage
    from retrain.evaluation import GateCase, judge_case
    from retrain.evaluation.case import with_terms

    case = GateCase.from_dict(storage.read_json(uri))
    terms = {name: options[name] for name in ("metric", "margin", "rule", "confidence", "minimum")}
    if options["conditions"]:
        terms["conditions"] = tuple(_documents(options["conditions"]))
    return judge_case(with_terms(case, **terms), read(case.predictions_uri) if case.predictions_uri else None)


def _judged(
    predictions: str,
    *,
    target: str,
    champion: str | None,
    challenger: str | None,
    metric: str | None,
    margin: float | None,
    rule: str | None,
    confidence: float | None,
    minimum: float | None,
    sample_weight: str | None,
    slice_by: tuple[str, ...],
    slice_where: tuple[str, ...],
    find_slices: int,
    conditions: str | None,
) -> "Verdict":
    from retrain.data import read
    from retrain.evaluation import Evidence, Minimum, Slices, assess, conditions_from_dicts
    from retrain.evaluation.case import is_reserved

    given = {"--challenger": challenger, "--metric": metric, "--margin": margin}
    if challenger is None or metric is None or margin is None:
        missing = ", ".join(name for name, value in given.items() if value is None)
        raise click.UsageError(f"{missing}: needed, unless a kept case is judged")
    frame, level = read(predictions), confidence or 0.95
    said = [who for who in (champion, challenger) if who]
    evidence = Evidence(
        _column(frame, target),
        _prediction(frame, challenger),
        None if champion is None else _prediction(frame, champion),
        metric=metric,
        sample_weight=None if sample_weight is None else _column(frame, sample_weight),
        # What was predicted, or should have been, is nothing to slice by.
        frame=frame[[name for name in frame.columns if not is_reserved(str(name), said, target)]],
    )
    asked = list(conditions_from_dicts(_documents(conditions)))
    if minimum is not None:
        asked.insert(0, Minimum(minimum))
    if slice_by or slice_where or find_slices:
        asked.append(Slices(margin, slice_by, _expressions(slice_where), find_slices, level))
    return assess(evidence, margin=margin, rule=rule or "non_inferior", confidence=level, conditions=asked)


def _documents(path: str | None) -> list[Any]:
    from retrain.exceptions import ConfigurationError

    if path is None:
        return []
    try:
        documents = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}") from error
    if not isinstance(documents, list) or not all(isinstance(document, dict) for document in documents):
        raise ConfigurationError(f"{path} holds no list of conditions", expected='[{"kind": "slices", ...}, ...]')
    return documents


def _expressions(given: tuple[str, ...]) -> dict[str, str]:
    from retrain.exceptions import ConfigurationError

    parts = [item.partition("=") for item in given]
    if wrong := [name + equals for name, equals, expression in parts if not name.strip() or not expression.strip()]:
        raise ConfigurationError(f"--slice-where {wrong[0]!r}", expected="NAME=EXPRESSION, such as 'late=hour >= 18'")
    return {name.strip(): expression for name, _, expression in parts}


def _column(frame: "pd.DataFrame", name: str) -> "pd.Series[Any]":
    from retrain.exceptions import MissingColumnError

    if name not in frame.columns:
        raise MissingColumnError(
            f"the predictions have no column {name!r}; they have {list(frame.columns)[:30]}",
            expected="the names of columns in --target, --champion, --challenger, --slice-by and --sample-weight",
        )
    return frame[name]


def _prediction(frame: "pd.DataFrame", name: str) -> Any:
    from retrain.evaluation.case import prediction

    found = prediction(frame, name)
    return _column(frame, name) if found is None else found


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
