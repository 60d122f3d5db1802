"""Training: the user's `prepare` and `fit`, run on a snapshot, packaged so that serving prepares exactly alike."""

from retrain.training.contract import TrainingData, TrainOutcome
from retrain.training.fitting import train
from retrain.training.frames import FrameDigest, frame_digest, snapshot_frame
from retrain.training.keys import training_key
from retrain.training.scoring import kinds, load_model, predict, predict_for_metric, release
from retrain.training.usercode import code_digest, load_function

__all__ = [
    "FrameDigest",
    "TrainOutcome",
    "TrainingData",
    "code_digest",
    "frame_digest",
    "kinds",
    "load_function",
    "load_model",
    "predict",
    "predict_for_metric",
    "release",
    "snapshot_frame",
    "train",
    "training_key",
]
