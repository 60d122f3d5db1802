"""The probe in a container of the image that will serve: no network, no rights, nothing of ours but one folder."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from retrain.exceptions import ConfigurationError, UnavailableError

# What an image has of its own, or what only means something outside of it.
_NOT_PASSED = frozenset({"PATH", "LD_LIBRARY_PATH"})
_STOP_SECONDS = 60
_PULL_SECONDS = 900
# What the client itself needs, to find the engine and its configuration.
_CLIENT = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")


def require(image: str) -> None:
    """Make sure that the image is there, pulled if it has to be.

    Raises ConfigurationError without Docker or without such an image, UnavailableError when the engine does not answer.
    """
    if _docker("image", "inspect", image, seconds=_STOP_SECONDS).returncode == 0:
        return
    found = _docker("pull", "--quiet", image, seconds=_PULL_SECONDS)
    if found.returncode == 0:
        return
    said = found.stderr.strip()[-500:]
    if "Cannot connect to the Docker daemon" in said:
        raise UnavailableError(f"Docker does not answer: {said}", remedy="Start the engine, or correct DOCKER_HOST")
    raise ConfigurationError(
        f"there is no image {image!r}: {said}",
        expected="an image with Python, MLflow and what the model needs",
        remedy="Build or push it, or correct serving.image",
    )


def command(
    image: str, name: str, inside: Sequence[str], *, env: Mapping[str, str], folder: Path, memory_bytes: int | None
) -> list[str]:
    """Return the command that runs `inside` in a container called `name`, with `folder` at the same path.

    The variables go by a file: on a command line everybody on the machine could read them.
    """
    variables = folder / f"{name}.env"
    variables.touch(mode=0o600)
    kept = {key: value for key, value in env.items() if key not in _NOT_PASSED and "\n" not in value}
    variables.write_text("".join(f"{key}={value}\n" for key, value in kept.items()), encoding="utf-8")
    memory = [f"--memory={memory_bytes}", f"--memory-swap={memory_bytes}"] if memory_bytes is not None else []
    return [
        *("docker", "run", "--rm", "--interactive", "--name", name),
        *("--network", "none", "--read-only", "--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges", "--pids-limit", "1024", "--user", f"{os.getuid()}:{os.getgid()}"),
        *("--tmpfs", "/tmp", "--volume", f"{folder}:{folder}", "--workdir", str(folder)),  # noqa: S108
        *("--env-file", str(variables), "--entrypoint", inside[0], *memory, image, *inside[1:]),
    ]


def client_environment() -> dict[str, str]:
    """Return what Docker's client needs of our environment."""
    return {name: os.environ[name] for name in _CLIENT if name in os.environ}


def remove(name: str) -> None:
    """End the container: to kill the client alone would leave it running."""
    _docker("rm", "--force", name, seconds=_STOP_SECONDS)


def _docker(*arguments: str, seconds: float) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603
            ["docker", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=client_environment(),
        )
    except FileNotFoundError as error:
        raise ConfigurationError(
            "the mode is docker, and there is no docker command", expected="Docker's client where the check runs"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"Docker did not answer within {seconds:g} s to {arguments[0]}") from error
