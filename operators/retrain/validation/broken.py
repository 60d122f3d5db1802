"""Which rows break what: one bit for each row and critical expectation that fails."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class Broken:
    """The rows that break critical expectations, out of `count` rows."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._labels: dict[int, str] = {}
        self._bits: dict[int, np.ndarray[Any, Any]] = {}

    def add(self, order: int, label: str, flags: "np.ndarray[Any, Any]") -> None:
        """Say which rows break an expectation: a boolean for each. `order` is where its label stands among others."""
        import numpy as np

        self._labels[order] = label
        self._bits[order] = np.packbits(flags)

    def __len__(self) -> int:
        """How many rows break at least one."""
        import numpy as np

        if not self._bits:
            return 0
        bits = np.bitwise_or.reduce(list(self._bits.values()))
        return int(np.bitwise_count(bits).sum())

    def flags(self, start: int, rows: int) -> "np.ndarray[Any, Any]":
        """Return for each of `rows` rows from `start` on whether it breaks any."""
        import numpy as np

        found = np.zeros(rows, dtype=bool)
        for order in self._bits:
            found |= self._flags(order, start, rows)
        return found

    def labels(self, start: int, rows: int, kept: "np.ndarray[Any, Any]") -> Any:
        """Return what each of those rows for which `kept` is true breaks, as an Arrow array of lists of text."""
        import numpy as np
        import pyarrow as pa

        orders = sorted(self._bits)
        broken = np.zeros((int(kept.sum()), len(orders)), dtype=bool)
        for place, order in enumerate(orders):
            broken[:, place] = self._flags(order, start, rows)[kept]
        offsets = np.concatenate([[0], np.cumsum(broken.sum(axis=1))]).astype("int32")
        names = pa.array([self._labels[order] for order in orders], pa.string())
        values = names.take(pa.array(np.nonzero(broken)[1], pa.int64()))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)

    def _flags(self, order: int, start: int, rows: int) -> "np.ndarray[Any, Any]":
        import numpy as np

        first, last = start // 8, -(-(start + rows) // 8)
        found: np.ndarray[Any, Any] = np.unpackbits(self._bits[order][first:last])
        return found[start - 8 * first :][:rows].astype(bool)


def mark(flags: "np.ndarray[Any, Any]", positions: Iterable[int], start: int) -> None:
    """Set the flags of rows that are counted from `start`."""
    import numpy as np

    flags[np.fromiter(positions, dtype="int64") + start] = True
