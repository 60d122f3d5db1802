"""`retrain registry at | why | diff`: what was in production when, why, and in what versions differ."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from retrain.cli.terminal import plain, print_json, print_table, warn_if_broken, with_ledger

if TYPE_CHECKING:
    from retrain.audit.asof import Tenure
    from retrain.audit.differences import Differences, Section
    from retrain.ledger import Ledger
    from retrain.registry import RegistryClient


def with_mlflow(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option --tracking-uri; it is called with `client`, None where nobody said where MLflow is."""

    @click.option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow's address (or MLFLOW_TRACKING_URI), for what the ledger does not hold.",
    )
    @functools.wraps(function)
    def wrapped(*arguments: Any, tracking_uri: str | None, **options: Any) -> None:
        function(*arguments, client=_client(tracking_uri) if tracking_uri else None, **options)

    return wrapped


def _client(tracking_uri: str) -> "RegistryClient":
    from retrain.registry import RegistryClient

    return RegistryClient(tracking_uri)


@click.command()
@click.argument("model")
@click.argument("time")
@with_ledger
def at(ledger: "Ledger", model: str, time: str, as_json: bool) -> None:
    """Show which version of MODEL was in production at TIME, since when and until when; exit code 1 when none was.

    TIME is `now`, a date (its first instant) or a time such as 2026-11-21T14:05+02:00; without a zone it is UTC.
    """
    from datetime import UTC, datetime

    from retrain.audit.asof import in_production, moment

    when = moment(time, now=datetime.now(UTC))
    found = in_production(ledger, model, when)
    warn_if_broken(ledger, model)
    if as_json:
        print_json({"at": when.isoformat(), "in_production": found.to_dict() if found else None})
    elif found is None:
        click.echo(f"no version of {model} was in production at {_day(when)}", err=True)
    else:
        _print_tenure(model, found, _day(when))
    if found is None:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("model")
@click.argument("version", default="champion")
@with_mlflow
@with_ledger
def why(ledger: "Ledger", model: str, version: str, client: "RegistryClient | None", as_json: bool) -> None:
    """Say in plain words why VERSION of MODEL (the champion) is or is not in production, with the numbers."""
    from retrain.audit.dossier import open_dossier
    from retrain.audit.words import explain

    dossier = open_dossier(ledger, model, version, client=client)
    paragraphs = explain(dossier)
    warn_if_broken(ledger, model)
    if as_json:
        print_json({**dossier.to_dict(), "words": {one.title: list(one.lines) for one in paragraphs}})
        return
    click.echo(f"{model}, version {dossier.version}")
    for one in paragraphs:
        click.echo(f"\n{one.title}")
        for line in one.lines:
            click.echo(f"  {plain(line)}")


@click.command()
@click.argument("model")
@click.argument("first")
@click.argument("second")
@with_mlflow
@with_ledger
def diff(ledger: "Ledger", model: str, first: str, second: str, client: "RegistryClient | None", as_json: bool) -> None:
    """Show in what two versions of MODEL differ: data, code, parameters, environment, metrics, gates."""
    from retrain.audit.differences import compare
    from retrain.audit.dossier import open_dossier

    one, two = (open_dossier(ledger, model, version, client=client) for version in (first, second))
    found = compare(one, two)
    warn_if_broken(ledger, model)
    if as_json:
        print_json(found.to_dict())
    else:
        _print_differences(found)


def _day(when: Any) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _print_tenure(model: str, found: "Tenure", when: str) -> None:
    change = found.champion
    click.echo(f"version {change.version} of {model} was in production at {when}")
    click.echo(f"  since   {_day(found.since)} ({change.kind.replace('_', ' ')}, event {change.sequence})")
    if found.until and found.successor:
        ended = found.successor
        what = "replaced by" if ended.kind == "promoted" else "rolled back to"
        click.echo(f"  until   {_day(found.until)} ({what} version {ended.version}, event {ended.sequence})")
    else:
        click.echo("  until   today: it is the champion")
    click.echo(f"  before  {f'version {change.previous}' if change.previous else 'none'}")
    click.echo(f"  by      {plain(change.approved_by or change.actor or 'nobody named')}")
    click.echo(f"  reason  {plain(change.reason or 'none given')}")


def _print_differences(found: "Differences") -> None:
    for section in found.sections:
        click.echo(f"\n{section.name}: {_summary(section)}")
        if section.note:
            click.echo(f"  {section.note}")
        if section.changes:
            rows = [[one.name, _shown(one.first), _shown(one.second)] for one in section.changes]
            print_table(["", f"version {found.first}", f"version {found.second}"], rows)
    for gap in found.gaps:
        click.echo(f"\nnot asked: version {plain(gap)}")


def _summary(section: "Section") -> str:
    if section.unknown:
        return f"not known ({section.unknown})"
    if not section.changes:
        return "the same"
    differ, same = len(section.changes), section.same
    return f"{differ} {'differs' if differ == 1 else 'differ'}, {same} {'is' if same == 1 else 'are'} the same"


def _shown(value: Any) -> str:
    from retrain.audit.words import listed, number

    if isinstance(value, list):
        return listed(number(one) for one in value)
    return number(value)


COMMANDS = (at, why, diff)
