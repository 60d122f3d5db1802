"""Slices of the rows: by the values of columns, by expressions, or found where the challenger does most harm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.exceptions import ConfigurationError, MissingColumnError

if TYPE_CHECKING:
    import pandas as pd

    from retrain.evaluation.influence import Bools, Floats

MOST_VALUES = 20
BINS = 4
# A slice that is found has at least so many rows, and this share of them.
MIN_ROWS, MIN_SHARE = 50, 0.01
# Two found slices may share at most this part of their rows (Jaccard).
OVERLAP = 0.5
SEED = 20


def slices_by(frame: "pd.DataFrame", columns: Sequence[str], *, most: int = MOST_VALUES) -> "dict[str, Bools]":
    """Return a mask per value of each column, by names such as `carrier=AA`.

    A column of more than `most` values is cut: numbers and dates at their quartiles, text into its `most` most frequent
    values and `carrier=other`. Missing values are a slice of their own.
    """
    masks: dict[str, Bools] = {}
    for name in columns:
        masks.update(_by_column(_column(frame, name), str(name), most))
    return masks


def slices_where(frame: "pd.DataFrame", expressions: Mapping[str, str]) -> "dict[str, Bools]":
    """Return a mask per expression over the columns, in the words of pandas: `{"evening": "hour >= 18"}`."""
    import numpy as np
    import pandas as pd

    masks: dict[str, Bools] = {}
    for name, expression in expressions.items():
        if "@" in expression or "__" in expression:  # these reach out of the columns
            raise ConfigurationError(
                f"slice {name!r} is declared as {expression!r}",
                expected="an expression over columns alone, without @ and __",
            )
        try:
            found = np.asarray(frame.eval(expression, engine="python"))
        except pd.errors.UndefinedVariableError as error:
            raise MissingColumnError(
                f"slice {name!r}: {expression!r} cannot be computed: {error}",
                expected=f"an expression over the columns {[str(column) for column in frame.columns[:30]]}",
            ) from error
        except Exception as error:
            raise ConfigurationError(
                f"slice {name!r}: {expression!r} cannot be computed: {type(error).__name__}: {error}",
                expected=f"an expression over the columns {[str(column) for column in frame.columns[:30]]}",
                remedy="Write it as for pandas.DataFrame.eval, such as \"hour >= 18 and carrier == 'AA'\"",
            ) from error
        if found.shape != (len(frame),) or found.dtype.kind not in "bO":
            raise ConfigurationError(
                f"slice {name!r}: {expression!r} gives {found.dtype} of shape {found.shape}",
                expected="true or false for each row",
            )
        masks[str(name)] = np.array([value is True or value is np.True_ for value in found], dtype=bool)
    return masks


@dataclass(frozen=True)
class FoundSlice:
    """A slice found on one half of the rows; `mask` holds its rows of the *other* half, on which it may be judged.

    `harm` is the mean harm of its rows in the half where it was found, `effect` by how many standard deviations that
    lies above the harm of the other rows.
    """

    name: str
    mask: "Bools"
    harm: float
    effect: float


def find_slices(
    frame: "pd.DataFrame", harm: "Floats", *, columns: Sequence[str] | None = None, most: int = 5, seed: int = SEED
) -> "list[FoundSlice]":
    """Return up to `most` slices of one or two columns where `harm` (one number per row) is worst.

    Slice Finder (Chung et al., ICDE 2019): values of columns and their pairs are ranked by Welch's t against all other
    rows, and a pair is kept only where it says more than each of its parts. The search sees one random half of the
    rows; the masks hold the other half, so that a test on them is not led by the search. Harm is, for example, the
    challenger's loss minus the champion's; rows whose harm is not finite are left out.
    """
    import numpy as np

    harm = np.asarray(harm, dtype=float)
    usable = np.isfinite(harm)
    seen = usable & (np.random.default_rng(seed).random(len(frame)) < 0.5)
    masks = slices_by(frame, list(frame.columns) if columns is None else columns)
    least = max(MIN_ROWS, int(MIN_SHARE * seen.sum()))
    masks = {name: mask for name, mask in masks.items() if least <= (mask & seen).sum() <= seen.sum() - least}
    if not masks:
        return []
    names, found = list(masks), np.column_stack([mask[seen] for mask in masks.values()])
    ranked = _ranked(names, found, harm[seen], least)
    chosen: list[tuple[FoundSlice, Any]] = []
    for _, first, second in ranked:
        inside = found[:, first] & found[:, second]
        if len(chosen) == most or any(_jaccard(inside, other) > OVERLAP for _, other in chosen):
            continue
        mask = masks[names[first]] & masks[names[second]] & usable & ~seen
        name = names[first] if first == second else f"{names[first]} & {names[second]}"
        own, others = harm[seen][inside], harm[seen][~inside]
        spread = ((own.var() + others.var()) / 2) ** 0.5
        effect = float((own.mean() - others.mean()) / spread) if spread > 0 else 0.0
        chosen.append((FoundSlice(name, mask, float(own.mean()), effect), inside))
    return [slice_ for slice_, _ in chosen]


def _ranked(names: Sequence[str], found: "Bools", harm: "Floats", least: int) -> list[tuple[float, int, int]]:
    """Return (t, first, second) of the slices and pairs that are clearly worse than the rest, the worst first."""
    import numpy as np

    member = found.astype(np.float64)
    count = member.T @ member
    total = member.T @ (member * harm[:, None])
    squares = member.T @ (member * (harm**2)[:, None])
    t = _welch(count, total, squares, harm)
    t[(count < least) | (len(harm) - count < least)] = -np.inf
    single = np.diag(t).copy()
    pairs = [
        (float(t[i, j]), i, j)
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if t[i, j] > max(single[i], single[j])
    ]
    ranked = pairs + [(float(value), index, index) for index, value in enumerate(single)]
    return sorted((item for item in ranked if item[0] > 2), key=lambda item: -item[0])


def _welch(count: "Floats", total: "Floats", squares: "Floats", harm: "Floats") -> "Floats":
    import numpy as np

    n, all_total, all_squares = len(harm), harm.sum(), (harm**2).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, rest = total / count, (all_total - total) / (n - count)
        own = np.maximum(squares / count - mean**2, 0) / count
        other = np.maximum((all_squares - squares) / (n - count) - rest**2, 0) / (n - count)
        t: Floats = np.nan_to_num((mean - rest) / np.sqrt(own + other), nan=0.0)
    return t


def _jaccard(one: "Bools", other: "Bools") -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def _by_column(column: "pd.Series[Any]", name: str, most: int) -> "dict[str, Bools]":
    import pandas as pd

    masks: dict[str, Bools] = {}
    missing = column.isna().to_numpy(dtype=bool)
    counts = column.value_counts()
    counts = counts[counts > 0]
    ordered = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
    if len(counts) <= most or not ordered:
        shown = list(counts.index[:most])
        for value in sorted(shown, key=str):
            masks[f"{name}={value}"] = (column == value).fillna(False).to_numpy(dtype=bool)
        if len(counts) > most:
            masks[f"{name}=other"] = ~(column.isin(shown).to_numpy(dtype=bool) | missing)
    else:
        cut = pd.qcut(column, BINS, duplicates="drop")
        for interval in cut.cat.categories:
            masks[f"{name} in {interval}"] = (cut == interval).to_numpy(dtype=bool)
    if missing.any():
        masks[f"{name} is missing"] = missing
    return masks


def _column(frame: "pd.DataFrame", name: str) -> "pd.Series[Any]":
    if name not in frame.columns:
        raise MissingColumnError(
            f"there is no column {name!r} to slice by; there are {[str(column) for column in frame.columns[:30]]}",
            expected="columns that are kept beside the predictions",
        )
    return frame[name]
