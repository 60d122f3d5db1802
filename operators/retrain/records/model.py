"""What a user declares about a model, as it travels to the jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrain.records._codec import Record
from retrain.records.release import Approval, RollbackOn


@dataclass(frozen=True)
class ModelSpec(Record):
    """The part of a declaration that the steps need; plain JSON through `to_dict`.

    `data` is a URI with `{partition}` in it. `train` and `prepare` are `module:function`, imported only in a job, from
    `project_root`; `expectations` is a path (relative to `project_root`) or URI of a suite. `window` is how many of the
    latest partitions are trained on (None: all), `holdout` how many of the latest are kept unseen to judge by.
    `margin` is in units of `metric`, `rule` is `non_inferior` or `superior`. `columns` are those whose drift is watched
    (empty: all); `pii` never leaves the data: not in reports, samples or logs.

    `labels` is a URI with `{partition}` in it, of labels that arrive apart from the features and are joined by `key`;
    only labelled partitions are trained on and judged by. `complete` says when an object is finished, besides its name
    (see `retrain.data.Completeness`). `keep_copies`: accepted data is copied into the store, so that a snapshot
    outlives its source; False where the source itself is versioned and immutable. `season` (`year`, `week` or `day`):
    past partitions of the same season tell what variation is ordinary; their names have to tell the time.

    `approval` says when a person has to agree before a promotion (None: never), `rollback_on` what takes one back.
    `conditions` are what the gate asks beside its rule, each as its `to_dict` (see `retrain.evaluation`); `weight` is
    the column of the rows' weights in what is judged. `serving` is the serving check as its `to_dict` (see
    `retrain.serving.Serving`): empty for its defaults, None for no check at all. `query` is the column that names the
    query (session, user, day) of a row, of a model that ranks: then `metric` is asked of each query.
    """

    model: str
    dataset: str
    data: str
    target: str
    train: str
    metric: str
    project_root: str
    prepare: str | None = None
    expectations: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    event_time: str | None = None
    columns: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    pii: tuple[str, ...] = ()
    window: int | None = None
    holdout: int = 1
    margin: float = 0.01
    rule: str = "non_inferior"
    confidence: float = 0.95
    minimum: float | None = None
    quarantine_limit: float = 0.1
    labels: str | None = None
    complete: Mapping[str, Any] = field(default_factory=dict)
    keep_copies: bool = True
    approval: Approval | None = None
    rollback_on: RollbackOn | None = None
    conditions: tuple[Mapping[str, Any], ...] = ()
    weight: str | None = None
    serving: Mapping[str, Any] | None = field(default_factory=dict)
    season: str | None = None
    query: str | None = None
