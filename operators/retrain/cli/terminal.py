"""What commands that read the ledger and list data share: their options, and text that is safe to print."""

import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from retrain.cli.ledger import CouldNotError
from retrain.exceptions import RetrainError
from retrain.training.privacy import MASK

if TYPE_CHECKING:
    from retrain.ledger import Ledger

__all__ = ["MASK", "plain", "print_json", "print_table", "warn_if_broken", "with_ledger"]


def with_ledger(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options --ledger and --json; it is called with the open ledger and `as_json`."""

    @click.option("--ledger", "url", envvar="RETRAIN_LEDGER", required=True, help="URL or path of the ledger.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(function)
    def wrapped(url: str, **options: Any) -> None:
        from retrain.ledger import Ledger

        try:
            with Ledger.open(url) as ledger:
                function(ledger, **options)
        except RetrainError as error:
            raise CouldNotError(str(error)) from error

    return wrapped


def print_json(document: Any) -> None:
    """Print a document; what JSON has no number for (NaN, infinities) is null, what it has no type for is text."""
    click.echo(json.dumps(_finite(document), indent=2, ensure_ascii=False, default=str))


def print_table(names: list[str], rows: list[list[str]], *, keep: tuple[str, ...] = ()) -> None:
    """Print a table as wide as the terminal; the columns of `keep` are not folded."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(Text(plain(name)), overflow="fold", no_wrap=name in keep)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    Console().print(table)


def warn_if_broken(ledger: "Ledger", model: str) -> None:
    """Say on standard error that what the ledger tells of a model is not to be trusted, where its chain is broken."""
    from retrain.records.streams import model_stream

    if not ledger.verify(model_stream(model)).ok:
        click.echo(
            f"the ledger of {model} was tampered with, this may be untrue: see `retrain ledger verify`", err=True
        )


def plain(text: str) -> str:
    """Return text without what a terminal would obey: data may hold control sequences."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value
