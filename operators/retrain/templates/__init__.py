"""One declaration, the model's DAGs."""

from retrain.templates.continuous_training import ContinuousTraining

__all__ = ["ContinuousTraining"]
