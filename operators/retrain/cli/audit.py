"""`retrain registry at | why | diff | evidence`: who was champion when and why, what differs, and the proof of it."""

import functools
import getpass
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrain.cli.terminal import plain, print_json, print_table, with_ledger

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
    return f"{len(section.changes)} differ, {section.same} are the same" if section.changes else "the same"


def _shown(value: Any) -> str:
    from retrain.audit.words import listed, number

    if isinstance(value, list):
        return listed(number(one) for one in value)
    return number(value)


@click.command()
@click.argument("model", required=False)
@click.argument("version", default="champion")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder for bundle and page.")
@click.option("--verify", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Check a bundle.")
@click.option("--actor", default=None, help="Who makes it; by default the user of this shell.")
@with_mlflow
@with_ledger
def evidence(
    ledger: "Ledger",
    model: str | None,
    version: str,
    output: Path | None,
    file: Path | None,
    actor: str | None,
    client: "RegistryClient | None",
    as_json: bool,
) -> None:
    """Bundle the whole evidence of VERSION of MODEL (the champion): JSON, and with -o also a page for people.

    With --verify check a bundle against the ledger; exit code 1 where anything does not hold.
    """
    if file is not None:
        _verify(ledger, file, as_json)
        return
    if model is None:
        raise click.UsageError("Name a MODEL, or a bundle with --verify.")
    from datetime import UTC, datetime

    from retrain.audit.evidence import bundle

    made = bundle(ledger, model, version, now=datetime.now(UTC), made_by=actor or getpass.getuser(), client=client)
    written = _write(made, output) if output is not None else []
    if as_json or output is None:
        print_json(made)
        return
    for path in written:
        click.echo(f"written to {path}")
    click.echo(f"digest {made['digest']}")
    for one in made["sources"]:
        if one["status"] != "ok":
            click.echo(f"without {one['name']} ({one['status'].replace('_', ' ')}): {plain(one['reason'])}", err=True)
    if not made["chain"]["ok"]:
        click.echo("the ledger's chain is BROKEN: see `retrain ledger verify`", err=True)


def _write(made: Mapping[str, Any], folder: Path) -> list[Path]:
    from urllib.parse import quote

    from retrain.audit.evidence import to_text
    from retrain.audit.page import render

    texts = {".json": to_text(made), ".html": render(made)}
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{quote(made['model'], safe='')}-{quote(made['version'], safe='')}-evidence"
    for suffix, text in texts.items():
        (folder / f"{name}{suffix}").write_text(text, encoding="utf-8")
    return [folder / f"{name}{suffix}" for suffix in texts]


def _verify(ledger: "Ledger", file: Path, as_json: bool) -> None:
    from retrain.audit.evidence import from_text, prove

    document = from_text(file.read_bytes(), str(file))
    proofs = prove(document, ledger)
    holds = all(one.holds for one in proofs)
    if as_json:
        print_json({"holds": holds, "proofs": [vars(one) for one in proofs]})
    else:
        for one in proofs:
            click.echo(f"{'holds' if one.holds else 'FAILS'}  {one.name:9} {plain(one.said)}")
        if document["mlflow"]:
            click.echo("       mlflow    not in the ledger: what MLflow said is protected by the digest only")
        name = f"{document['model']}@{document['version']}"
        click.echo(plain(f"the evidence of {name} {'holds' if holds else 'does NOT hold'} against {ledger.name}"))
    if not holds:
        raise click.exceptions.Exit(1)


COMMANDS = (at, why, diff, evidence)
