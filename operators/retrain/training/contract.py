"""What the user's `fit` is handed, and what a training answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain.records import decode, encode

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrainingData:
    """The rows of the snapshot that have a target, prepared; the `data` of `fit(data, params) -> model`.

    `raw` are the same rows as they were read, target included; the three have the same index, 0 to n - 1.
    """

    features: pd.DataFrame
    target: pd.Series[Any]
    raw: pd.DataFrame
    partitions: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """The features and the target in one frame, for libraries that want it so."""
        return self.features.assign(**{str(self.target.name): self.target})


@dataclass(frozen=True)
class TrainOutcome:
    """Where a trained model lies and what it was made from; plain JSON through `to_dict`.

    `rows` were trained on; `rows_without_target` were in the snapshot but had no label. `reused`: an earlier try with
    the same data, code and parameters had trained it already. `frame` is the digest of the rows as they were read, see
    `retrain.training.frames`; `environment` the versions of Python and of the libraries that trained it,
    `artifact_digest` the digest of the model's files right after they were written (`retrain.training.artifacts`).
    """

    run_id: str
    model_uri: str
    training_key: str
    snapshot: str
    rows: int
    rows_without_target: int = 0
    partitions: tuple[str, ...] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    snapshot_uri: str | None = None
    code_digest: str | None = None
    experiment_id: str | None = None
    reused: bool = False
    frame: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    artifact_digest: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = encode(self)
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> TrainOutcome:
        """Rebuild from `to_dict`; ContractError names a field that does not fit."""
        return decode(cls, document)
