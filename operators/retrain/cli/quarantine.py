"""`retrain quarantine`: what is set aside and why; let it in, or give it up."""

import getpass
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from retrain.cli.ledger import CouldNotError
from retrain.cli.terminal import MASK, plain, print_json, print_table, with_ledger

if TYPE_CHECKING:
    from retrain.ledger import Ledger
    from retrain.loop.quarantine import Quarantined
    from retrain.validation.quarantine import Aside


@click.group(name="quarantine")
def command() -> None:
    """What is set aside and why; let it in, or give it up.

    DATASET KEY names a partition version, such as `flights 2013-02@v1`; `2013-02` is its newest version.
    """


def _decision(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--actor", default=None, help="Who decides; by default the user of this shell."),
        click.option("--reason", required=True, help="Why; recorded in the ledger."),
        click.argument("key"),
        click.argument("dataset"),
    ):
        function = option(function)
    return function


@command.command(name="list")
@click.argument("dataset", required=False)
@click.option("--all", "everything", is_flag=True, help="Also what was released, dropped or superseded.")
@with_ledger
def list_(ledger: "Ledger", dataset: str | None, everything: bool, as_json: bool) -> None:
    """List what is set aside and waits for a decision, of DATASET or of all."""
    from retrain.loop.quarantine import quarantined

    found = quarantined(ledger, dataset, everything=everything)
    if as_json:
        print_json([one.to_dict() for one in found])
    elif found:
        _print_list(found, everything)
    else:
        click.echo("Nothing is set aside.")


@command.command()
@click.argument("dataset")
@click.argument("key")
@click.option("--rows", type=click.IntRange(min=0), default=10, show_default=True, help="So many rows at most.")
@with_ledger
def show(ledger: "Ledger", dataset: str, key: str, rows: int, as_json: bool) -> None:
    """Print the rows that are set aside and what each broke. Columns declared as `pii` are never shown."""
    from retrain.loop.quarantine import find
    from retrain.validation.quarantine import read_quarantined

    one = find(ledger, dataset, key)
    if one.erased:
        raise CouldNotError(f"The rows of {one.key} were erased by {one.by}: {one.reason}")
    aside = read_quarantined(one.uri) if one.uri else None
    listed = _rows(aside, rows) if aside else []
    if as_json:
        print_json({**one.to_dict(), "pii": list(aside.pii) if aside else [], "listed": listed})
        return
    _print_head(one)
    if aside is not None and listed:
        _print_rows(aside, listed)


@command.command()
@_decision
@click.option("--store", default=None, help="Where the new version is written; by default where the rows lie.")
@with_ledger
def release(
    ledger: "Ledger", dataset: str, key: str, reason: str, actor: str | None, store: str | None, as_json: bool
) -> None:
    """Let the rows in as they are: with the accepted ones they become a new version, which the next run takes in."""
    from retrain.loop.quarantine import find
    from retrain.loop.quarantine import release as let_in

    place = store or find(ledger, dataset, key).store
    done = let_in(ledger, dataset, key, actor=actor or getpass.getuser(), reason=reason, store=place or "")
    if as_json:
        print_json(done)
    else:
        what = "is released" if done["created"] else "was released before"
        click.echo(f"{dataset} {done['key']} {what} as {done['released_as']}: {done['rows']:,} rows, of which")
        click.echo(f"{done['quarantined_rows']:,} were set aside. The next run of a data DAG takes it in.")


@command.command()
@_decision
@click.option("--erase", is_flag=True, help="Delete the rows from the store too. There is no way back.")
@with_ledger
def drop(ledger: "Ledger", dataset: str, key: str, reason: str, actor: str | None, erase: bool, as_json: bool) -> None:
    """Give the rows up: they never come in."""
    from retrain.loop.quarantine import drop as give_up

    done = give_up(ledger, dataset, key, actor=actor or getpass.getuser(), reason=reason, erase=erase)
    if as_json:
        print_json(done)
    else:
        what = "dropped" if done["created"] else "dropped before"
        count = f"{done['quarantined_rows']:,} row{'' if done['quarantined_rows'] == 1 else 's'}"
        bytes_ = "erased from the store" if done["erased"] else "kept"
        click.echo(f"{dataset} {done['key']} is {what}: {count} set aside, the bytes are {bytes_}.")


