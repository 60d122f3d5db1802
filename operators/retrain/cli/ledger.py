"""`retrain ledger`: read, verify and migrate a ledger from a shell."""

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrain.exceptions import RetrainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrain.ledger import Event, Ledger, VerifyReport


class CouldNotError(click.ClickException):
    """Ends the command with 2: it could not do its work, which is not the same as a bad finding (1)."""

    exit_code = 2


@click.group(name="ledger")
def command() -> None:
    """Read, verify and migrate a ledger (`--ledger` or RETRAIN_LEDGER: a path, sqlite:///... or postgresql://...)."""


def _with_ledger(function: Callable[..., None]) -> Callable[..., None]:
    @click.option("--ledger", "url", envvar="RETRAIN_LEDGER", required=True, help="URL or path of the ledger.")
    @functools.wraps(function)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
        except RetrainError as error:
            raise CouldNotError(str(error)) from error

    return wrapped


@command.command()
@_with_ledger
def migrate(url: str) -> None:
    """Make the ledger's tables, or bring them to the newest schema. Safe to repeat."""
    from retrain.ledger import Ledger

    with Ledger.open(url, migrate=True) as ledger:
        click.echo(f"{ledger.name} is ready")


@command.command()
@click.argument("stream", required=False)
@click.option("--kind", "kinds", multiple=True, help="Only events of this kind; may be repeated.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="The newest so many events.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_ledger
def log(url: str, stream: str | None, kinds: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Print the newest events of STREAM, or of all streams, oldest first."""
    with _open(url) as ledger:
        newest = list(ledger.events(stream, kinds=kinds or None, limit=limit, newest_first=True))
    found = newest[::-1]
    if as_json:
        _print_json([event.to_dict() for event in found])
    else:
        _print_table(found)


@command.command()
@click.argument("stream")
@click.argument("which", nargs=-1, required=True, metavar="SEQUENCE | KIND KEY")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_ledger
def show(url: str, stream: str, which: tuple[str, ...], as_json: bool) -> None:
    """Print one event of STREAM, by its SEQUENCE or by its KIND and KEY."""
    if len(which) > 2 or (len(which) == 1 and not which[0].isdecimal()):
        raise click.UsageError("Name the event by its number, or by its kind and key.")
    with _open(url) as ledger:
        event = ledger.at(stream, int(which[0])) if len(which) == 1 else ledger.get(stream, *which)
    if event is None:
        raise CouldNotError(f"There is no event {' '.join(which)} in {stream!r}.")
    if as_json:
        _print_json(event.to_dict())
    else:
        _print_event(event)


@command.command()
@click.argument("stream", required=False)
@click.option("--heads", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Former output of --json.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the heads to keep for the next time.")
@_with_ledger
def verify(url: str, stream: str | None, heads: Path | None, as_json: bool) -> None:
    """Recompute the hash chain of STREAM, or of all; ends with 1 if an event was changed, removed or moved."""
    expected = _read_heads(heads, stream) if heads else None
    with _open(url) as ledger:
        report = ledger.verify(stream, heads=expected)
        name = ledger.name
    if stream and not report.events and report.ok:
        raise CouldNotError(f"There is no stream {stream!r} in {name}.")
    if as_json:
        _print_json(_report(report))
    else:
        for problem in report.problems:
            click.echo(f"{problem.stream} event {problem.sequence}: {problem.what}")
        click.echo(f"{name}: {report.events} events in {report.streams} streams, {_summary(report)}")
    if not report.ok:
        raise SystemExit(1)


@contextmanager
def _open(url: str) -> "Iterator[Ledger]":
    from retrain.ledger import Ledger

    with Ledger.open(url) as ledger:
        yield ledger


def _read_heads(path: Path, stream: str | None) -> Mapping[str, tuple[int, str]]:
    try:
        heads = json.loads(path.read_text())["heads"]
        found = {name: (int(head["sequence"]), str(head["hash"])) for name, head in heads.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CouldNotError(
            f"{path} holds no heads: it must be what `retrain ledger verify --json` printed."
        ) from error
    return {name: head for name, head in found.items() if stream in (None, name)}


def _report(report: "VerifyReport") -> dict[str, Any]:
    return {
        "ok": report.ok,
        "complete": report.complete,
        "streams": report.streams,
        "events": report.events,
        "problems": [vars(problem) for problem in report.problems],
        "heads": {name: head._asdict() for name, head in report.heads.items()},
    }


def _summary(report: "VerifyReport") -> str:
    if report.ok:
        return "the chain is intact"
    return f"{len(report.problems)} problems" + ("" if report.complete else ", stopped there")


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _print_table(found: "Iterable[Event]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("recorded at (UTC)", "stream", "event", "kind", "key", "actor"):
        table.add_column(name, overflow="fold", justify="right" if name == "event" else "left")
    for event in found:
        moment = f"{event.recorded_at:%Y-%m-%d %H:%M:%S}"
        cells = (moment, event.stream, str(event.sequence), event.kind, event.key, event.actor or "")
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)


def _print_event(event: "Event") -> None:
    fields = event.to_dict()
    payload = fields.pop("payload")
    for name, value in fields.items():
        click.echo(f"{name:14} {'' if value is None else value}")
    _print_json(payload)
