"""`retrain run`: the job contract on the command line, as a pod or another environment calls it."""

import json
import logging
import sys

import click

EXIT_FAILED = 1


@click.command("run")
@click.argument("steps", required=False)
@click.option(
    "--input", "source", default="-", help="Job document: a path, a URI of the store, or - for standard input."
)
@click.option("--output", "target", default="-", help="Where the result goes: a path, a URI, or - for standard output.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 although a step failed: for runners that drop its result then.")
def command(steps: str | None, source: str, target: str, exit_zero: bool) -> None:
    """Run STEPS (comma-separated; default: those of the document) and write the result as JSON.

    Exit code 0: the steps ran, whatever their verdicts. 1: a step failed; the result says why and whether to try
    again. 2: the document does not follow the contract.
    """
    import dataclasses

    from retrain.jobs import run_job
    from retrain.jobs.documents import read_request, write_result
    from retrain.records import JobStatus

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    request = read_request(source)
    if steps:
        request = dataclasses.replace(request, steps=tuple(steps.split(",")))
    result = run_job(request)
    if target == "-":
        click.echo(json.dumps(result.to_dict()))
    else:
        write_result(target, result)
    if result.status is JobStatus.FAILED:
        click.echo(result.error.message if result.error else "failed", err=True)
        sys.exit(0 if exit_zero else EXIT_FAILED)
