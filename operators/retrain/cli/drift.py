"""`retrain drift`: profile data, compare it with a reference, draw the report."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from retrain.drift import Profile
    from retrain.records import DriftVerdict

_STYLES = {"ok": "green", "drift": "red", "inconclusive": "yellow"}


@click.group()
def command() -> None:
    """Profile data and compare profiles.

    A SOURCE is a Parquet or CSV file, a folder or a glob of them, a URI, or a profile that `profile -o` wrote (.json).
    """


@command.command("profile")
@click.argument("source")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write here, not to the screen.")
@click.option("--columns", multiple=True, help="Only this column; may be given several times.")
@click.option("--categorical", multiple=True, help="Compare this column as categories; may be given several times.")
@click.option("--target", help="The column with the label.")
@click.option("--prediction", help="The column with the prediction.")
@click.option("--pii", multiple=True, help="Keep no value of this column; may be given several times.")
def profile_command(source: str, output: Path | None, columns: tuple[str, ...], **options: Any) -> None:
    """Print the profile of SOURCE as JSON."""
    from retrain import drift

    found = drift.profile(source, columns=columns or None, **options)
    document = json.dumps(found.to_dict())
    if output is None:
        click.echo(document)
    else:
        output.write_text(document, encoding="utf-8")
        click.echo(f"{output}: {found.rows:,} rows, {len(found.columns)} columns", err=True)


@command.command("compare")
@click.option("--reference", required=True, help="What the data should look like.")
@click.option("--current", required=True, help="The data to judge.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.option("--fail-on", type=click.Choice(["drift"]), help="Exit with 1 on this verdict (otherwise always 0).")
@click.pass_context
def compare_command(ctx: click.Context, reference: str, current: str, *, as_json: bool, fail_on: str | None) -> None:
    """Judge whether the current data differs, really and materially, from the reference."""
    from retrain import drift

    verdict = drift.compare(_load(reference), _load(current))
    if as_json:
        click.echo(json.dumps(verdict.to_dict(), indent=2))
    else:
        _show(verdict)
    if fail_on == verdict.status:
        ctx.exit(1)


@command.command("report")
@click.option("--reference", required=True, help="What the data should look like.")
@click.option("--current", required=True, help="The data to judge.")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help=".html or .png.")
def report_command(reference: str, current: str, output: Path) -> None:
    """Draw the columns that matter, reference beside current: Evidently's page (.html), or one picture (.png)."""
    from retrain import drift

    if output.suffix.lower() == ".png":
        output.write_bytes(drift.chart(_load(reference), _load(current)))
    else:
        output.write_text(drift.report(_load(reference), _load(current)), encoding="utf-8")
    click.echo(f"{output}", err=True)


@command.command("history")
@click.option("--reference", required=True, help="What the data should look like.")
@click.option("--json", "as_json", is_flag=True, help="Print one verdict a line as JSON.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Draw the last one here (.png).")
@click.argument("partitions", nargs=-1, required=True)
def history_command(reference: str, partitions: tuple[str, ...], *, as_json: bool, output: Path | None) -> None:
    """Judge PARTITIONS (sources, the oldest first) one by one, each with those before it as its history."""
    from retrain import drift

    before = _profile(reference)
    known: list[Profile] = []
    verdicts: list[tuple[str, DriftVerdict]] = []
    for source in partitions:
        profile = _profile(source, before)
        verdict = drift.compare(before, profile, history=known)
        verdicts.append((Path(source).stem, verdict))
        known.append(profile)
        if as_json:
            click.echo(json.dumps({"partition": source, **verdict.to_dict()}))
        else:
            click.echo(f"{source}: {verdict.status}  {', '.join(verdict.drivers)}")
    if output is not None:
        output.write_bytes(drift.chart(before, known[-1], verdicts[-1][1], past=verdicts[:-1]))


def _load(source: str) -> "Profile | str":
    """Return the profile of a profile's file; anything else is data, for the called function to profile."""
    from retrain import drift
    from retrain.data import storage

    return drift.Profile.from_dict(storage.read_json(source)) if source.endswith(".json") else source


def _profile(source: str, like: "Profile | None" = None) -> "Profile":
    from retrain.drift.profiling import as_profile

    return as_profile(_load(source), like)


def _show(verdict: "DriftVerdict") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    style = _STYLES[verdict.status]
    console.print(f"[bold {style}]{verdict.status}[/]  {escape(verdict.summary)}")
    table = Table("column", "status", "effect", "p", "test", "reason")
    ranked = [*verdict.drivers, *(name for name in verdict.columns if name not in verdict.drivers)]
    for name in ranked:
        column = verdict.columns[name]
        effect = "" if column.effect is None else f"{column.effect:.3f} {column.effect_name}"
        p_value = "" if column.p_value is None else f"{column.p_value:.2g}"
        status = f"[{_STYLES[column.status]}]{column.status}[/]"
        table.add_row(escape(name), status, effect, p_value, column.test or "", escape(column.reason))
    console.print(table)
