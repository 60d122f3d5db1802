"""A second, real Python environment: what the extra `jobs` needs, in the versions of this one, and no Airflow."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]
DISTRIBUTION = "airflow-provider-retrain"


def closure(name: str, extras: tuple[str, ...], found: dict[str, str] | None = None) -> dict[str, str]:
    """Return version by name of everything that a distribution with these extras needs, as installed here."""
    found = {} if found is None else found
    for line in importlib.metadata.requires(name) or []:
        requirement = Requirement(line)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        key = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if key not in found or requirement.extras:
            found[key] = importlib.metadata.version(key)
            closure(key, tuple(requirement.extras), found)
    return found


def build(folder: Path) -> Path:
    """Make the environment in `folder`, with this project's wheel in it; return its interpreter."""
    uv = str(Path(sys.executable).with_name("uv"))
    python = folder / "bin" / "python"
    pins = [f"{name}=={version}" for name, version in sorted(closure(DISTRIBUTION, ("jobs",)).items())]
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    for command in (
        ["venv", "--python", sys.executable, str(folder)],
        ["pip", "install", "--python", str(python), "--no-deps", *pins, str(REPOSITORY)],
    ):
        done = subprocess.run([uv, *command], env=environment, capture_output=True, text=True, timeout=580, check=False)
        assert done.returncode == 0, done.stderr
    return python
