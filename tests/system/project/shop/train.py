"""The user code of the system tests: a small classifier, and what makes its training hard."""

import os
import time
from pathlib import Path

from sklearn.linear_model import LogisticRegression


def fit(data, params):
    """Fit on `x` and `y`; waits while the file `hold/<case>` is there, and may be killed."""
    params = dict(params)
    disturb(params.pop("case"))
    return LogisticRegression(**params).fit(data.features[["x", "y"]], data.target)


def disturb(case):
    """Do to this process what a test asked for."""
    folder = Path(os.environ["SYSTEM_TESTS"])
    hold = folder / "hold" / case
    if hold.exists():
        with (folder / "held" / case).open("a") as file:
            file.write(f"{os.getpid()}\n")
        while hold.exists():
            time.sleep(0.1)
    import sitecustomize  # the tests' own, see tests/system/sabotage

    sitecustomize.reach("train: in fit", case)
