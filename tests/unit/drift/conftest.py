import numpy as np
import pandas as pd
import pytest


def mixed_table(rows, seed, shift=0.0):
    """Ten columns and more, of every kind; `shift` moves the numeric ones by that many standard deviations."""
    generator = np.random.default_rng(seed)
    columns = {
        "normal": generator.normal(shift, 1, rows),
        "heavy": generator.standard_t(2, rows) + shift,
        "skewed": generator.lognormal(shift, 1, rows),
        "count": generator.poisson(3, rows),
        "flag": generator.random(rows) < 0.3,
        "holes": np.where(generator.random(rows) < 0.1, np.nan, generator.normal(shift, 1, rows)),
    }
    for levels in (5, 12, 50, 300):
        weights = 1 / np.arange(1, levels + 1) ** 0.7
        names = [f"v{level}" for level in range(levels)]
        columns[f"of{levels}"] = generator.choice(names, rows, p=weights / weights.sum())
    return pd.DataFrame(columns)


@pytest.fixture(scope="session")
def make_table():
    return mixed_table
