"""`retrain registry`: what is in production and why; promote, roll back, retire; set MLflow's aliases right."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from retrain.cli import audit, evidence
from retrain.cli.terminal import warn_if_broken

if TYPE_CHECKING:
    from retrain.ledger import Ledger

_FUNCTION = Callable[..., Any]


def _ledger_option(function: _FUNCTION) -> _FUNCTION:
    return click.option(
        "--ledger", "ledger_url", envvar="RETRAIN_LEDGER", required=True, help="The ledger's URL (or RETRAIN_LEDGER)."
    )(function)


def _tracking_option(function: _FUNCTION) -> _FUNCTION:
    return click.option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        required=True,
        help="MLflow's address (or MLFLOW_TRACKING_URI); credentials as MLflow reads them.",
    )(function)


def _json_option(function: _FUNCTION) -> _FUNCTION:
    return click.option("--json", "as_json", is_flag=True, help="Print plain JSON.")(function)


@contextmanager
def _open(url: str) -> Iterator["Ledger"]:
    from retrain.ledger import Ledger

    with Ledger.open(url) as ledger:
        yield ledger


@click.group("registry")
def command() -> None:
    """What is in production, and why."""


for _one in (*audit.COMMANDS, *evidence.COMMANDS):
    command.add_command(_one)


@command.command("champion")
@click.argument("model")
@_ledger_option
@_json_option
def champion_(model: str, ledger_url: str, as_json: bool) -> None:
    """Show the champion of MODEL by the ledger; exit code 1 when there is none."""
    from retrain.registry import champion

    with _open(ledger_url) as ledger:
        found = champion(ledger, model)
        warn_if_broken(ledger, model)
    if as_json:
        click.echo(json.dumps(found.to_dict() if found else None))
    elif found is None:
        click.echo(f"{model} has no champion", err=True)
    else:
        _table([found], f"Champion of {model}")
    if found is None:
        raise click.exceptions.Exit(1)


@command.command()
@click.argument("model")
@_ledger_option
@_json_option
def history(model: str, ledger_url: str, as_json: bool) -> None:
    """List every promotion and rollback of MODEL, oldest first."""
    from retrain.registry import promotions

    with _open(ledger_url) as ledger:
        found = list(promotions(ledger, model))
        warn_if_broken(ledger, model)
    if as_json:
        click.echo(json.dumps([change.to_dict() for change in found]))
    elif not found:
        click.echo(f"no version of {model} was ever promoted", err=True)
    else:
        _table(found, f"Champions of {model}")


@command.command()
@click.argument("model")
@_ledger_option
@_tracking_option
@_json_option
def reconcile(model: str, ledger_url: str, tracking_uri: str, as_json: bool) -> None:
    """Set MLflow's aliases of MODEL to what the ledger says."""
    from retrain.registry import RegistryClient
    from retrain.registry import reconcile as set_right

    with _open(ledger_url) as ledger:
        aliases = set_right(ledger, RegistryClient(tracking_uri), model)
    if as_json:
        click.echo(json.dumps(aliases.to_dict()))
        return
    moved = f"moved {' and '.join(aliases.changed)}" if aliases.changed else "nothing to do"
    click.echo(f"{model}: champion {aliases.champion or '-'}, previous {aliases.previous or '-'} ({moved})")


