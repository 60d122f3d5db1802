"""The serving check as it is declared: plain JSON, checked without loading anything."""

from dataclasses import dataclass, field

from retrain.exceptions import DeclarationError
from retrain.records._codec import Record, member
from retrain.serving.verdict import Limits, ServingMode


@dataclass(frozen=True)
class Serving(Record):
    """Where a new version is tried before it may be promoted, with what, and within which limits.

    `python` is the target environment's interpreter (default: that of the job); with `mode="docker"` it is that of the
    container (default: `python`) of `image`, which runs on the machine of the check, without a network. The model is
    fed its input example and the rows of `requests` (path or URI of recorded raw rows, the first `rows` of them);
    without it, rows of the hold-out. `lock` is a file of requirement lines (path from the project's root, or URI), held
    beside the model's own.
    """

    mode: ServingMode = ServingMode.PROCESS
    python: str | None = None
    image: str | None = None
    requests: str | None = None
    rows: int = 100
    lock: str | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        # Python's own callers may say "docker"; through `from_dict` it is a ServingMode already.
        object.__setattr__(self, "mode", member(ServingMode, self.mode, "serving.mode"))
        if self.rows < 1:
            raise DeclarationError(f"serving.rows is {self.rows}", expected="1 or more rows")
        if (self.mode is ServingMode.DOCKER) != (self.image is not None):
            raise DeclarationError(
                f"serving.mode is {self.mode} and serving.image is {self.image!r}",
                expected="an image with the mode docker, and none with the others",
            )
