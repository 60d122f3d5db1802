"""Training of the flight-delays model: gradient-boosted trees that say how likely a flight is to be late."""

from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from include.flights.features import CATEGORICAL, NUMERIC

# Shallow trees and a slow rate: the pattern moves from month to month, and a sharper fit to the past ages faster.
DEFAULTS: Mapping[str, Any] = {"learning_rate": 0.05, "max_iter": 100, "max_leaf_nodes": 15, "min_samples_leaf": 100}


class TrainingData(Protocol):
    """What `fit` is given: the prepared features and the target, row by row."""

    features: pd.DataFrame
    target: pd.Series


def fit(data: TrainingData, params: Mapping[str, Any]) -> Pipeline:
    """Fit a classifier on prepared flights; `params` override `DEFAULTS` of HistGradientBoostingClassifier.

    An airline or airport that appears only after training is treated as missing, not as an error. The seed is fixed:
    the same rows and parameters give the same model.
    """
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer(
        [("categorical", encode, list(CATEGORICAL)), ("numeric", "passthrough", list(NUMERIC))],
    )
    trees = HistGradientBoostingClassifier(**{"random_state": 0, **DEFAULTS, **params})
    return Pipeline([("columns", columns), ("trees", trees)]).fit(data.features, data.target.astype("int8"))
