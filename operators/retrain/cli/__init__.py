"""The command line: the same steps from a shell, a notebook, a pod or CI.

Each subcommand lives in a module of its own that is imported only when it is called, so that `retrain --help` and the
light commands do not pay for the libraries of the heavy ones.
"""

import importlib
import sys

import click

from retrain.exceptions import RetrainError

COMMANDS = {
    "run": ("retrain.cli.run", "Run steps of a job document: JSON in, JSON out."),
    "validate": ("retrain.cli.validate", "Judge data by an expectation suite."),
    "expectations": ("retrain.cli.expectations", "Infer a suite from data, check one, list what there is."),
    "quarantine": ("retrain.cli.quarantine", "What is set aside and why; let it in, or give it up."),
    "data": ("retrain.cli.data", "What a model was trained on, bit for bit; who has read what."),
    "drift": ("retrain.cli.drift", "Profile data and compare profiles."),
    "judge": ("retrain.cli.judge", "Judge a challenger against the champion on kept predictions."),
    "decide": ("retrain.cli.decide", "Say whether to retrain now, and why."),
    "registry": ("retrain.cli.registry", "What is in production, and why; promote, reconcile."),
    "ledger": ("retrain.cli.ledger", "The record of what happened: migrate, verify, log, show."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


@click.group(cls=_LazyGroup)
@click.version_option(package_name="airflow-provider-retrain")
def app() -> None:
    """Continuous training for Apache Airflow, step by step."""


def main() -> None:
    """Run the command line; an error of ours is one line on standard error and exit code 2."""
    try:
        app()
    except RetrainError as error:
        click.echo(f"retrain: {error}", err=True)
        sys.exit(2)
