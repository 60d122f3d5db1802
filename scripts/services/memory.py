"""Peak memory of this process and everything it started, sampled once a second."""

import threading
from pathlib import Path
from typing import Self


class PeakMemory:
    """Samples the proportional memory (PSS: shared pages counted once) of the process tree; `mib` is the highest."""

    def __init__(self, pause: float = 1.0) -> None:
        self.mib = 0.0
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(self._pause):
            self.mib = max(self.mib, sum(_pss_kib(pid) for pid in _tree()) / 1024)


def _tree() -> set[int]:
    """Return this process and its descendants; servers keep their session's leader as an ancestor."""
    import os

    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
                parents[int(folder.name)] = int(stat.rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError, ValueError):
                continue
    tree = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return tree


def _pss_kib(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except (OSError, ValueError):
        return 0
    return 0
