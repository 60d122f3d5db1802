"""An image for containers where none can be pulled: an empty one, on which this machine's Python is mounted.

It proves the container (no network, no rights, memory, time, cleaning up), not somebody's image.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# One for each process of tests: another's may come and go, and so may its containers.
IMAGE = f"retrain-stand-in:{os.getpid()}"
# The interpreter in a container of the image.
PYTHON = str(Path(sys.prefix).resolve() / "bin" / "python")


def docker(*arguments: str, content: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    """Run Docker's client."""
    return subprocess.run(["docker", *arguments], input=content, capture_output=True, timeout=60, check=False)


def containers() -> list[str]:
    """Return the names of the serving check's containers of this image, also of those that have ended."""
    names = docker("ps", "--all", "--filter", f"ancestor={IMAGE}", "--format", "{{.Names}}").stdout.decode().split()
    return [name for name in names if name.startswith("retrain-serving-")]


@contextlib.contextmanager
def stand_in(folder: Path) -> Iterator[None]:
    """Make the image, and let the command `docker run` mount this machine's Python; skips where no engine answers."""
    real = shutil.which("docker")
    if real is None or docker("info").returncode:
        pytest.skip("no Docker engine answers; nothing was tried in a container")
    empty = subprocess.run(["tar", "-c", "--files-from", "/dev/null"], capture_output=True, check=True).stdout
    assert docker("import", "-", IMAGE, content=empty).returncode == 0
    places = ("/usr", "/lib", "/lib64", "/bin", sys.base_prefix, str(Path(sys.prefix).resolve()))
    mounts = " ".join(f"--volume {shlex.quote(place)}:{shlex.quote(place)}:ro" for place in places)
    script = folder / "docker"
    script.write_text(
        f'#!/bin/sh\nif [ "$1" = run ]; then shift; exec {real} run {mounts} "$@"; fi\nexec {real} "$@"\n'
    )
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        yield
    docker("rmi", IMAGE)
