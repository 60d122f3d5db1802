"""Which types pandas would give the columns of a whole CSV, found and applied without holding the whole CSV."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from retrain.data import formats

if TYPE_CHECKING:
    import pandas as pd

Text = Callable[[], BinaryIO]

EMPTY, NULL, BOOL, INT, FLOAT, STR, LARGE = "empty", "null", "bool", "int64", "float64", "str", "large"
NULLABLE_BOOL = "boolean"


@dataclass(frozen=True)
class Types:
    """The type of each column, and the few columns that had to be read as a whole to tell."""

    names: Mapping[str, str]
    held: Mapping[str, "pd.Series[Any]"]


def of_columns(text: Text, names: Sequence[str], rows: int) -> Types:
    """Return the type of each column over the whole text, which is parsed once, `rows` rows at a time."""
    import pandas as pd

    kinds: dict[str, set[str]] = {name: set() for name in names}
    with pd.read_csv(text(), chunksize=rows, **formats.csv_options()) as reader:
        for chunk in reader:
            for name in names:
                kinds[name] |= _kinds(chunk[name])
    types = {name: _whole(found) for name, found in kinds.items()}
    held = {name: _column(text, name) for name, kind in types.items() if kind == LARGE}
    return Types(types, held)


def batches(text: Text, types: Types, rows: int) -> Iterator["pd.DataFrame"]:
    """Yield the columns in `types` as frames of at most `rows` rows, as `formats.parse` would have them."""
    import pandas as pd

    names = list(types.names)
    dtypes: Any = {name: kind for name, kind in types.names.items() if kind in (BOOL, INT, FLOAT, STR)}
    position = 0
    with pd.read_csv(text(), chunksize=rows, usecols=names, dtype=dtypes, **formats.csv_options()) as reader:
        for chunk in reader:
            frame = _as_parsed(chunk.drop(columns=list(types.held)))
            frame.index = pd.RangeIndex(len(chunk))  # which a frame without columns lacks
            for name, column in types.held.items():
                frame[name] = column.iloc[position : position + len(chunk)].set_axis(frame.index)
            for name, kind in types.names.items():
                if kind == NULLABLE_BOOL:
                    frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
            position += len(chunk)
            yield frame[names]


def _as_parsed(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Take a frame the way that `formats.parse` does, through Arrow."""
    import pyarrow as pa

    parsed: pd.DataFrame = pa.Table.from_pandas(frame, preserve_index=False).to_pandas(ignore_metadata=True)
    return parsed


def _column(text: Text, name: str) -> "pd.Series[Any]":
    """Read one column as a whole."""
    import pandas as pd

    return _as_parsed(pd.read_csv(text(), usecols=[name], **formats.csv_options()))[name]


def _kinds(column: "pd.Series[Any]") -> set[str]:
    """Say what the values of a part of a column are."""
    import pandas as pd

    if column.empty:
        return {EMPTY}
    nulls = {NULL} if column.isna().any() else set()
    if column.isna().all():
        return nulls
    kind = column.dtype.kind
    if kind in "iufb":
        return nulls | {{"i": INT, "u": LARGE, "f": FLOAT, "b": BOOL}[kind]}
    if pd.api.types.infer_dtype(column, skipna=True) == "boolean":
        return nulls | {BOOL}
    return nulls | {LARGE if _holds_large(column.dropna()) else STR}


def _holds_large(column: "pd.Series[Any]") -> bool:
    """Say whether this may be text only because a number is too large; the first value mostly tells."""
    try:
        float(column.iloc[0])
    except ValueError:
        return False
    return bool(column.astype(str).str.fullmatch(r"\s*[+-]?\d{19,}\s*").any())


def _whole(kinds: set[str]) -> str:
    """Return what the parts come to."""
    values = kinds - {NULL, EMPTY}
    if STR in values:
        return STR
    if LARGE in values:
        # Beyond 63 bits pandas has a rule of its own for each mixture with nulls, signs and fractions.
        return LARGE
    if BOOL in values:
        if values != {BOOL}:
            return STR
        return NULLABLE_BOOL if NULL in kinds else BOOL
    if values == {INT} and NULL not in kinds:
        return INT
    return EMPTY if kinds <= {EMPTY} else FLOAT
