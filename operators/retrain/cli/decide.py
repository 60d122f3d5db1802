"""`retrain decide`: whether to retrain, and why (not)."""

import json
import sys
from typing import Any

import click


@click.command("decide")
@click.argument("history", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--policy", required=True, type=click.Path(exists=True, dir_okay=False), help="JSON list of rules to decide by."
)
@click.option("--now", help="ISO time with its zone to decide at.  [default: the present]")
@click.option("--min-partitions", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the decision as JSON.")
def command(history: str, policy: str, now: str | None, min_partitions: int, as_json: bool) -> None:
    """Decide by the facts in HISTORY, a JSON file, whether to retrain; says one reason per rule.

    Exit code 0: decided, whether yes or no. 2: could not decide.
    """
    from datetime import UTC, datetime

    from retrain.policy import History, decide, rule_from_dict
    from retrain.policy.history import parse_time

    rules = _json(policy, list, "a JSON list of rules, as the `to_dict` of each gives them")
    facts = _json(history, dict, "a JSON object, as `History.to_dict` gives it")
    decision = decide(
        History.from_dict(facts),
        [rule_from_dict(rule) for rule in rules],
        parse_time(now, "--now") or datetime.now(UTC),
        min_partitions=min_partitions,
    )
    if as_json:
        click.echo(json.dumps(decision.to_dict()))
        return
    click.echo(f"retrain: yes ({decision.trigger})" if decision.retrain else "retrain: no")
    for reason in decision.reasons:
        click.echo(f"  - {reason}")


def _json(path: str, kind: type, expected: str) -> Any:
    from retrain.exceptions import ContractError

    name = "standard input" if path == "-" else path
    try:
        with sys.stdin if path == "-" else open(path, encoding="utf-8") as source:
            document = json.load(source)
    except (OSError, ValueError) as error:
        raise ContractError(f"{name} cannot be read as JSON: {error}", expected=expected) from error
    if not isinstance(document, kind):
        raise ContractError(f"{name} holds a JSON {type(document).__name__}", expected=expected)
    return document
