"""Whether the target environment is the one that the model asks for."""

import re
from collections.abc import Mapping, Sequence

from retrain.serving.verdict import Parity, ServingCheck, failed, passed


def differences(
    asked: Sequence[str], installed: Mapping[str, str], *, parity: Parity
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what breaks the parity and what merely differs, by package.

    `asked` are requirement lines, of the model and of a lock. By `minor`, a pin holds as long as major and minor
    version agree; other specifiers must hold as they stand. Lines that are no requirement (options, URLs) are left out.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    have = {_name(name): version for name, version in installed.items()}
    broken: dict[str, str] = {}
    noted: dict[str, str] = {}
    for line in asked:
        try:
            requirement = Requirement(line.partition(" #")[0].strip().rstrip("\\").strip())
        except InvalidRequirement:
            continue
        if requirement.url or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        name = _name(requirement.name)
        version = have.get(name)
        if version is None:
            broken[name] = f"{requirement.specifier or 'any version'} is asked and it is not installed"
        elif not requirement.specifier.contains(version, prereleases=True):
            said = f"{requirement.specifier} is asked and {version} is installed"
            (noted if _close(str(requirement.specifier), version, parity) else broken)[name] = said
    return broken, noted


def judge_parity(
    asked: Sequence[str], python: str | None, installed: Mapping[str, str], running: str, parity: Parity
) -> tuple[ServingCheck, dict[str, str]]:
    """Return the check of the environment, and every difference by package."""
    broken, noted = differences(asked, installed, parity=parity)
    if python is not None and python != running:
        close = python.split(".")[:2] == running.split(".")[:2] and parity is not Parity.EXACT
        (noted if close else broken)["python"] = f"{python} is asked and {running} runs"
    every = {**broken, **noted}
    said = "; ".join(f"{name}: {difference}" for name, difference in every.items())
    if broken and parity is not Parity.IGNORE:
        return failed("parity", f"the environment is another than the model's: {said}"), every
    if every:
        return passed("parity", f"the environment differs within what is allowed ({parity}): {said}"), every
    return passed("parity", f"Python {running} and {len(asked)} requirements as asked"), every


def _close(specifier: str, version: str, parity: Parity) -> bool:
    pinned = re.fullmatch(r"===?\s*([0-9][^,*]*)", specifier)
    if pinned is None or parity is Parity.EXACT:
        return False
    return pinned[1].split(".")[:2] == version.split(".")[:2]


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
