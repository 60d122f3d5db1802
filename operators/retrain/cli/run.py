"""`retrain run`: the job contract on the command line, as a pod or another environment calls it."""

import json
import logging
import os
import signal
import sys

import click

EXIT_FAILED = 1
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@click.command("run")
@click.argument("steps", required=False)
@click.option(
    "--input", "source", default="-", help="Job document: a path, a URI of the store, or - for standard input."
)
@click.option("--output", "target", default="-", help="Where the result goes: a path, a URI, or - for standard output.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 although a step failed: for runners that drop its result then.")
@click.option("--die-with-parent", "parent", type=int, hidden=True, help="End when this process ends (Linux).")
def command(steps: str | None, source: str, target: str, exit_zero: bool, parent: int | None) -> None:
    """Run STEPS (comma-separated; default: those of the document) and write the result as JSON.

    Exit code 0: the steps ran, whatever their verdicts. 1: a step failed, or the store of the document did not answer;
    the result says why and whether to try again. 2: the document does not follow the contract, or is not there.
    """
    if parent is not None:  # before the slow imports: nothing may be started for a parent that is gone
        _die_with(parent)
    import dataclasses

    from retrain.exceptions import UnavailableError
    from retrain.jobs import run_job
    from retrain.jobs.documents import read_request, write_result
    from retrain.records import JobError, JobResult, JobStatus

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        request = read_request(source)
        if steps:
            request = dataclasses.replace(request, steps=tuple(steps.split(",")))
        result = run_job(request)
    except UnavailableError as error:  # the document was not refused, it could not be read: that may pass
        result = JobResult(JobStatus.FAILED, error=JobError(type(error).__name__, str(error), retryable=True))
    if target == "-":
        click.echo(json.dumps(result.to_dict()))
    else:
        write_result(target, result)
    if result.status is JobStatus.FAILED:
        click.echo(result.error.message if result.error else "failed", err=True)
        sys.exit(0 if exit_zero else EXIT_FAILED)


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when `parent` ends, and end now if it has ended already.

    The kernel's parent is the thread that started this process, not the whole process: the caller must start a job
    from a thread that waits for it. A task's job is started, and waited for, by its main thread.
    """
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            click.echo(f"the job may outlive its task: prctl: {os.strerror(ctypes.get_errno())}", err=True)
    # Asked after prctl: a parent that ended before it would send no signal any more.
    if os.getppid() != parent:
        click.echo(f"process {parent}, which asked for this job, has ended", err=True)
        sys.exit(EXIT_FAILED)