@command.command()
@click.argument("model")
@click.argument("version")
@click.option("--reason", required=True, help="Why; recorded in the ledger.")
@click.option("--actor", default=None, help="Who approves; by default the user of this shell.")
@click.option("--python", default=None, help="Interpreter that serves, to load the version in; by default this one.")
@click.option("--image", default=None, help="Image that serves: the version is loaded in a container of it.")
@click.option("--unchecked", is_flag=True, help="Do not load the version first, nor look at its bytes.")
@_ledger_option
@_tracking_option
@_json_option
def promote(
    model: str,
    version: str,
    reason: str,
    actor: str | None,
    python: str | None,
    image: str | None,
    unchecked: bool,
    ledger_url: str,
    tracking_uri: str,
    as_json: bool,
) -> None:
    """Make VERSION the champion of MODEL, without a gate: the one who calls approves, and is recorded.

    Refused when the version does not load, or its files are not those that were judged.
    """
    import getpass

    from retrain.jobs.release_steps import loads
    from retrain.loop.release import digest_of, promote_by_hand
    from retrain.registry import RegistryClient, champion

    client = RegistryClient(tracking_uri)
    with _open(ledger_url) as ledger:
        current, uri = champion(ledger, model), client.model_uri(model, version)
        check = None
        if uri is not None and not unchecked and not (current and current.version == version):
            digest = digest_of(ledger, model, version)
            check = loads(uri, tracking_uri=tracking_uri, digest=digest, python=python, image=image)
        made = promote_by_hand(
            ledger, client, model, version, actor=actor or getpass.getuser(), reason=reason, check=check
        )
    if as_json:
        click.echo(json.dumps({"created": made.created, "champion": made.champion.to_dict()}))
    else:
        click.echo(f"{model}: version {version} {'is now' if made.created else 'was already'} champion")


@command.command()
@click.argument("model")
@click.option("--version", default=None, help="An earlier champion; by default the one before.")
@click.option("--reason", required=True, help="Why; recorded in the ledger.")
@click.option("--actor", default=None, help="Who does it; by default the user of this shell.")
@click.option("--retire", is_flag=True, help="What is gone back from may not become champion again.")
@click.option("--python", default=None, help="Interpreter that serves, to load the version in; by default this one.")
@click.option("--image", default=None, help="Image that serves: the version is loaded in a container of it.")
@_ledger_option
@_tracking_option
@_json_option
def rollback(
    model: str,
    version: str | None,
    reason: str,
    actor: str | None,
    retire: bool,
    python: str | None,
    image: str | None,
    ledger_url: str,
    tracking_uri: str,
    as_json: bool,
) -> None:
    """Make an earlier champion of MODEL the champion again; refused when it does not load."""
    import getpass
    import uuid

    from retrain.jobs.release_steps import loads
    from retrain.loop.release import Demand, digest_of, roll_back, rollback_target
    from retrain.registry import RegistryClient

    demand = Demand(f"cli:{uuid.uuid4()}", actor or getpass.getuser(), reason, version, retire=retire)
    with _open(ledger_url) as ledger:
        target = rollback_target(ledger, model, version)
        digest = digest_of(ledger, model, target.version)
        uri = str(target.model_uri)
        check = loads(uri, tracking_uri=tracking_uri, digest=digest, python=python, image=image)
        done = roll_back(ledger, RegistryClient(tracking_uri), model, demand, target=target, check=check)
    if as_json:
        click.echo(json.dumps({**done, "check": check}))
    else:
        click.echo(f"{model}: version {done['version']} is champion again, instead of version {done['previous']}")


@command.command("retire")
@click.argument("model")
@click.argument("version")
@click.option("--reason", required=True, help="Why; recorded in the ledger.")
@click.option("--actor", default=None, help="Who does it; by default the user of this shell.")
@_ledger_option
@_json_option
def retire_(model: str, version: str, reason: str, actor: str | None, ledger_url: str, as_json: bool) -> None:
    """Retire VERSION of MODEL for good: it is neither promoted nor rolled back to again."""
    import getpass

    from retrain.registry import retire

    with _open(ledger_url) as ledger:
        event = retire(ledger, model, version, reason=reason, actor=actor or getpass.getuser())
    if as_json:
        click.echo(json.dumps(event.to_dict()))
    else:
        click.echo(f"{model}: version {version} is retired: {event.payload['reason']}")


def _table(changes: list[Any], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for name in ("event", "when", "what", "version", "replaced", "gate", "by", "reason"):
        table.add_column(name)
    for change in changes:
        gate = (change.verdict or {}).get("status") or ("approved" if change.approved_by else "-")
        table.add_row(
            str(change.sequence),
            change.recorded_at[:19].replace("T", " "),
            change.kind.replace("_", " "),
            change.version,
            change.previous or "-",
            gate,
            change.approved_by or change.actor or "-",
            change.reason or "-",
        )
    Console().print(table)
