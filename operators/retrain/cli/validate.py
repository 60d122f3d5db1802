"""`retrain validate`: judge a file against an expectation suite."""

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from retrain.records import ValidationVerdict

_FAILED = 1
_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}


@click.command("validate")
@click.argument("data")
@click.argument("suite")
@click.option("--store", metavar="URI", help="Set failing rows aside under this folder, and keep the result there.")
@click.option(
    "--quarantine-limit",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="The largest share of rows that may be set aside; above it the whole batch fails.",
)
@click.option("--dataset", help="The dataset's name, a folder in the store. Default: the file's stem.")
@click.option(
    "--keep-copies", is_flag=True, help="Keep a copy of accepted data in the store, so that it outlives its source."
)
@click.option(
    "--pii", multiple=True, metavar="COLUMN", help="A column whose values are not to be shown; may be given again."
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def command(
    data: str,
    suite: str,
    store: str | None,
    quarantine_limit: float,
    dataset: str | None,
    keep_copies: bool,
    pii: tuple[str, ...],
    as_json: bool,
) -> None:
    """Judge DATA (a path or URI of Parquet or CSV, or a table as sql://CONNECTION/TABLE) against SUITE (JSON or YAML).

    Exit status: 0 for pass and warn, 1 for fail, 2 where it could not be checked.
    """
    from retrain.validation import validate

    verdict = validate(
        data, suite, store=store, quarantine_limit=quarantine_limit, dataset=dataset, keep_copies=keep_copies, pii=pii
    )
    if as_json:
        click.echo(json.dumps(verdict.to_dict(), indent=1))
    else:
        _show(verdict)
    sys.exit(_FAILED if verdict.status == "fail" else 0)


def _show(verdict: "ValidationVerdict") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    colour = _COLOURS[verdict.status]
    console.print(
        f"[bold {colour}]{verdict.status}[/]: {verdict.rows:,} rows, {verdict.quarantined_rows:,} of them bad, "
        f"{verdict.expectations} expectations, {len(verdict.failures)} not met"
    )
    if verdict.failures:
        table = Table("severity", "expectation", "column", "rows", "reason")
        for failure in verdict.failures:
            count = "" if failure.count is None else f"{failure.count:,}"
            cells = (failure.severity.value, failure.expectation, failure.column or "", count, failure.reason)
            table.add_row(*map(escape, cells))
        console.print(table)
    for label, uri in (
        ("set aside", verdict.quarantine_uri),
        ("result", verdict.result_uri),
        ("page", verdict.docs_uri),
    ):
        if uri:
            console.print(f"{label}: {escape(uri)}", soft_wrap=True)
