"""Values of private columns (`pii`): kept out of messages, and found where a model has learned them by heart."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# In the place of a value that nobody is to be shown.
MASK = "•••"
# A shorter value is a part of ordinary words: it is only taken for one where it stands in quotes.
_DISTINCT = 4
# The most frequent values of a column: what a model keeps, it keeps of them.
_VALUES = 1_000


def told(error: BaseException, frame: pd.DataFrame, pii: Collection[str]) -> str:
    """Say what an exception of foreign code says, with the values that private columns of `frame` hold masked.

    Libraries quote data: "could not convert string to float: 'Jane Doe'". A part of a value is not recognised.
    """
    return masked(f"{type(error).__name__}: {error}", frame, pii)


def masked(text: str, frame: pd.DataFrame, pii: Collection[str]) -> str:
    """Return a text of foreign code with the values that private columns of `frame` hold masked."""
    quoted = set()
    for value in _values(frame, pii):
        word = str(value)
        if len(word) >= _DISTINCT and word in text:
            quoted.add(word)
        elif word and (f"'{word}'" in text or f'"{word}"' in text):
            quoted |= {f"'{word}'", f'"{word}"'}
    for word in sorted(quoted, key=len, reverse=True):
        text = text.replace(word, MASK)
    return text


def cause(error: BaseException, pii: Collection[str]) -> BaseException | None:
    """Return the exception to raise from: none where its own text may hold private values."""
    return None if pii else error


def private_features(features: pd.DataFrame, raw: pd.DataFrame, pii: Collection[str]) -> set[str]:
    """Return the features that are private columns, or whose categories are values of one under another name."""
    import pandas as pd

    found = {name for name in features.columns if name in pii}
    levels = {
        name: {level for level in features[name].cat.categories if isinstance(level, str)}
        for name in features.columns
        if isinstance(features[name].dtype, pd.CategoricalDtype)
    }
    values = {value for value in _values(raw, pii) if isinstance(value, str)} if levels else set()
    return found | {name for name, known in levels.items() if not known.isdisjoint(values)}


def columns_in_files(folder: Path, raw: pd.DataFrame, pii: Collection[str]) -> list[str]:
    """Return the private text columns of which a value lies in the files of a packed model.

    An encoder keeps the categories that it was fitted on, so a model may hold them although nothing else does.
    """
    content = b"\0".join(_contents(folder))
    found = []
    for name in pii:
        if name not in raw.columns:
            continue
        values = raw[name].dropna().map(str).value_counts().head(_VALUES).index if _is_text(raw[name]) else ()
        if any(written in content for value in values if len(value) >= _DISTINCT for written in _written(value)):
            found.append(name)
    return found


def _values(frame: pd.DataFrame, pii: Collection[str]) -> Iterable[Any]:
    for name in pii:
        if name in frame.columns:
            column = frame[name].dropna()
            yield from column.unique() if column.dtype != object else column.map(str).unique()


def _is_text(column: pd.Series[Any]) -> bool:
    import pandas as pd

    return bool(pd.api.types.infer_dtype(column.head(1000), skipna=True) in ("string", "categorical", "mixed"))


def _contents(folder: Path) -> Iterable[bytes]:
    """Yield the bytes of what the training has put into a model; the user's own code is not part of that."""
    for path in (folder / "retrain.json", folder / "estimator.skops"):
        if not zipfile.is_zipfile(path):
            yield path.read_bytes()
            continue
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield archive.read(name)


def _written(value: str) -> tuple[bytes, ...]:
    """Return a text as JSON and NumPy write it."""
    return value.encode(), json.dumps(value)[1:-1].encode(), value.encode("utf-32-le")
