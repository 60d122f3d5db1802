"""From raw rows to features: the user's `prepare` with its contract checked, in training as in serving."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from retrain.exceptions import DataError, MissingColumnError, UserCodeError
from retrain.records import ModelSpec
from retrain.training.contract import TrainingData
from retrain.training.privacy import cause, told

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 40


def split_target(frame: pd.DataFrame, spec: ModelSpec) -> tuple[pd.DataFrame, int]:
    """Return the rows that have a target, numbered anew, and how many have none.

    MissingColumnError names the columns that are there; DataError when no row has a target.
    """
    if spec.target not in frame.columns:
        raise MissingColumnError(
            f"the data of {spec.dataset} has no target column {spec.target!r}; its columns are "
            f"{list(map(str, frame.columns[:_SHOWN]))}{' ...' if len(frame.columns) > _SHOWN else ''}",
            expected=f"{spec.target!r} as declared for {spec.model}",
            remedy="Correct target= in the declaration, or the data",
        )
    labelled = frame[frame[spec.target].notna()].reset_index(drop=True)
    if labelled.empty:
        raise DataError(
            f"none of the {len(frame)} rows of {spec.dataset} has a value in the target column {spec.target!r}",
            expected="labelled rows",
            remedy="Train on partitions whose labels have arrived",
        )
    return labelled, len(frame) - len(labelled)


def raw_columns(frame: pd.DataFrame, spec: ModelSpec) -> list[str]:
    """Return the columns that a served model may be handed: all but the target."""
    return [name for name in frame.columns if name != spec.target]


def prepared(
    raw: pd.DataFrame, spec: ModelSpec, prepare: Callable[[pd.DataFrame], pd.DataFrame] | None
) -> pd.DataFrame:
    """Return the features of `raw` (which has no target column): what `prepare` makes of a copy of it.

    Without `prepare` the features are the columns that are neither key nor event time nor the query of a ranking.
    UserCodeError when `prepare` raises, returns no frame, changes the number of rows or hands the target through.
    """
    if prepare is None:
        aside = {*spec.key, spec.event_time, spec.query}
        return raw[[name for name in raw.columns if name not in aside]]
    try:
        features: Any = prepare(raw.copy())
    except Exception as error:
        raise UserCodeError(
            f"{spec.prepare} raised {told(error, raw, spec.pii)}",
            expected=f"features of the raw rows without the target {spec.target!r}, which serving does not have",
            remedy="Correct prepare; it is called with the same columns in training and in serving",
        ) from cause(error, spec.pii)
    _check(features, len(raw), spec)
    return features.reset_index(drop=True)  # type: ignore[no-any-return]


def training_data(
    labelled: pd.DataFrame, features: pd.DataFrame, spec: ModelSpec, partitions: tuple[str, ...]
) -> TrainingData:
    """Put together what `fit` is handed."""
    return TrainingData(features=features, target=labelled[spec.target], raw=labelled, partitions=partitions)


def _check(features: Any, rows: int, spec: ModelSpec) -> None:
    import pandas as pd

    if not isinstance(features, pd.DataFrame):
        what = f"{spec.prepare} returned {type(features).__name__}"
    elif len(features) != rows:
        what = f"{spec.prepare} made {len(features)} rows of {rows}"
    elif spec.target in features.columns:
        what = f"{spec.prepare} returned the target {spec.target!r} among the features"
    elif features.columns.empty:
        what = f"{spec.prepare} returned no feature"
    elif not features.columns.is_unique or not all(isinstance(name, str) for name in features.columns):
        what = f"{spec.prepare} returned columns without distinct text names: {list(features.columns[:_SHOWN])}"
    else:
        return
    raise UserCodeError(
        what,
        expected="a pandas DataFrame of named features, one row for each row given, in the same order",
        remedy="Filter rows by an expectation suite or in train, not in prepare",
    )
