import json
from datetime import UTC, datetime

import pytest

from retrain.exceptions import ContractError
from retrain.policy import History, PartitionDrift, Request
from retrain.records import DriftStatus, PerformanceStatus

FULL = History(
    model="m",
    available=3,
    champion="7",
    trained_at=datetime(2026, 1, 1, 3, 4, 5, tzinfo=UTC),
    trained_partitions=("a", "b"),
    new_partitions=("c",),
    drift=(PartitionDrift("c", DriftStatus.DRIFT, ("x",)),),
    labels_late=True,
    performance=PerformanceStatus.OK,
    metric="roc_auc",
    metric_at_promotion=0.7,
    metric_now=0.69,
    request=Request("ops", "because"),
    failed_at=datetime(2026, 1, 2, tzinfo=UTC),
)


@pytest.mark.parametrize("history", [FULL, History(model="m")], ids=["full", "empty"])
def test_history_travels_as_json(history):
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history


def test_unknown_field_is_named():
    with pytest.raises(ContractError, match="colour"):
        History.from_dict({"model": "m", "colour": "red"})


@pytest.mark.parametrize("moment", ["2026-01-01", "2026-01-01T00:00:00", "yesterday", 5])
def test_time_without_zone_is_refused(moment):
    with pytest.raises(ContractError, match="trained_at"):
        History.from_dict({"model": "m", "trained_at": moment})
    with pytest.raises(ContractError, match="trained_at"):
        History(model="m", trained_at=datetime(2026, 1, 1))
