"""Data under DVC, through DVC's own file system: `dvc://<repository>[@<revision>]//<path>`.

The repository is a local path or whatever git clones. The revision is a branch, tag or commit; without one it is the
remote's default branch, or of a local repository the working tree. A `@` in a repository's own name needs one more
behind the name, with or without a revision.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrain.exceptions import DeclarationError, MissingDependencyError

PREFIX = "dvc://"
# Neither is asked by the Python API today; that it stays so is not for a new version of DVC to decide.
_SILENT = {"analytics": False, "check_update": False}


@dataclass(frozen=True)
class Address:
    """A path in a repository at a revision (None: see the module)."""

    repository: str
    revision: str | None
    path: str

    @property
    def uri(self) -> str:
        """The form that `parse` reads."""
        sign = "@" if self.revision or _split(self.repository)[1] is not None else ""
        return f"{PREFIX}{self.repository}{sign}{self.revision or ''}//{self.path}"


def parse(uri: str) -> Address:
    """Read an address; DeclarationError where there is no repository or no `//` before the path."""
    before, slashes, path = uri.removeprefix(PREFIX).rpartition("//")
    repository, revision = _split(before)
    if not uri.startswith(PREFIX) or not slashes or not repository or repository.endswith(":"):
        raise DeclarationError(
            f"{uri!r} does not name data under DVC",
            expected="dvc://<repository>[@<revision>]//<path>, as in dvc:///srv/flights@main//data/{partition}.parquet",
        )
    return Address(repository, revision or None, path.strip("/"))


def filesystem(uri: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Open a repository at its revision; return DVC's file system and the path in it.

    `options` are DVC's: `remote`, `remote_config`, `config`. Objects are read from the cache, else straight from the
    remote, and are not added to the cache. Raises DeclarationError and MissingDependencyError.
    """
    address = parse(uri)
    try:
        DVCFileSystem: Any = importlib.import_module("dvc.api").DVCFileSystem  # noqa: N806
    except ImportError as error:
        raise MissingDependencyError(
            f"{uri} needs DVC, which is not installed: {error}", remedy="pip install 'airflow-provider-retrain[dvc]'"
        ) from error
    config = dict(options.get("config") or {})
    config["core"] = {**config.get("core", {}), **_SILENT}
    chosen = {**options, "config": config}
    return DVCFileSystem(repo=address.repository, rev=address.revision, **chosen), address.path


def _split(text: str) -> tuple[str, str | None]:
    """Cut a revision off. A user name before a host is not one: no revision has a colon, or follows `scheme://`."""
    repository, sign, revision = text.rpartition("@")
    authority = "://" in repository and "/" not in repository.partition("://")[2]
    if not sign or ":" in revision or authority:
        return text, None
    return repository, revision
