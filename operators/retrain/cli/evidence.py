"""`retrain registry evidence | affected-by`: the proof of a version, and which versions a deletion touches."""

import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrain.cli.audit import with_mlflow
from retrain.cli.ledger import CouldNotError
from retrain.cli.terminal import plain, print_json, print_table, with_ledger

if TYPE_CHECKING:
    from retrain.audit.affected import Findings, Hit, Version
    from retrain.ledger import Ledger
    from retrain.registry import RegistryClient


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
    from retrain.audit.pictures import pictures

    texts = {".json": to_text(made), ".html": render(made, pictures(made))}
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


@click.command("affected-by")
@click.argument("model")
@click.option("--partition", help="An erased partition (2013-02), or one version of it (2013-02@v1).")
@click.option("--digest", help="The digest of an erased object, as it arrived or as it was accepted.")
@click.option("--key-value", "pairs", multiple=True, metavar="COLUMN=VALUE", help="The key of a row; may be repeated.")
@with_ledger
def affected_by(
    ledger: "Ledger", model: str, partition: str | None, digest: str | None, pairs: tuple[str, ...], as_json: bool
) -> None:
    """Name every version of MODEL that was trained on what is erased, or is to be, and where it stands.

    Rows are looked for in the kept copies of accepted data: ask before these are erased too. Exit code 0: no version
    is affected; 1: some are; 2: it could not be found out.
    """
    if [partition is not None, digest is not None, bool(pairs)].count(True) != 1:
        raise click.UsageError("Name one of --partition, --digest and --key-value.")
    from retrain.audit.affected import affected_by as find

    subject = None
    if pairs:
        from retrain.audit.subjects import Subject

        subject = Subject.parse(pairs)
    found = find(ledger, model, partition=partition, digest=digest, subject=subject)
    if as_json:
        affected = [one.version for one in found.affected]
        versions = [one.to_dict() for one in found.versions]
        print_json({"model": model, "asked": found.asked, "affected": affected, "versions": versions})
    else:
        _print_findings(found)
    if found.affected:
        raise click.exceptions.Exit(1)
    if found.open:
        raise CouldNotError(f"Not known of version {', '.join(one.version for one in found.open)} of {model}.")


def _print_findings(found: "Findings") -> None:
    from retrain.audit.words import listed

    rows = []
    for one in found.versions:
        how = [("trained on", one.trained), ("judged by", one.judged)]
        told = [f"{name} {listed(_hit(hit) for hit in hits)}" for name, hits in how if hits]
        if told or one.unknown:
            rows.append(
                [one.version, _standing(one), "; ".join([*told, *(f"NOT KNOWN: {what}" for what in one.unknown)])]
            )
    if rows:
        print_table(["version", "standing", found.asked], rows, keep=("version",))
    if found.affected:
        names = ", ".join(one.version for one in found.affected)
        were = "was" if len(found.affected) == 1 else "were"
        click.echo(plain(f"version {names} of {found.model} {were} trained on {found.asked}"))
    elif not found.open:
        click.echo(plain(f"no version of {found.model} was trained on {found.asked}"))


def _hit(hit: "Hit") -> str:
    rows = f" ({hit.rows:,} rows)" if hit.rows is not None else ""
    return f"{hit.key}{rows}" + (f" [{hit.why}]" if hit.why else "")


def _standing(one: "Version") -> str:
    words = {
        "champion": "CHAMPION since {since}",
        "previous": "champion before the one of today, until {until}",
        "was_champion": "was champion until {until}",
        "never_champion": "never champion",
    }
    since, until = ((text or "")[:16].replace("T", " ") for text in (one.champion_from, one.champion_until))
    return words[one.standing].format(since=since, until=until)


COMMANDS = (evidence, affected_by)