def _rows(aside: "Aside", count: int) -> list[dict[str, Any]]:
    """The first rows as JSON values, private columns masked."""
    listed = []
    for position, broken, values in zip(
        aside.positions, aside.broken, aside.table.slice(0, count).to_pylist(), strict=False
    ):
        shown = {name: MASK if name in aside.pii else value for name, value in values.items()}
        listed.append({"row": position, "broke": list(broken), "values": shown})
    return listed


def _print_list(found: "list[Quarantined]", everything: bool) -> None:
    names = ["dataset", "version", "set aside", "since (UTC)", "because", *(["became"] if everything else [])]
    rows = [
        [one.dataset, one.key, _share(one), f"{one.since:%Y-%m-%d %H:%M}", _because(one), _became(one)][: len(names)]
        for one in found
    ]
    print_table(names, rows, keep=("version", "set aside"))


def _share(one: "Quarantined") -> str:
    if one.uri is None:
        return "unread"
    return f"{one.quarantined_rows:,} of {one.rows:,}" + (" (whole)" if one.status == "fail" else "")


def _because(one: "Quarantined") -> str:
    names = [_label(failure) for failure in one.failures if failure.get("severity", "critical") == "critical"]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _label(failure: Any) -> str:
    column = failure.get("column")
    return f"{failure['expectation']}({column})" if column else str(failure["expectation"])


def _became(one: "Quarantined") -> str:
    if one.at is None:
        return one.state.value
    what = f"{one.state.value}{f' as {one.released_as}' if one.released_as else ''}{', erased' if one.erased else ''}"
    return f"{what} by {one.by}: {one.reason}"


def _print_head(one: "Quarantined") -> None:
    told = "the content could not be read" if one.uri is None else f"{_share(one)} rows are set aside"
    click.echo(f"{one.dataset} {one.key}: {told} ({_became(one)})")
    for failure in one.failures:
        reason = f": {failure['reason']}" if failure.get("reason") else ""
        click.echo(f"  {failure.get('severity', ''):8} {_label(failure)}{plain(reason)}")
    if one.uri:
        click.echo(f"  object   {one.uri}")


def _print_rows(aside: "Aside", listed: list[dict[str, Any]]) -> None:
    from rich.console import Console

    counts = Counter(reason for broken in aside.broken for reason in broken)
    number = {reason: str(place) for place, reason in enumerate(counts, start=1)}
    click.echo()
    for reason, count in counts.items():
        click.echo(f"  [{number[reason]}] {reason}: {count:,} row{'s' if count > 1 else ''}")
    columns = _that_fit(aside, listed, Console().width)
    names = ["row", "broke", *columns]
    rows = [
        [
            str(one["row"]),
            ",".join(number[reason] for reason in one["broke"]) or "-",
            *(_cell(one["values"][name]) for name in columns),
        ]
        for one in listed
    ]
    print_table(names, rows, keep=tuple(names))
    more = len(aside.positions) - len(listed), aside.table.num_columns - len(columns)
    told = [
        f"{count:,} more {what}"
        for count, what in zip(more, ("rows (--rows)", "columns (--json)"), strict=True)
        if count
    ]
    if told:
        click.echo(f"and {', '.join(told)}")


def _that_fit(aside: "Aside", listed: list[dict[str, Any]], width: int) -> list[str]:
    """The columns that rows broke an expectation on, then the others in their order, as many as the terminal holds."""
    reasons = {reason for broken in aside.broken for reason in broken}
    ordered = sorted(aside.table.column_names, key=lambda name: not any(f"({name})" in reason for reason in reasons))
    left = width - 14
    chosen: list[str] = []
    for name in ordered:
        left -= 2 + max(len(plain(name)), *(len(_cell(one["values"][name])) for one in listed))
        if left < 0 and chosen:
            break
        chosen.append(name)
    return chosen


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return plain(text if len(text) <= 30 else text[:29] + "…")
