"""A bundle of evidence as one HTML page: loads nothing, runs no script, and escapes whatever comes from outside."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from retrain.audit.words import day, number
from retrain.exceptions import MissingDependencyError

if TYPE_CHECKING:
    from retrain.audit.pictures import Picture

# What is left out for length is counted on the page, and is in the JSON.
_MOST_ROWS = 400
_LONGEST = 600


def render(bundle: Mapping[str, Any], pictures: "Sequence[Picture]" = ()) -> str:
    """Return the page of a bundle; the same bundle gives the same bytes. Needs Jinja2, else MissingDependencyError.

    `pictures` (`retrain.audit.pictures`) are written into it. It names partitions, digests, numbers and people, and
    holds no row of the data.
    """
    told, mlflow = bundle["ledger"], bundle.get("mlflow") or {}
    gate = told.get("gate") or {}
    verdict = gate.get("verdict") or {}
    return str(
        _template().render(
            bundle=bundle,
            told=told,
            gate=gate,
            verdict=verdict,
            pictures=pictures,
            mlflow=mlflow,
            standing=_standing(told["production"]),
            training=_training(bundle),
            gaps=[one for one in bundle["sources"] if one["status"] != "ok"],
            most=_MOST_ROWS,
        )
    )


def _standing(production: list[Mapping[str, Any]]) -> tuple[str, str]:
    """Where the version stands, and how good that is."""
    if not production:
        return "never in production", "warn"
    if production[-1]["until"] is None:
        return "champion", "pass"
    return "was champion", ""


def _training(bundle: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What made the version: the ledger's word, else MLflow's, else the store's; what nobody knows is said so."""
    own, mlflow, store = bundle["ledger"]["training"], bundle.get("mlflow") or {}, bundle.get("store") or {}

    def known(name: str) -> Any:
        return next((place[name] for place in (own, mlflow, store) if place.get(name) is not None), None)

    origin = {**(mlflow.get("origin") or {}), **own["origin"]}
    return [
        ("code", known("code")),
        ("train", mlflow.get("train")),
        ("prepare", mlflow.get("prepare")),
        *((name.replace("_", " "), origin[name]) for name in sorted(origin)),
        ("parameters", known("params")),
        ("environment", known("environment")),
        ("requirements", mlflow.get("requirements")),
        ("training key", own["training_key"]),
        ("MLflow run", own["run_id"]),
        ("model", own["model_uri"]),
        ("digest of its files", own["artifact_digest"]),
    ]


def _text(value: Any) -> str:
    """Write a value of any shape in one line."""
    if isinstance(value, Mapping):
        shown = ", ".join(f"{name} {_text(item)}" for name, item in sorted(value.items())) or "none"
    elif isinstance(value, list | tuple):
        shown = ", ".join(_text(item) for item in value) or "none"
    else:
        shown = number(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


@cache
def _template() -> Any:
    try:
        from jinja2 import Environment, PackageLoader
    except ImportError as error:
        raise MissingDependencyError(
            "The page of a bundle needs Jinja2, which comes with Airflow and with the extra of the jobs",
            remedy="pip install 'airflow-provider-retrain[jobs]'",
        ) from error
    loader = PackageLoader("retrain.audit", "pages")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"day": day, "number": number, "text": _text}
    return environment.get_template("evidence.html")
