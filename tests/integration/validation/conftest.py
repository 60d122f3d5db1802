from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest


@pytest.fixture
def trips() -> pd.DataFrame:
    """Forty good rows; distances run from 0 to 39."""
    return pd.DataFrame(
        {
            "carrier": ["UA", "AA"] * 20,
            "distance": range(40),
            "delay": [1.5, None] * 20,
            "nothing": pd.Series([None] * 40, dtype="float64"),
        }
    )


@pytest.fixture
def suite() -> Callable[..., dict[str, Any]]:
    """Make a suite of (type, kwargs[, severity]) tuples."""

    def make(*entries: tuple[Any, ...]) -> dict[str, Any]:
        fields = ("type", "kwargs", "severity")
        return {"name": "trips", "expectations": [dict(zip(fields, one, strict=False)) for one in entries]}

    return make
