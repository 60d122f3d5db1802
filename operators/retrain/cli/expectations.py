"""`retrain expectations`: infer a suite from data, check one, list what there is to demand."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from retrain.validation import Expectation

_STYLES = {"critical": "red", "warning": "yellow", "info": "blue"}
_YAML = (".yaml", ".yml")
# They have a column of the table for themselves.
_SUBJECTS = ("column", "column_A", "column_B", "column_list")
_LONGEST = 120


@click.group()
def command() -> None:
    """Write, check and find expectations."""


@command.command("infer")
@click.argument("data")
@click.option("--target", help="The column with the label: its values are defined, and its share is watched.")
@click.option("--event-time", help="The column with the time; every row must have one.")
@click.option(
    "--pii", multiple=True, metavar="COLUMN", help="Keep no value of this column; may be given several times."
)
@click.option(
    "--categorical",
    multiple=True,
    metavar="COLUMN",
    help="Demand the values of this column; may be given several times.",
)
@click.option("--name", help="The suite's name. Default: the output's, else `inferred`.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write here (.json, .yaml), not to the screen.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def infer_command(data: str, output: Path | None, name: str | None, *, force: bool, **columns: Any) -> None:
    """Print a suite that DATA (a path or URI of Parquet or CSV) fulfils, for a person to edit."""
    if output is not None and output.suffix.lower() not in (".json", *_YAML):
        raise click.BadParameter(f"{output} is neither .json nor .yaml", param_hint="--output")
    if output is not None and output.exists() and not force:
        # Somebody may have edited it.
        raise click.BadParameter(f"{output} is there already; give --force to write over it", param_hint="--output")
    from retrain.validation.infer import infer

    suite = infer(data, name=name or (output.stem if output is not None else "inferred"), **columns)
    text = _written(suite, as_yaml=output is not None and output.suffix.lower() in _YAML)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"{output}: {len(suite['expectations'])} expectations; read it and edit it", err=True)


@command.command("check")
@click.argument("suite")
@click.option("--project-root", help="The folder of the user's code, where SUITE is module:function.")
@click.option("--json", "as_json", is_flag=True, help="Print the expectations as JSON.")
def check_command(suite: str, project_root: str | None, *, as_json: bool) -> None:
    """Load and build SUITE, and list what it demands.

    SUITE is a path or URI of JSON or YAML, gx:FOLDER#NAME for a Great Expectations project, or module:function.

    Exit status: 0 where every expectation can be made, 2 where one cannot: what is wrong with it is said.
    """
    from retrain.validation import gx, load_suite

    loaded = load_suite(suite, project_root=project_root)
    gx.build(loaded)
    if as_json:
        rows = [_plain(one) for one in loaded.expectations]
        click.echo(json.dumps({"name": loaded.name, "digest": loaded.digest, "expectations": rows}, indent=1))
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    counts = ", ".join(f"{_count(loaded.expectations, name)} {name}" for name in _STYLES)
    console.print(
        f"[bold]{escape(loaded.name)}[/]: {len(loaded.expectations)} expectations ({counts})", highlight=False
    )
    console.print(f"{loaded.digest}", highlight=False, soft_wrap=True)
    console.print(_table(loaded.expectations))


@command.command("list")
@click.argument("word", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def list_command(word: str | None, *, as_json: bool) -> None:
    """List the expectations that a suite may name, or those with WORD in their name or description."""
    from retrain.validation import feed

    found = feed.known()
    if word is not None:
        found = {name: text for name, text in found.items() if word.lower() in f"{name} {text}".lower()}
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("expectation", "what it demands")
    for name, text in found.items():
        table.add_row(escape(name), escape(text))
    Console().print(table)


def _written(suite: dict[str, Any], *, as_yaml: bool) -> str:
    if not as_yaml:
        return json.dumps(suite, indent=1, ensure_ascii=False) + "\n"
    from retrain.validation.suite_files import to_yaml

    return to_yaml(suite)


def _count(expectations: "Iterable[Expectation]", severity: str) -> int:
    return sum(one.severity == severity for one in expectations)


def _plain(one: "Expectation") -> dict[str, Any]:
    # Through a string: kwargs from YAML may hold dates, which JSON has no type for.
    kwargs = json.loads(json.dumps(dict(one.kwargs), default=str))
    return {"type": one.type, "kwargs": kwargs, "severity": one.severity.value, "notes": one.notes}


def _table(expectations: "Iterable[Expectation]") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table("severity", "expectation", "column", "arguments", "notes")
    for one in expectations:
        rest = {name: value for name, value in _plain(one)["kwargs"].items() if name not in _SUBJECTS}
        arguments = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in rest.items())
        shown = arguments if len(arguments) <= _LONGEST else f"{arguments[:_LONGEST]}…"
        severity = f"[{_STYLES[one.severity]}]{one.severity.value}[/]"
        table.add_row(severity, *map(escape, (one.type, one.subject or "", shown, one.notes)))
    return table
