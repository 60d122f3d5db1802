"""In what two versions differ: data, code, parameters, environment, metrics, gates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.records import encode

if TYPE_CHECKING:
    from retrain.audit.dossier import Dossier

_GATE = ("status", "rule", "margin", "confidence", "metric", "challenger", "champion", "difference", "interval", "rows")


@dataclass(frozen=True)
class Change:
    """One thing that is not the same in both. None: it is not there, or not known."""

    name: str
    first: Any = None
    second: Any = None


@dataclass(frozen=True)
class Section:
    """The differences of one kind. `unknown` says why nothing can be said, `note` how to read what is said."""

    name: str
    changes: tuple[Change, ...] = ()
    same: int = 0
    unknown: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Differences:
    """All differences between two versions of a model; `gaps` names the sources that did not answer."""

    model: str
    first: str
    second: str
    sections: tuple[Section, ...]
    gaps: tuple[str, ...] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = encode(self)
        return document


def compare(first: "Dossier", second: "Dossier") -> Differences:
    """Compare two versions; pure. What is known of one only is a difference, of neither an unknown section."""
    sections = (
        _data(first, second),
        _code(first, second),
        _parameters(first, second),
        _section("environment", _environment(first), _environment(second), "no source tells it"),
        _metrics(first, second),
        _section("gate", _gate(first), _gate(second), "neither was judged"),
    )
    gaps = tuple(f"{one.version}: {gap}" for one in (first, second) for gap in one.gaps)
    return Differences(first.model, first.version, second.version, sections, gaps)


def _data(first: "Dossier", second: "Dossier") -> Section:
    one, two = (_partitions(dossier) for dossier in (first, second))
    if not one and not two:
        return Section("data", unknown="of neither version a training is recorded")
    changes = list(_changed(one, two))
    for name in ("rows", "snapshot", "dataset"):
        values = [dossier.ledger["data"][name] for dossier in (first, second)]
        if values[0] != values[1]:
            changes.append(Change(name, *values))
    held = [[ref["key"] for ref in dossier.ledger["holdout"]] for dossier in (first, second)]
    if held[0] != held[1]:
        changes.append(Change("hold-out", *held))
    return Section("data", tuple(changes), same=sum(1 for name in one if one[name] == two.get(name)))


def _partitions(dossier: "Dossier") -> dict[str, str]:
    """Version and digest of each partition, by its name."""
    return {
        f"partition {ref['partition']}": f"{ref['key']} {ref.get('digest') or '(digest unknown)'}"
        for ref in dossier.ledger["data"]["partitions"]
    }


def _section(name: str, one: Mapping[str, Any], two: Mapping[str, Any], unknown: str) -> Section:
    if not one and not two:
        return Section(name, unknown=unknown)
    return Section(name, tuple(_changed(one, two)), same=sum(1 for key in one if key in two and one[key] == two[key]))


def _changed(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterable[Change]:
    for name in dict.fromkeys([*one, *two]):
        if one.get(name) != two.get(name):
            yield Change(name, one.get(name), two.get(name))


def _code(first: "Dossier", second: "Dossier") -> Section:
    section = _section("code", _origin(first), _origin(second), "neither the ledger nor MLflow tells its digest")
    if first.training("code") is None or second.training("code") is None:
        # The name of a bundle that is the same says nothing about what is in it.
        return Section("code", section.changes, unknown="its digest is not known of both: only MLflow holds it")
    return section


def _origin(dossier: "Dossier") -> dict[str, Any]:
    mlflow = dossier.mlflow or {}
    origin = {**(mlflow.get("origin") or {}), **dossier.ledger["training"]["origin"]}
    found = {
        "digest": dossier.training("code"),
        "train": mlflow.get("train"),
        "prepare": mlflow.get("prepare"),
        "bundle": origin.get("bundle"),
        "bundle version": origin.get("bundle_version"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _parameters(first: "Dossier", second: "Dossier") -> Section:
    one, two = (dossier.training("params") for dossier in (first, second))
    if one is None or two is None:
        return Section("parameters", unknown="they are not known of both: only MLflow holds them")
    return _section("parameters", one, two, "") if one or two else Section("parameters")


def _environment(dossier: "Dossier") -> dict[str, Any]:
    required = [line for line in (dossier.mlflow or {}).get("requirements") or () if "==" in line]
    pinned = dict(line.split("==", 1) for line in required)
    return {**pinned, **(dossier.training("environment") or {})}


def _metrics(first: "Dossier", second: "Dossier") -> Section:
    one, two = (_numbers(dossier) for dossier in (first, second))
    section = _section("metrics", one, two, "of neither version a number is recorded")
    held = [[ref["key"] for ref in dossier.ledger["holdout"]] for dossier in (first, second)]
    if held[0] == held[1] or section.unknown:
        return section
    note = "measured on different rows (see hold-out): the numbers do not compare the models"
    return Section(section.name, section.changes, section.same, note=note)


def _numbers(dossier: "Dossier") -> dict[str, Any]:
    gate = dossier.ledger["gate"] or {}
    own = {f"hold-out {gate['metric_name']}": gate["metric"]} if gate.get("metric_name") else {}
    return {**own, **((dossier.mlflow or {}).get("metrics") or {})}


def _gate(dossier: "Dossier") -> dict[str, Any]:
    gate = dossier.ledger["gate"]
    if gate is None:
        return {}
    verdict = gate["verdict"] or {}
    conditions = {
        f"condition {one.get('name') or one.get('kind')}": f"{one.get('status')}: {one.get('reason')}"
        for one in verdict.get("conditions") or ()
    }
    serving = {"serving check": (dossier.ledger["serving"] or {}).get("status")} if dossier.ledger["serving"] else {}
    return {"against": gate["against"], **{name: verdict.get(name) for name in _GATE}, **conditions, **serving}
