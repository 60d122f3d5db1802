"""Labels that arrive apart from the features: joined by key into what may be trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from retrain.data.readers import read
from retrain.data.writers import write_parquet
from retrain.exceptions import DataError, StoreUnavailableError
from retrain.records import DataRef

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Joined:
    """What a join gave. `accepted` is the reference to the labelled rows, None where there are none, and why.

    `rows` counts the labelled rows, `unlabelled` those of the features without a label, `orphans` the labels that
    belong to no row.
    """

    accepted: DataRef | None
    rows: int = 0
    unlabelled: int = 0
    orphans: int = 0
    reason: str = ""


def join_labels(features: DataRef, labels: DataRef, *, key: Sequence[str], target: str, uri: str) -> Joined:
    """Join the labels of a partition to its features and write the rows that have one to `uri` as Parquet.

    Rows keep the order of the features; of the labels only `target` is taken. A label of null is no label, and a null
    in the key matches nothing. Labels whose key is not unique, or that lack a column, are refused as a whole: nobody
    can say which is meant. Equal inputs give equal bytes. Raises StoreUnavailableError; DataError of the features.
    """
    frame = read(features)
    try:
        known = read(labels, columns=[*key, target])
    except StoreUnavailableError:
        raise
    except DataError as error:
        return Joined(None, unlabelled=len(frame), reason=str(error))
    known = known.dropna(subset=[*key, target])
    if reason := _obstacle(frame, known, key, target):
        return Joined(None, unlabelled=len(frame), reason=reason)
    labelled, matched = _joined(frame, known, list(key), target)
    orphans = len(known) - matched
    if labelled.empty:
        return Joined(None, unlabelled=len(frame), orphans=orphans, reason="no row has a label")
    ref = write_parquet(labelled, uri, partition=features.partition, version=features.version)
    return Joined(replace(ref, labels=labels.version), len(labelled), len(frame) - len(labelled), orphans)


def _obstacle(frame: "pd.DataFrame", known: "pd.DataFrame", key: Sequence[str], target: str) -> str:
    """Say what keeps the labels from being joined, if anything does."""
    if missing := [name for name in key if name not in frame.columns]:
        return f"the data lacks the key columns {missing}"
    if target in frame.columns and frame[target].notna().any():
        return f"the data has a column {target!r} with values of its own, beside the labels that arrive apart"
    for name in key:
        if (frame[name].dtype.kind in "OUSV") != (known[name].dtype.kind in "OUSV"):
            return f"the key {name!r} is {frame[name].dtype} in the data and {known[name].dtype} in the labels"
    if repeated := int(known.duplicated(list(key)).sum()):
        return f"{repeated:,} of {len(known):,} labels repeat a key ({', '.join(key)})"
    return ""


def _joined(frame: "pd.DataFrame", known: "pd.DataFrame", key: list[str], target: str) -> tuple[Any, int]:
    """Return the labelled rows, and how many labels found a row."""
    rows = frame.drop(columns=target, errors="ignore").reset_index(drop=True)
    complete = rows[rows[key].notna().all(axis=1)]
    position = "_retrain_position"
    matches = complete[key].assign(**{position: complete.index}).merge(known, on=key, how="inner", validate="m:1")
    matches = matches.sort_values(position)
    labelled = rows.loc[matches[position]].reset_index(drop=True)
    labelled[target] = matches[target].to_numpy()
    return labelled, len(matches[key].drop_duplicates())
