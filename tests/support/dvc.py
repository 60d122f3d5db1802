"""A git repository under DVC with a remote on this disk."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd

_WHO = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "test"), ("EMAIL", "test@example.org"))
}


class Repository:
    """Write frames, commit them as revisions, and forget every local copy."""

    def __init__(self, path: Path, remote: Path) -> None:
        self.path, self.remote = path, remote

    @classmethod
    def init(cls, path: Path, remote: Path) -> "Repository":
        """Make an empty repository."""
        from dvc.repo import Repo

        path.mkdir()
        made = cls(path, remote)
        made.git("init", "-q", "-b", "main")
        Repo.init(str(path)).close()
        made.configure()
        return made

    def copy(self, path: Path, remote: Path) -> "Repository":
        """Copy the repository and its remote."""
        shutil.copytree(self.path, path)
        shutil.copytree(self.remote, remote)
        made = Repository(path, remote)
        made.configure()
        return made

    def configure(self) -> None:
        """Name the remote."""
        text = f"[core]\n    remote = store\n    analytics = false\n['remote \"store\"']\n    url = {self.remote}\n"
        (self.path / ".dvc" / "config").write_text(text)

    def put(self, name: str, frame: pd.DataFrame) -> None:
        """Write a frame and let DVC track it."""
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        frame.to_parquet(target)
        self._dvc("add", str(target))

    def commit(self, tag: str) -> None:
        """Commit everything, push the data to the remote, and tag the revision."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", tag)
        self.git("tag", tag)
        self._dvc("push")

    def empty(self) -> None:
        """Remove the cache and the checked-out data: what is read from now on comes from the remote."""
        shutil.rmtree(self.path / ".dvc" / "cache", ignore_errors=True)
        for pointer in self.path.rglob("*.parquet.dvc"):
            pointer.with_suffix("").unlink(missing_ok=True)

    def git(self, *arguments: str) -> None:
        """Run git in the repository."""
        environment = {**os.environ, **_WHO}
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=self.path, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")

    def _dvc(self, action: str, *arguments: Any) -> None:
        from dvc.repo import Repo

        with Repo(str(self.path)) as repo:
            getattr(repo, action)(*arguments)
