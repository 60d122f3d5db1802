"""`retrain drift`: profile data, compare it with a reference, draw the report, list what was found."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

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
@click.option("--history", multiple=True, help="A past partition, the oldest first; may be given several times.")
@click.option("--summary", is_flag=True, help="Of an .html: our page of one screen, not Evidently's.")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help=".html or .png.")
def report_command(reference: str, current: str, history: tuple[str, ...], output: Path, *, summary: bool) -> None:
    """Draw the columns that matter: Evidently's page (.html), ours (.html, --summary), or its picture alone (.png)."""
    from retrain import drift

    before = _profile(reference)
    now = _profile(current, before)
    verdict = drift.compare(before, now, history=[_profile(source, before) for source in history])
    if output.suffix.lower() != ".png" and not summary:
        output.write_text(drift.report(before, now, verdict), encoding="utf-8")
    else:
        _draw(output, before, now, verdict, title=Path(current).stem)
    click.echo(f"{output}", err=True)


@command.command("history")
@click.option("--reference", help="What the data should look like.")
@click.option("--season", type=click.Choice(["year", "week", "day"]), help="Judge by partitions of the same season.")
@click.option("--model", help="Print what the ledger holds of this model instead.")
@click.option("--ledger", envvar="RETRAIN_LEDGER", help="URL or path of the ledger, for --model.")
@click.option("--json", "as_json", is_flag=True, help="Print one verdict a line as JSON.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Draw the last one (.png, .html)."
)
@click.argument("partitions", nargs=-1)
def history_command(
    reference: str | None,
    partitions: tuple[str, ...],
    model: str | None,
    ledger: str | None,
    output: Path | None,
    **options: Any,
) -> None:
    """Judge PARTITIONS (sources, the oldest first) one by one, each by those before it; or list a model's verdicts."""
    if model is not None:
        if not ledger or partitions or output:
            raise click.UsageError("--model takes --ledger (or RETRAIN_LEDGER), and neither PARTITIONS nor -o")
        _recorded(ledger, model, as_json=options["as_json"])
    elif reference is None or not partitions:
        raise click.UsageError("give --reference and PARTITIONS, or --model")
    else:
        _judged(reference, partitions, output, **options)


def _judged(
    reference: str, partitions: tuple[str, ...], output: Path | None, *, season: str | None, as_json: bool
) -> None:
    from retrain import drift
    from retrain.loop.past import MOST
    from retrain.loop.season import same_season

    before = _profile(reference)
    known: dict[str, Profile] = {}
    verdicts: list[tuple[str, DriftVerdict]] = []
    for source in partitions:
        profile = _profile(source, before)
        matched = same_season(Path(source).stem, known, season, MOST) if season else None
        verdict = drift.compare(before, profile, history=[known[name] for name in matched or [*known][-MOST:]])
        verdicts.append((Path(source).stem, verdict))
        known[Path(source).stem] = profile
        if as_json:
            click.echo(json.dumps({"partition": source, **verdict.to_dict()}))
        else:
            _line(source, verdict.status, verdict.severity, verdict.kinds, verdict.drivers)
    if output is not None:
        name, last = verdicts[-1]
        _draw(output, before, known[name], last, past=verdicts, title=name)


def _recorded(url: str, model: str, *, as_json: bool) -> None:
    """Print the newest look at each partition, in order of partition."""
    from retrain.ledger import Ledger
    from retrain.loop.verdicts import describe, watched_events

    with Ledger.open(url) as ledger:
        newest: dict[str, dict[str, Any]] = {}
        for event in watched_events(ledger, model=model):
            found = {**describe(model, event.payload), "recorded_at": event.recorded_at.isoformat()}
            newest.setdefault(found["partition"], found)
    for _, found in sorted(newest.items()):
        if as_json:
            click.echo(json.dumps(found))
        else:
            _line(found["partition"], found["status"] or "-", found["severity"], found["kinds"], found["drivers"])


def _line(name: str, status: str, severity: str | None, kinds: "Sequence[str]", drivers: "Sequence[str]") -> None:
    words = " ".join(filter(None, [str(status), severity and str(severity)]))
    found = f"  {'+'.join(kinds)}: {', '.join(drivers)}".rstrip(": ") if kinds else ""
    click.echo(f"{name}: {words}{found}")


def _draw(
    output: Path,
    before: "Profile",
    now: "Profile",
    verdict: "DriftVerdict",
    *,
    past: "Sequence[tuple[str, DriftVerdict]]" = (),
    title: str = "",
) -> None:
    from retrain import drift

    if output.suffix.lower() == ".png":
        output.write_bytes(drift.chart(before, now, verdict, past=past))
    else:
        output.write_text(drift.page(before, now, verdict, past=past, title=title), encoding="utf-8")


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

    from retrain.drift.wording import NAMED_DRIVERS

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
        # Those of the first drivers are in the summary, and of a column that is well the numbers say it all.
        unsaid = name in verdict.drivers[NAMED_DRIVERS:] or not (column.test or name in verdict.drivers)
        why = column.reason if unsaid else ""
        table.add_row(escape(name), status, effect, p_value, column.test or "", escape(why))
    console.print(table)
