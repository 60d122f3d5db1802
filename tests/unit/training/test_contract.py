import json

from retrain.training import TrainOutcome


def test_outcome_survives_json() -> None:
    outcome = TrainOutcome("r", "models:/m-1", "k", "sha256:s", 10, 2, ("2024-01@v1",), {"features": 5.0}, "file:///s",
        environment={"python": "3.11.9"})  # fmt: skip
    assert TrainOutcome.from_dict(json.loads(json.dumps(outcome.to_dict()))) == outcome
