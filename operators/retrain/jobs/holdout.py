"""The rows that a gate judges by: labelled rows of the hold-out that neither model has seen in training."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retrain.exceptions import ContractError, DataError, MissingColumnError
from retrain.jobs.steps import StepContext
from retrain.records import DataRef

if TYPE_CHECKING:
    import pandas as pd

_FRAME = "hold-out"


def holdout_frame(context: StepContext, step: str) -> "pd.DataFrame":
    """Read the hold-out's rows that have a label, once per job."""
    from retrain.data import read_common

    refs = holdout_refs(context, step)
    if _FRAME not in context.frames:
        frame = read_common(context.read_each(refs, step=step))
        context.frames[_FRAME] = frame[_target(frame, context).notna()].reset_index(drop=True)
    for ref in refs:
        context.note_read(step, ref)
    found: pd.DataFrame = context.frames[_FRAME]
    return found


def holdout_refs(context: StepContext, step: str) -> list[DataRef]:
    """Return the hold-out; ContractError where either model was trained on it, in any version or under another name."""
    refs = [DataRef.from_dict(ref) for ref in context.required("holdout", step)]
    for who, uri in snapshots(context).items():
        if both := trained_on(uri, refs):
            raise ContractError(
                f"the {who} was trained on the hold-out partitions {both}",
                expected="partitions that neither model has seen in training",
                remedy="Judge on later partitions",
            )
    return refs


def trained_on(snapshot_uri: str, refs: Sequence[DataRef]) -> list[str]:
    """Name the partitions that are in a snapshot: by their name, or by their digest as the very same rows."""
    from retrain.data import load_snapshot

    partitions = load_snapshot(snapshot_uri).partitions
    names, digests = {ref.partition for ref in partitions}, {ref.digest for ref in partitions if ref.digest}
    return sorted(str(ref.partition) for ref in refs if ref.partition in names or ref.digest in digests)


def snapshots(context: StepContext) -> dict[str, str]:
    """Return the URIs of what challenger and champion were trained on, as far as they are known."""
    champion: Mapping[str, Any] = context.request.inputs.get("champion") or {}
    uris = {"challenger": context.request.inputs.get("snapshot_uri"), "champion": champion.get("snapshot_uri")}
    return {who: uri for who, uri in uris.items() if uri}


def unseen(
    context: StepContext, frame: "pd.DataFrame", step: str, uris: Collection[str] | None = None
) -> tuple["pd.DataFrame", Any]:
    """Leave out the rows whose key lies in a snapshot of `uris` (of either model); returns also which are kept.

    Without a declared key nothing is left out. A row whose key has a hole matches nothing. Raises MissingColumnError,
    UnreadableDataError where the keys cannot be compared.
    """
    import numpy as np

    from retrain.data import load_snapshot, read

    key = list(context.spec.key)
    seen = np.zeros(len(frame), dtype=bool)
    if not key or frame.empty:
        return frame, ~seen
    keys = _keys(frame, key, "the hold-out")
    chosen = snapshots(context).values() if uris is None else uris
    refs = {ref.uri: ref for uri in chosen for ref in load_snapshot(uri).partitions}
    for ref in refs.values():
        trained = read(ref, columns=key)
        context.note_read(step, ref, key)
        seen |= _among(keys, trained, key)
    return frame[~seen].reset_index(drop=True), ~seen


def _keys(frame: "pd.DataFrame", key: Sequence[str], where: str) -> "pd.DataFrame":
    if missing := [name for name in key if name not in frame.columns]:
        raise MissingColumnError(
            f"{where} lacks the key columns {missing}",
            expected=f"the columns of key={list(key)}",
            remedy="Deliver them, or correct key= in the declaration",
        )
    return frame[list(key)]


def _among(keys: "pd.DataFrame", trained: "pd.DataFrame", key: list[str]) -> Any:
    """Return which rows of `keys` are among those trained on; of two types, values count as they are written."""
    trained = trained.dropna().drop_duplicates()
    keys = keys.copy()
    for name in key:
        if keys[name].dtype != trained[name].dtype:
            numeric = all(column.dtype.kind in "iuf" for column in (keys[name], trained[name]))
            keys[name], trained[name] = (
                column.astype("float64") if numeric else column.astype("string")
                for column in (keys[name], trained[name])
            )
    found = keys.merge(trained, on=key, how="left", indicator="_retrain_seen")
    return (found["_retrain_seen"] == "both").to_numpy()


def _target(frame: "pd.DataFrame", context: StepContext) -> Any:
    target = context.spec.target
    if target not in frame.columns:
        raise MissingColumnError(
            f"the hold-out has no target column {target!r}; its columns are {list(frame.columns)[:30]}",
            expected=f"{target!r} as declared",
            remedy="Correct target= in the declaration, or the data",
        )
    return frame[target]


def weights(context: StepContext, frame: "pd.DataFrame") -> Any | None:
    """Return the declared weights of the rows; DataError where they are not there."""
    if (name := context.spec.weight) is None:
        return None
    if name not in frame.columns:
        raise DataError(f"the hold-out has no column {name!r} of weights", expected="weight= as declared")
    return frame[name].to_numpy(dtype=float)
