"""Print the versions that an installation into the running Python has to keep to.

    python constraints.py tested.txt > constraints.txt

What is installed stays at its version. Every other distribution of the lock `tested.txt` comes at the version there.
The hashes are left out: pip checks them only when they are given for every distribution, and those of the image were
installed before.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path

PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==[^\\]+")


def canonical(name: str) -> str:
    """Return `name` as packaging tools compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints(lock: Iterable[str], installed: dict[str, str]) -> Iterator[str]:
    """Yield one `name==version` for each distribution, those of `installed` (name -> version) first."""
    kept = {canonical(name): version for name, version in installed.items()}
    yield from (f"{name}=={version}" for name, version in sorted(kept.items()))
    for line in lock:
        pin = PIN.match(line)
        if pin and canonical(pin["name"]) not in kept:
            yield pin[0].strip()


if __name__ == "__main__":
    present = {found.name: found.version for found in distributions()}
    print("\n".join(constraints(Path(sys.argv[1]).read_text().splitlines(), present)))
