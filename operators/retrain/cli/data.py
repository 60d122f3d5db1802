"""`retrain data`: what a model version was trained on, made again bit for bit; and who has read what."""

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrain.cli.ledger import CouldNotError
from retrain.cli.terminal import MASK, plain, print_json, print_table, with_ledger

if TYPE_CHECKING:
    from retrain.ledger import Ledger
    from retrain.loop.access import Access
    from retrain.loop.rebuild import Rebuilt, TrainedOn


@click.group(name="data")
def command() -> None:
    """What a model version was trained on, made again bit for bit; and who has read what."""


@command.command()
@click.argument("model")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows as Parquet.")
@click.option("--head", type=click.IntRange(min=1), help="Print so many rows; columns declared as `pii` are masked.")
@click.option(
    "--tracking-uri",
    envvar="MLFLOW_TRACKING_URI",
    help="MLflow's address, where the ledger does not hold the digest of the rows.",
)
@click.option("--actor", default=None, help="Who reads; by default the user of this shell.")
@with_ledger
def show(
    ledger: "Ledger",
    model: str,
    output: Path | None,
    head: int | None,
    tracking_uri: str | None,
    actor: str | None,
    as_json: bool,
) -> None:
    """Make the rows that MODEL@VERSION (MODEL: the champion) was trained on again, and prove them the very same.

    Ends with 1 where they are not. With --output or --head the reading is recorded like that of a job.
    """
    from retrain.loop.rebuild import rebuild

    origin = _origin(ledger, model, tracking_uri)
    found = rebuild(origin)
    if head is not None and found.pii is None:
        raise CouldNotError(f"Which columns of {origin.model}@{origin.version} are private is not known: use --output.")
    if output is not None or head is not None:
        _record(ledger, found, actor or getpass.getuser())
    if output is not None:
        from retrain.data import write_parquet

        write_parquet(found.frame, output)
    listed = _head(found, head) if head is not None else []
    if as_json:
        print_json({**_document(found), "head": listed})
    else:
        _print(found, listed, output)
    if found.identical is False:
        raise SystemExit(1)


@command.command()
@click.argument("model")
@click.option("--partition", help="Only reads of this partition (2013-02) or version (2013-02@v1).")
@click.option("--column", help="Only reads that this column was in, or may have been.")
@with_ledger
def access(ledger: "Ledger", model: str, partition: str | None, column: str | None, as_json: bool) -> None:
    """List what jobs of MODEL have read: who, what, when, for which run."""
    from retrain.loop.access import reads_of

    found = reads_of(ledger, model, partition=partition, column=column)
    if as_json:
        print_json([one.to_dict() for one in found])
    elif found:
        _print_access(found)
    else:
        click.echo(f"No read of {model} is recorded{' that fits' if partition or column else ''}.")


def _origin(ledger: "Ledger", model: str, tracking_uri: str | None) -> "TrainedOn":
    import dataclasses

    from retrain.loop.rebuild import trained_on

    name, at, version = model.rpartition("@")
    origin = trained_on(ledger, name, version) if at else trained_on(ledger, model)
    if origin.frame is None and origin.run_id and tracking_uri:
        from retrain.training.runs import FRAME
        from retrain.training.tracking import connect, translated

        client = connect(tracking_uri)
        with translated(tracking_uri):
            tags = client.get_run(origin.run_id).data.tags
        origin = dataclasses.replace(origin, frame=tags.get(FRAME))
    return origin


def _record(ledger: "Ledger", found: "Rebuilt", actor: str) -> None:
    """Note that a person reads the data, under a key of its own: every time counts."""
    import uuid

    from retrain.loop.access import read_entry
    from retrain.records import DataRead, JobResult, JobStatus

    reads = tuple(
        DataRead("show", ref.uri, ref.digest, ref.partition, ref.version, tuple(ref.schema) or None)
        for ref in found.snapshot.partitions
    )
    origin = {"command": "retrain data show", "version": found.origin.version}
    result = JobResult(JobStatus.SUCCEEDED, reads=reads)
    key = f"show/{found.origin.version}/{uuid.uuid4().hex}"
    ledger.append_all([read_entry(found.origin.model, result, key=key, origin=origin, actor=actor)])


def _head(found: "Rebuilt", count: int) -> list[dict[str, Any]]:
    rows = found.frame.head(count).to_dict("records")
    private = set(found.pii or ())
    return [
        {str(name): MASK if name in private else None if value != value else value for name, value in row.items()}
        for row in rows
    ]


def _document(found: "Rebuilt") -> dict[str, Any]:
    origin = found.origin
    return {
        "model": origin.model,
        "version": origin.version,
        "snapshot": found.snapshot.digest,
        "snapshot_uri": origin.snapshot_uri,
        "rows": len(found.frame),
        "columns": [str(name) for name in found.frame.columns],
        "digest": found.digest.digest,
        "recorded": origin.frame,
        "identical": found.identical,
        "changes": list(found.changes),
        "partitions": [
            {"key": ref.key, "rows": ref.rows, "digest": ref.digest, "uri": ref.uri}
            for ref in found.snapshot.partitions
        ],
    }


def _print(found: "Rebuilt", listed: list[dict[str, Any]], output: Path | None) -> None:
    origin = found.origin
    rows = [
        [ref.key, "" if ref.rows is None else f"{ref.rows:,}", (ref.digest or "").removeprefix("sha256:")[:12], ref.uri]
        for ref in found.snapshot.partitions
    ]
    print_table(["partition", "rows", "digest", "object"], rows, keep=("partition", "rows", "digest"))
    click.echo(f"snapshot  {found.snapshot.digest}")
    click.echo(f"frame     {found.digest.digest}  {len(found.frame):,} rows x {found.frame.shape[1]} columns")
    for row in listed:
        click.echo(plain(json.dumps(row, ensure_ascii=False, default=str)))
    if output is not None:
        click.echo(f"written to {output}")
    what = f"the rows that {origin.model}@{origin.version} was trained on"
    if found.identical:
        click.echo(f"identical: these are {what}, bit for bit")
    elif found.identical is None:
        click.echo(f"the partitions are proven; of {what} no digest was recorded, so more cannot be said")
    else:
        click.echo(f"DIFFERENT from {what} ({origin.frame}): {'; '.join(found.changes)}")


def _print_access(found: "list[Access]") -> None:
    rows = []
    for one in found:
        run = "/".join(one.origin[name] for name in ("dag_id", "run_id") if one.origin.get(name))
        why = (run or one.origin.get("command", "")) + (" (failed)" if one.failed else "")
        columns = "all" if one.columns is None else str(len(one.columns))
        rows.append([f"{one.at:%Y-%m-%d %H:%M}", one.key, columns, ", ".join(one.steps), one.actor or "", why])
    print_table(["read at (UTC)", "what", "columns", "steps", "by", "for"], rows, keep=("columns",))
