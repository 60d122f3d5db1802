"""Training: the user's `prepare` and `fit`, run on a snapshot, packaged so that serving prepares exactly alike."""

from retrain.training.contract import TrainingData, TrainOutcome
from retrain.training.fitting import train
from retrain.training.keys import training_key
from retrain.training.scoring import load_model, predict_for_metric
from retrain.training.usercode import code_digest, load_function

__all__ = [
    "TrainOutcome",
    "TrainingData",
    "code_digest",
    "load_function",
    "load_model",
    "predict_for_metric",
    "train",
    "training_key",
]
